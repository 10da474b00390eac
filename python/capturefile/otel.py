"""OpenTelemetry metrics of capture files, through `opentelemetry-api`, which the extra `otel` installs.

| metric | kind | unit | |
|---|---|---|---|
| `capturefile.records` | counter | `{record}` | records committed |
| `capturefile.bytes` | counter | `By` | bytes of these records, before compression |
| `capturefile.commit.duration` | histogram | `s` | how long each commit took |
| `capturefile.follow.lag` | gauge | `{record}` | committed records that a follower or consumer has not reached |

All metrics have the attribute `file.path`.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from capturefile._capturefile import CaptureFile, __version__, set_commit_hook
from capturefile._errors import CaptureFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.util.types import AttributeValue

__all__ = ["HasLag", "instrument", "uninstrument"]


def __dir__() -> list[str]:
    return sorted(__all__)


class HasLag(Protocol):
    """An object with a lag: a follower, synchronous or asynchronous, or a consumer of `capturefile.checkpoint`."""

    @property
    def file_name(self) -> str:
        """The path of the file that is read."""

    def lag(self) -> int:
        """Returns the number of committed records that the object has not reached yet.

        Returns:
            The number of records.

        Examples:
            >>> cf.follow(1).lag()
            3
        """


_Attributes = dict[str, "AttributeValue"]

_BOUNDARIES = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
"""Bucket boundaries of the histogram in seconds, for commits from those that do not wait for a disk to those on a
busy disk."""


class _Instruments:
    """The instruments of one provider, shared by all files that it measures."""

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
            "Committed records that a follower or consumer has not reached",
        )

    def committed(self, attributes: _Attributes, records: int, bytes_: int, seconds: float) -> None:
        self.records.add(records, attributes)
        self.bytes.add(bytes_, attributes)
        self.duration.record(seconds, attributes)

    def observe_lag(self, _options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        for target, attributes in list(self.lagging.items()):
            # A file that cannot be read, or is closed, has no lag to report.
            with suppress(CaptureFileError, OSError):
                yield Observation(_lag(target), attributes)


class _Hook:
    """The commit hook of a file, which reports to all providers that measure the file."""

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
    """Measures an object from now on, until it is garbage-collected or `uninstrument` is called.

    A file that is open for writing reports its commits. A file that is open for reading reports a lag: the number of
    committed records that `refresh()` would show. Followers and consumers report the number of committed records that
    they have not reached. Several providers can measure one object.

    Args:
        target: The object to measure: a file, a follower, or a consumer of `capturefile.checkpoint`.
        meter_provider: Receiver of the measurements; by default the global provider.
        attributes: Attributes of each measurement in addition to `file.path`. Those of the last call for a provider
            apply.

    Raises:
        ImportError: `opentelemetry-api` is not installed.

    Examples:
        >>> capturefile.otel.instrument(cf, attributes={"service.name": "shop"})
    """
    try:
        from opentelemetry.metrics import get_meter_provider
    except ImportError as error:
        message = "capturefile.otel requires opentelemetry-api: pip install 'capturefile-rs[otel]'"
        raise ImportError(message, name=error.name) from error
    provider = meter_provider or get_meter_provider()
    instruments = _instruments.get(provider)
    if instruments is None:
        instruments = _instruments.setdefault(provider, _Instruments(provider))
    all_attributes: _Attributes = {"file.path": target.file_name, **(attributes or {})}
    if isinstance(target, CaptureFile) and target.to_write:
        hook = _hooks.setdefault(target, _Hook())
        hook.attributes[instruments] = all_attributes
        set_commit_hook(target, hook)
    else:
        instruments.lagging[target] = all_attributes


def uninstrument(target: CaptureFile[Any] | HasLag) -> None:
    """Stops measuring an object, with all providers. Does nothing if it is not measured.

    Args:
        target: The object.

    Examples:
        >>> capturefile.otel.uninstrument(cf)
    """
    if isinstance(target, CaptureFile):
        _hooks.pop(target, None)
        set_commit_hook(target, None)
    for instruments in list(_instruments.values()):
        instruments.lagging.pop(target, None)
