"""Metrics of capture files, as OpenTelemetry's SDK collects them."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from capturefile import CaptureFile, aio, checkpoint, otel
from files import write
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Metrics:
    """Collects metrics."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader])

    def collect(self) -> dict[str, dict[str, Any]]:
        """The data points by metric name and file path."""
        data = self.reader.get_metrics_data()
        found: dict[str, dict[str, Any]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                assert scope.scope.name == "capturefile"
                for metric in scope.metrics:
                    points = {str((point.attributes or {})["file.path"]): point for point in metric.data.data_points}
                    assert len(points) == len(metric.data.data_points)
                    found[metric.name] = points
        return found

    def value(self, name: str, path: Path) -> Any:  # noqa: ANN401
        """The value of a counter or gauge of a file, or None."""
        point = self.collect().get(name, {}).get(str(path))
        return point and point.value


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """A separate provider."""
    metrics = Metrics()
    yield metrics
    metrics.provider.shutdown()


def test_commits_are_counted_and_timed(metrics: Metrics, path: Path) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_record("not measured")
        cf.commit()
        otel.instrument(cf, metrics.provider, attributes={"service": "test"})
        for _ in range(3):
            cf.add_records(["four", "Grüße"])
            cf.commit()
        cf.commit()
        cf.add_record("rolled back")
        cf.rollback()
    found = {name: points[str(path)] for name, points in metrics.collect().items()}
    assert (found["capturefile.records"].value, found["capturefile.bytes"].value) == (6, 33)
    duration = found["capturefile.commit.duration"]
    assert duration.count == 3
    assert 0 < duration.min <= duration.max <= duration.sum < 60
    assert dict(duration.attributes) == {"file.path": str(path), "service": "test"}
    assert "capturefile.follow.lag" not in found


def test_a_commit_is_reported_to_every_provider_once(metrics: Metrics, path: Path) -> None:
    other = Metrics()
    with CaptureFile(path, True, sync=False) as cf:
        for attributes in ({"turn": "first"}, {"turn": "second"}):
            otel.instrument(cf, metrics.provider, attributes=attributes)
            otel.instrument(cf, other.provider)
        cf.add_record("one")
        cf.commit()
        for each in (metrics, other):
            assert each.value("capturefile.records", path) == 1
            assert each.collect()["capturefile.commit.duration"][str(path)].count == 1
        point = metrics.collect()["capturefile.records"][str(path)]
        assert point.attributes["turn"] == "second"
        otel.uninstrument(cf)
        cf.add_record("two")
        cf.commit()
    assert (metrics.value("capturefile.records", path), other.value("capturefile.records", path)) == (1, 1)
    other.provider.shutdown()


def test_the_histogram_distinguishes_commits_below_a_second(metrics: Metrics, path: Path) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        otel.instrument(cf, metrics.provider)
        cf.add_record("one")
        cf.commit()
    bounds = metrics.collect()["capturefile.commit.duration"][str(path)].explicit_bounds
    assert sum(bound < 1 for bound in bounds) >= 10
    assert bounds[0] <= 0.0001


def test_many_files_share_the_instruments_of_a_provider(metrics: Metrics, tmp_path: Path) -> None:
    for name in range(1, 4):
        with CaptureFile(tmp_path / str(name), True, sync=False) as cf:
            otel.instrument(cf, metrics.provider)
            cf.add_records(["one"] * name)
            cf.commit()
    points = metrics.collect()["capturefile.records"]
    assert {path: point.value for path, point in points.items()} == {str(tmp_path / str(n)): n for n in (1, 2, 3)}


def test_the_lag_of_readers_and_followers_is_measured(metrics: Metrics, tmp_path: Path) -> None:
    for name in ("reader", "follower", "aio", "consumer"):
        write(tmp_path / name, "one", "two", "three")
    with (
        CaptureFile(tmp_path / "reader") as reader,
        CaptureFile(tmp_path / "follower") as followed,
        checkpoint.consume(tmp_path / "consumer", tmp_path / "results", name="test", batch_size=2) as consumer,
    ):
        follower = followed.follow(1)
        next(follower)
        following = aio.follow(tmp_path / "aio", 1)
        asyncio.run(first_of(following))
        write(tmp_path / "reader", "four", "five")
        for target in (reader, follower, following, consumer):
            otel.instrument(target, metrics.provider)

        def lags() -> dict[str, int]:
            points = metrics.collect()["capturefile.follow.lag"]
            return {path.rpartition("/")[2]: point.value for path, point in points.items()}

        assert lags() == {"reader": 2, "follower": 2, "aio": 2, "consumer": 3}
        reader.refresh()
        next(follower)
        assert next(iter(consumer)) == ["one", "two"]
        consumer.commit()
        assert lags() == {"reader": 0, "follower": 1, "aio": 2, "consumer": 1}


async def first_of(follower: aio.Follower[str]) -> None:
    """Takes one record from a follower."""
    await anext(follower)


def test_closed_or_dropped_readers_have_no_lag_and_do_not_affect_others(metrics: Metrics, tmp_path: Path) -> None:
    for name in ("closed", "forgotten", "open"):
        write(tmp_path / name, "one")
    closed, forgotten, still_open = (CaptureFile(tmp_path / name) for name in ("closed", "forgotten", "open"))
    for cf in (closed, forgotten, still_open):
        otel.instrument(cf, metrics.provider)
    closed.close()
    del cf, forgotten
    gc.collect()
    assert metrics.collect()["capturefile.follow.lag"].keys() == {str(tmp_path / "open")}


def test_measuring_can_be_stopped(metrics: Metrics, full: Path) -> None:
    with CaptureFile(full) as reader, CaptureFile(full, True, sync=False) as cf:
        for target in (reader, cf):
            otel.instrument(target, metrics.provider)
        cf.add_record("measured")
        cf.commit()
        assert metrics.value("capturefile.follow.lag", full) == 1
        for target in (reader, cf, cf):
            otel.uninstrument(target)
        cf.add_record("not measured")
        cf.commit()
        assert metrics.value("capturefile.records", full) == 1
        assert metrics.value("capturefile.follow.lag", full) is None


def test_without_an_sdk_nothing_happens(full: Path) -> None:
    with CaptureFile(full, True, sync=False) as cf:
        otel.instrument(cf)
        cf.add_record("three")
        cf.commit()
        otel.uninstrument(cf)


def test_optional_modules_are_imported_only_on_demand() -> None:
    program = (
        "import sys, capturefile\n"
        "optional = {'opentelemetry', 'structlog', 'asyncio', 'logging', 'json', 'dataclasses', 'threading'}\n"
        "assert not optional & set(sys.modules), optional & set(sys.modules)\n"
        "import capturefile.sequence, capturefile.aio, capturefile.checkpoint, capturefile.logging\n"
        "import capturefile.structlog\n"
        "assert not {'opentelemetry', 'structlog', 'torch', 'grain'} & set(sys.modules)\n"
        "assert capturefile.otel.instrument and 'opentelemetry' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-I", "-c", program], check=True, timeout=60)
