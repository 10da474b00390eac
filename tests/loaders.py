"""Sequences as the data of PyTorch's DataLoader and of Grain.

`make test-data` installs both and runs these tests; nothing else needs them.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import capturefile
import grain
import pytest
from capturefile import CaptureFile, RecordSequence
from torch.utils.data import DataLoader, Subset, random_split

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 5000


def record(number: int) -> bytes:
    """A record that states its number."""
    return b"%d " % number + b"x" * (number % 90)


EXPECTED = [record(number) for number in range(1, COUNT + 1)]


@pytest.fixture
def records(tmp_path: Path) -> RecordSequence[bytes]:
    """A sequence over two files with many small blocks."""
    half = COUNT // 2
    for name, numbers in (("one", range(1, half + 1)), ("two", range(half + 1, COUNT + 1))):
        with CaptureFile(tmp_path / name, True, compression_block_size=4096, sync=False) as cf:
            cf.add_records(map(record, numbers))
            cf.commit()
    return capturefile.concat([tmp_path / "one", tmp_path / "two"], encoding=None)


class Counting:
    """A data set that records which records were requested together."""

    def __init__(self, records: RecordSequence[bytes]) -> None:
        self.records = records
        self.batches = 0

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> bytes:
        raise AssertionError(f"record {index} was fetched by itself")

    def __getitems__(self, indices: list[int]) -> list[bytes]:
        self.batches += 1
        return self.records.__getitems__(indices)


def loaded(dataset: Any, **options: Any) -> list[bytes]:  # noqa: ANN401
    """All records that a loader gives."""
    loader = DataLoader(dataset, batch_size=64, collate_fn=list, **options)
    return [each for batch in loader for each in batch]


# PyTorch


@pytest.mark.parametrize("method", [None, "fork", "forkserver", "spawn"])
def test_a_data_loader_gives_all_records_in_order_with_any_kind_of_worker(
    records: RecordSequence[bytes], method: str | None
) -> None:
    assert records[0] == EXPECTED[0]
    workers = {"num_workers": 2, "multiprocessing_context": method} if method else {}
    assert loaded(records, **workers) == EXPECTED


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loader_that_shuffles_gives_every_record_once(records: RecordSequence[bytes], method: str) -> None:
    found = loaded(records, shuffle=True, num_workers=2, multiprocessing_context=method, persistent_workers=True)
    assert found != EXPECTED
    assert sorted(found) == sorted(EXPECTED)


def test_a_data_loader_fetches_whole_batches(records: RecordSequence[bytes]) -> None:
    counting = Counting(records)
    assert loaded(counting) == EXPECTED
    assert counting.batches == -(-COUNT // 64)


def test_views_and_subsets_are_data_sets_too(records: RecordSequence[bytes]) -> None:
    assert loaded(records[::-3], num_workers=2) == EXPECTED[::-3]
    assert loaded(Subset(records, range(10, 20))) == EXPECTED[10:20]
    train, test = random_split(records, [0.9, 0.1])
    assert sorted(loaded(train) + loaded(test)) == sorted(EXPECTED)
    views = records.split(4)
    assert [each for view in views for each in loaded(view, num_workers=1)] == EXPECTED


# Grain


def test_a_sequence_has_the_protocol_of_grains_data_sources(records: RecordSequence[bytes]) -> None:
    assert isinstance(records, grain.sources.RandomAccessDataSource)


@pytest.mark.parametrize("workers", [0, 2])
def test_grain_reads_a_sequence(records: RecordSequence[bytes], workers: int) -> None:
    sampler = grain.samplers.IndexSampler(len(records), num_epochs=1, shuffle=True, seed=3)
    loader = grain.DataLoader(data_source=records, sampler=sampler, worker_count=workers)
    found = list(loader)
    assert found != EXPECTED
    assert sorted(found) == sorted(EXPECTED)


def test_a_grain_data_set_of_a_sequence_is_mapped_and_batched(records: RecordSequence[bytes]) -> None:
    dataset = grain.MapDataset.source(records)[:100].map(operator.methodcaller("upper")).batch(10, batch_fn=list)
    assert [each for batch in dataset for each in batch] == [each.upper() for each in EXPECTED[:100]]
