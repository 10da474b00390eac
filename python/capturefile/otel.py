"""OpenTelemetry metrics of capture files, through `opentelemetry-api`, which the extra `otel` installs.

| metric | kind | unit | |
|---|---|---|---|
| `capturefile.records` | counter | `{record}` | records committed |
| `capturefile.bytes` | counter | `By` | bytes of these records, before compression |
| `capturefile.commit.duration` | histogram | `s` | how long each commit took |
| `capturefile.follow.lag` | gauge | `{record}` | records committed that a follower or consumer has not come to |

All have the attribute `file.path`.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider

from capturefile._capturefile import CaptureFile, __version__
from capturefile._errors import CaptureFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.util.types import AttributeValue

__all__ = ["HasLag", "instrument", "uninstrument"]


def __dir__() -> list[str]:
    return sorted(__all__)


class HasLag(Protocol):
    """What `CaptureFile.follow` and `capturefile.aio.follow` return, and consumers of `capturefile.checkpoint`."""

    @property
    def file_name(self) -> str:
        """The path of the file that is read."""

    def lag(self) -> int:
        """How many records are committed and were not come to yet."""


_Attributes = dict[str, "AttributeValue"]

_BOUNDARIES = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
"""Seconds that bound the buckets of the histogram: a commit may wait for no disk, or for a busy one."""


class _Instruments:
    """The instruments of one provider, each made once, whatever number of files it measures."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("capturefile", __version__)
        self.records = meter.create_counter("capturefile.records", "{record}", "Records committed")
        self.bytes = meter.create_counter("capturefile.bytes", "By", "Bytes of committed records, before compression")
        self.duration = meter.create_histogram(
            "capturefile.commit.duration",
            "s",
            "How long each commit took",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        )
        self.lagging: weakref.WeakKeyDictionary[HasLag | CaptureFile[Any], _Attributes] = weakref.WeakKeyDictionary()
        meter.create_observable_gauge(
            "capturefile.follow.lag",
            [self.observe_lag],
            "{record}",
            "Records committed that a follower or consumer has not come to",
        )

    def committed(self, attributes: _Attributes, records: int, bytes_: int, seconds: float) -> None:
        self.records.add(records, attributes)
        self.bytes.add(bytes_, attributes)
        self.duration.record(seconds, attributes)

    def observe_lag(self, _options: CallbackOptions) -> Iterable[Observation]:
        for target, attributes in list(self.lagging.items()):
            # A file that cannot be read, or is closed, has no lag that could be told.
            with suppress(CaptureFileError, OSError):
                yield Observation(_lag(target), attributes)


class _Hook:
    """What a file calls after each commit: it tells all providers that measure the file."""

    def __init__(self) -> None:
        self.attributes: dict[_Instruments, _Attributes] = {}

    def __call__(self, records: int, bytes_: int, seconds: float) -> None:
        for instruments, attributes in list(self.attributes.items()):
            instruments.committed(attributes, records, bytes_, seconds)


def _lag(target: HasLag | CaptureFile[Any]) -> int:
    return target.follow().lag() if isinstance(target, CaptureFile) else target.lag()


_instruments: weakref.WeakKeyDictionary[MeterProvider, _Instruments] = weakref.WeakKeyDictionary()
_hooks: weakref.WeakKeyDictionary[CaptureFile[Any], _Hook] = weakref.WeakKeyDictionary()


def instrument(
    target: CaptureFile[Any] | HasLag,
    meter_provider: MeterProvider | None = None,
    *,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> None:
    """Measures `target` from now on, for as long as it lives or until `uninstrument`, with any number of providers.

        log = capturefile.open("log.capture", "a")
        instrument(log, attributes={"service.name": "shop"})

    A file that is open for writing gives its commits. One that is open for reading gives a lag: how many committed
    records `refresh()` would show. What `CaptureFile.follow`, `capturefile.aio.follow` and the functions of
    `capturefile.checkpoint` return gives how many committed records it has not come to.

    Arguments:
        target: the object to measure.
        meter_provider: where the measurements go; by default the global provider.
        attributes: what is said of each measurement beside `file.path`; those of the last call for a provider count.
    """
    provider = meter_provider or get_meter_provider()
    instruments = _instruments.get(provider)
    if instruments is None:
        instruments = _instruments.setdefault(provider, _Instruments(provider))
    all_attributes: _Attributes = {"file.path": target.file_name, **(attributes or {})}
    if isinstance(target, CaptureFile) and target.to_write:
        hook = _hooks.setdefault(target, _Hook())
        hook.attributes[instruments] = all_attributes
        target._on_commit(hook)
    else:
        instruments.lagging[target] = all_attributes


def uninstrument(target: CaptureFile[Any] | HasLag) -> None:
    """Ends what `instrument` began, with all providers. Does nothing if it did not."""
    if isinstance(target, CaptureFile):
        _hooks.pop(target, None)
        target._on_commit(None)
    for instruments in list(_instruments.values()):
        instruments.lagging.pop(target, None)
