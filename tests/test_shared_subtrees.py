"""Sound files of some kilobytes whose index says that they have 10^9 to 10^15 records: every call can be ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import shared_subtree_scenarios
from builder import FileBuilder, index_node, sized, trillion_file
from capturefile import CaptureFile
from processes import act

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_CALL = 3.0
"""Seconds that a call may continue after a signal, on a busy machine."""


def shared_file(height: int, record: bytes, filler: int) -> bytes:
    """A file of 32**height records that are one record, whose nodes lie `filler` bytes apart."""
    builder = FileBuilder()
    below = builder.add_entry(sized(record))
    for _ in range(height):
        builder.add_entry(sized(bytes(filler)))
        below = builder.add_entry(index_node([below] * 32))
    builder.add_child(height + 1, below)
    builder.commit()
    builder.commit()
    return builder.image()


FILES: dict[str, Callable[[], bytes]] = {
    "billion-empty": lambda: shared_file(6, b"", 0),
    "trillion": trillion_file,
    "quadrillion": lambda: shared_file(10, b"record", 40_000),
}


@pytest.fixture(scope="module", params=FILES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the files."""
    path = tmp_path_factory.mktemp("shared") / "log.capture"
    path.write_bytes(FILES[request.param]())
    return path


@pytest.mark.parametrize("call", shared_subtree_scenarios.CALLS)
def test_every_call_ends_or_can_be_ended(shared: Path, call: str) -> None:
    (took,) = act(shared_subtree_scenarios.use, shared, call)
    assert float(took) < LONGEST_CALL


def test_blocks_know_their_records_however_many_these_are(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(shared_file(10, b"record", 40_000))
    with CaptureFile(path) as cf:
        (records,) = (block.records for block in cf.blocks() if block.records)
        assert (records.first, records.last) == (1, 32**10)


def test_a_run_of_records_ends_where_another_block_has_one(tmp_path: Path) -> None:
    """Also in a subtree that is shared, and whose first records lie in the block."""
    builder = FileBuilder()
    in_first = builder.add_entry(sized(b"in the first block"))
    builder.close_block()
    in_second = builder.add_entry(sized(b"in the second block"))
    all_first, mixed = (
        builder.add_entry(index_node(children)) for children in ([in_first] * 32, [in_first] * 20 + [in_second] * 12)
    )
    whole = builder.add_entry(index_node([all_first] * 32))
    partly = builder.add_entry(index_node([all_first] * 7 + [mixed] * 25))
    for _ in range(3):
        builder.add_child(3, whole)
    builder.add_child(3, partly)
    builder.commit()
    builder.commit()
    path = tmp_path / "log.capture"
    path.write_bytes(builder.image())
    run = 3 * 32**2 + 7 * 32 + 20
    with CaptureFile(path) as cf:
        first, second = (block.records for block in cf.blocks())
    assert first is not None
    assert second is not None
    assert (first.first, first.last, second.first, second.last) == (1, run, run + 1, run + 12)
