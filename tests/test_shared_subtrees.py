"""Sound files of a few kilobytes whose index has 10^9 to 10^15 records: every call can be interrupted."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import is_dataclass
from typing import TYPE_CHECKING

import capturefile
import pytest
import shared_subtree_scenarios
from builder import FileBuilder, index_node, sized, trillion_file
from capturefile import CaptureFile, aio, cli, rotating
from capturefile.cli.exit_codes import DONE, FAILED, INTERRUPTED
from capturefile.view.app import Viewer
from capturefile.view.worker import TASKS
from processes import act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_CALL_SECONDS = 3.0
"""Seconds that a call may continue after a signal, on a busy machine."""


def shared_file(height: int, record: bytes, filler: int) -> bytes:
    """A file of 32**height copies of one record; its nodes are `filler` bytes apart."""
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


NOT_TRIED = {
    "open": "opens a file by its constructor, which all other calls here do",
    "CaptureFile.open": "the same",
    "CaptureFile.close": "reads nothing; it is called after each of the calls here",
    "CaptureFile.__enter__": "the same",
    "CaptureFile.__exit__": "the same",
    "CaptureFile.closed": "a value in memory",
    "CaptureFile.errors": "a value in memory",
    "CaptureFile.encoding": "a value in memory",
    "CaptureFile.codec": "a value in memory",
    "CaptureFile.start_commit": "reads no records",
    "CommitTicket": "waits for what others write",
    "CaptureFile.commit_time": "refuses files in format 2, whose index this is about",
    "CaptureFile.record_number_at": "the same",
    "CaptureFile.file_name": "a value in memory",
    "CaptureFile.path": "a value in memory",
    "CaptureFile.to_write": "a value in memory",
    "CaptureFile.writable": "a value in memory",
    "CaptureFile.use_os_file_locking": "a value in memory",
    "Follower.file_name": "a value in memory",
    "aio.open": "writes; it reads no records",
    "aio.Writer": "the same",
    "aio.Follower.__aenter__": "reads nothing; it is called before each of the calls here",
    "aio.Follower.__aexit__": "reads nothing; it is called after each of the calls here",
    "aio.Follower.aclose": "the same",
    "aio.Follower.file_name": "a value in memory",
    "checkpoint.KEY": "a constant",
    "checkpoint.Consumer": "made by the functions of its module, and tried by them",
    "checkpoint.ExactlyOnceConsumer": "the same",
    "checkpoint.AtLeastOnceConsumer": "the same",
    "rotating.RotatingWriter": "reads no records; the log of the calls on RotatingReader is written by one",
    "rotating.RotatingFollower": "made by RotatingReader.follow, and tried by it",
    "rotating.RotatingReader.__enter__": "reads nothing; it is called before each of the calls here",
    "rotating.RotatingReader.__exit__": "reads nothing; it is called after each of the calls here",
    "rotating.RotatingReader.close": "the same",
    "rotating.RotatingReader.closed": "a value in memory",
    "rotating.RotatingReader.file_name": "a value in memory",
    "rotating.RotatingReader.folder": "a value in memory",
    "sequence.RecordSequence": "the one at the top",
    "sequence.concat": "the one at the top",
    "logging": "writes; it reads no records",
    "structlog": "writes; it reads no records",
    "otel": "counts what others read and write",
    "codecs": "turn one record into another object",
    "upload": "reads a copy of the file that backup makes",
    "dask": "its tasks read by CaptureFile, in processes that Dask ends",
    "spark": "its tasks read by CaptureFile and as_arrow, in processes that Spark ends",
    "cli": "its commands are tried as such",
    "view.events": "tells numbers that CaptureFile.info gives",
    "view.job": "starts a process for one of the jobs, and ends it",
    "view.export": "the same; it goes through the records as a search does",
}
"""Public names without a call in `CALLS`, and the reasons."""
REFUSING = {
    "upload": "a path is no URL",
    "metadata": "there is none",
    "recover": "it tells at once that the index leads back to the same places",
}
"""Commands that fail, and the reasons."""
RECORDS_ARE_IN = (
    *(capturefile.CaptureFile, capturefile.ArrowRecords, capturefile.BlockIterator, capturefile.Follower),
    *(capturefile.RecordIterator, capturefile.RecordSequence, capturefile.Transaction),
    *(rotating.RotatingReader, aio.Follower),
)
"""The classes whose methods count as public names."""
PROTOCOLS = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__"),
    *("__arrow_c_schema__", "__arrow_c_stream__", "__bool__", "__contains__", "__enter__", "__exit__", "__getitem__"),
    *("__getitems__", "__iter__", "__len__", "__length_hint__", "__next__", "__reversed__", "_repr_html_"),
}
"""Methods that are public although their names begin with an underscore."""


def public_names() -> Iterator[str]:
    """All public callables except exceptions and plain values."""
    for name in capturefile.__all__:
        value = getattr(capturefile, name)
        if inspect.ismodule(value):
            yield from (inner for each in value.__all__ for inner in names_in(f"{name}.{each}", getattr(value, each)))
        elif not name.startswith("__"):
            yield from names_in(name, value)
    modules = {module.name for module in pkgutil.iter_modules(capturefile.__path__) if not module.name.startswith("_")}
    yield from modules - {*capturefile.__all__, "view"}
    yield from (
        f"view.{name}" for name, _ in inspect.getmembers(Viewer, inspect.isfunction) if not name.startswith("_")
    )
    yield from (f"view.jobs.{kind}" for kind in TASKS)


def names_in(name: str, value: object) -> Iterator[str]:
    """The name of a function, those of the methods of a reading class, or none."""
    if value in RECORDS_ARE_IN and not name.startswith("sequence."):
        yield from (f"{name}.{each}" for each in dir(value) if each in PROTOCOLS or not each.startswith("_"))
    elif not (inspect.isclass(value) and (issubclass(value, BaseException) or is_dataclass(value))):
        yield name


def tried_names() -> Iterator[str]:
    """The names that the calls test."""
    for call in shared_subtree_scenarios.CALLS:
        owner = ""
        for name in call.partition(":")[0].split():
            before, dot, last = name.rpartition(".")
            owner = before + dot if dot else owner
            yield owner + last if dot or owner else name


@pytest.mark.parametrize("call", shared_subtree_scenarios.CALLS)
def test_every_call_completes_or_can_be_interrupted(shared: Path, call: str) -> None:
    (took,) = act(shared_subtree_scenarios.use, shared, call)
    assert float(took) < MAX_CALL_SECONDS


@pytest.mark.parametrize("command", shared_subtree_scenarios.COMMANDS)
@pytest.mark.parametrize("shared", ["quadrillion"], indirect=True)
def test_every_command_completes_or_can_be_interrupted(shared: Path, command: str) -> None:
    took, code = act(shared_subtree_scenarios.use_command, shared, command)
    assert float(took) < MAX_CALL_SECONDS
    assert int(code) in (FAILED if command in REFUSING else DONE, INTERRUPTED)


def test_every_public_name_is_tested_or_has_a_reason() -> None:
    public, tried = set(public_names()), set(tried_names())
    excused = {name for name in public if {name, name.partition(".")[0]} & NOT_TRIED.keys()}
    assert public - tried - excused == set()
    assert tried & excused == set()
    assert {name for name in tried - public if not name.rpartition(".")[2].startswith("_")} == set()
    assert NOT_TRIED.keys() - excused - {name.partition(".")[0] for name in excused} == set()
    assert {command.split()[0] for command in shared_subtree_scenarios.COMMANDS} == set(cli.COMMANDS)


def test_blocks_know_their_records_in_any_number(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(shared_file(10, b"record", 40_000))
    with CaptureFile(path) as cf:
        (records,) = (block.records for block in cf.blocks() if block.records)
        assert (records.first, records.last) == (1, 32**10)


def test_a_run_of_records_ends_where_a_record_is_in_another_block(tmp_path: Path) -> None:
    """This also holds in a shared subtree whose first records are in the block."""
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


def test_a_diagram_of_blocks_counts_any_number_of_records(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(shared_file(10, b"record", 40_000))
    *_, last = TASKS["blocks"]({"path": str(path)})
    assert sum(segment["records"] for segment in last["done"]["segments"]) == 32**10
