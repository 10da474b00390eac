"""The files of handlers and loggers: shared in a process, one for each process, opened late, or a rotated log."""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import pickle
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loggers
import pytest
from capturefile import CaptureFile, CaptureFileError
from capturefile.logging import CaptureHandler, JSONFormatter
from capturefile.rotating import RotatingReader
from capturefile.structlog import LoggerFactory
from processes import act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def committed(path: Path) -> list[str]:
    """The records that other readers see."""
    with CaptureFile(path) as cf:
        return list(cf)


def record(text: str, level: int = logging.INFO) -> logging.LogRecord:
    """A record as a logger passes it to handlers."""
    return logging.makeLogRecord({"msg": text, "levelno": level})


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., CaptureHandler]]:
    """Creates handlers that do not wait for the disk, and closes them at the end."""
    handlers = []

    def make(where: Path = path, **options: Any) -> CaptureHandler:  # noqa: ANN401
        handlers.append(CaptureHandler(where, **{"sync": "none", "commit_interval": None, **options}))
        return handlers[-1]

    yield make
    for handler in handlers:
        handler.close()


# Opened late, reopened, and shared


def test_a_file_can_be_opened_by_the_first_record(make: Callable[..., CaptureHandler], path: Path) -> None:
    handler = make(delay=True)
    handler.flush()
    assert not path.exists()
    handler.handle(record("one"))
    handler.close()
    assert committed(path) == ["one"]


def test_a_closed_handler_opens_its_file_for_each_record(make: Callable[..., CaptureHandler], path: Path) -> None:
    handler = make()
    handler.close()
    for text in ("late", "later"):
        handler.handle(record(text))
        CaptureFile(path, True, sync=False).close()
    assert committed(path) == ["late", "later"]


def test_handlers_and_loggers_of_a_process_share_a_file(make: Callable[..., CaptureHandler], path: Path) -> None:
    first, second = make(), make()
    factory = LoggerFactory(path.parent / ".." / path.parent.name / path.name, sync="none", commit_interval=None)
    logger = factory()
    for number in range(3):
        first.handle(record(f"first {number}"))
        second.handle(record(f"second {number}"))
        logger.info(f"third {number}")
    first.close()
    first.handle(record("first again"))
    texts = [f"{name} {number}" for number in range(3) for name in ("first", "second", "third")]
    assert committed(path) == [*texts, "first again"]
    second.handle(record("second again"))
    second.close()
    assert committed(path)[10:] == ["second again"]
    factory.close()
    CaptureFile(path, True, sync=False).close()


def test_the_settings_of_the_handler_that_opened_last_apply(make: Callable[..., CaptureHandler], path: Path) -> None:
    first = make()
    first.handle(record("one"))
    assert committed(path) == []
    second = make(commit_every=2)
    assert committed(path) == ["one"]
    first.handle(record("two"))
    assert committed(path) == ["one"]
    second.handle(record("three"))
    assert committed(path) == ["one", "two", "three"]


def test_a_cell_of_a_notebook_can_configure_logging_again(path: Path) -> None:
    act(loggers.configure_again, path)
    assert committed(path) == ["cell 0", "cell 1", "cell 2"]


def test_records_logged_after_the_handler_is_closed_at_exit_are_kept(path: Path) -> None:
    act(loggers.log_at_the_end, path)
    assert committed(path) == ["buffered 0", "buffered 1", "buffered 2", "last"]


@pytest.mark.parametrize("how", ["missing", "level", "commit level", "option"])
def test_a_handler_whose_construction_failed_does_not_affect_others_at_exit(path: Path, how: str) -> None:
    act(loggers.end_beside_a_handler_that_failed, path, how)
    assert committed(path) == ["important"]


def test_a_commit_hook_may_log(path: Path) -> None:
    assert act(loggers.log_from_a_hook, path) == ["done"]
    texts = committed(path)
    assert texts.count("from a thread") == 9000
    assert "from the hook" in texts


@pytest.mark.parametrize("how", ["renamed", "removed", "replaced"])
def test_a_renamed_file_is_complete_and_the_log_continues_in_a_new_one(
    make: Callable[..., CaptureHandler], path: Path, how: str
) -> None:
    moved = path.with_name("moved")
    handler = make(commit_every=3)
    for number in range(4):
        handler.handle(record(str(number)))
    if how == "removed":
        os.link(path, moved)
        path.unlink()
    else:
        path.rename(moved)
    if how == "replaced":
        CaptureFile(path, True, sync=False).close()
    for number in range(4, 8):
        handler.handle(record(str(number)))
    handler.close()
    assert committed(moved) == ["0", "1", "2", "3", "4", "5"]
    assert committed(path) == ["6", "7"]


def test_a_failed_writer_is_replaced_by_a_new_one(make: Callable[..., CaptureHandler], path: Path) -> None:
    handler = make()
    handler.handle(record("one"))
    handler.flush()
    shared: Any = handler._log._shared
    failed = shared.group

    class Failed:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(cf, name)

        def add_record(self, _record: object) -> None:
            raise CaptureFileError("an earlier commit has failed")

    cf, failed.cf = failed.cf, Failed()
    handler.handle(record("two"))
    assert shared.group is not failed
    handler.close()
    assert committed(path) == ["one", "two"]


# A file for each process


@pytest.mark.parametrize("rotated", ["", "rotated"])
def test_each_process_has_its_own_file_if_the_path_says_so(tmp_path: Path, rotated: str) -> None:
    parent, *children = act(loggers.log_in_children, tmp_path / "log.{pid}", rotated)
    assert len(children) == 2
    assert {path.name for path in tmp_path.iterdir()} == {f"log.{number}" for number in (parent, *children)}
    for number, count in ((parent, 1), (children[0], 2), (children[1], 2)):
        path = tmp_path / f"log.{number}"
        with RotatingReader(path) if rotated else CaptureFile(path) as log:
            assert list(log.as_sequence()) == [f"from {number}"] * count


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_processes_of_a_pool_commit_at_their_end(tmp_path: Path, method: str) -> None:
    processes = act(loggers.log_in_a_pool, tmp_path / "log.{pid}", method)
    texts = {text for number in set(processes) for text in committed(tmp_path / f"log.{number}")}
    assert texts == {f"record {number}" for number in range(20)}


def test_a_log_can_be_in_several_files(make: Callable[..., CaptureHandler], tmp_path: Path) -> None:
    folder = tmp_path / "log"
    handler = make(folder, max_bytes=1, commit_every=2)
    for number in range(6):
        handler.handle(record(str(number)))
    handler.close()
    with RotatingReader(folder) as log:
        assert len(log.files()) == 3
        assert list(log.as_sequence()) == ["0", "1", "2", "3", "4", "5"]


def test_old_files_of_a_log_are_deleted(make: Callable[..., CaptureHandler], tmp_path: Path) -> None:
    folders = [tmp_path / "handler", tmp_path / "factory"]
    handler = make(folders[0], max_bytes=1, commit_every=2, keep_files=2)
    factory = LoggerFactory(folders[1], max_bytes=1, commit_every=2, keep_files=2, sync="none")
    logger = factory()
    for number in range(6):
        handler.handle(record(str(number)))
        logger.info(str(number))
    handler.close()
    factory.close()
    for folder in folders:
        with RotatingReader(folder) as log:
            assert (len(log.files()), list(log)) == (2, ["2", "3", "4", "5"])


@pytest.mark.parametrize("limit", ["keep_files", "keep_bytes", "keep_age"])
def test_limits_for_old_files_need_a_rotated_log(tmp_path: Path, limit: str) -> None:
    options: dict[str, Any] = {limit: 3}
    for kind in (CaptureHandler, LoggerFactory):
        with pytest.raises(ValueError, match="exist only with max_bytes or max_age"):
            kind(tmp_path / "log", **options)
    assert not (tmp_path / "log").exists()


def test_handlers_and_loggers_cannot_be_pickled_or_copied(make: Callable[..., CaptureHandler], path: Path) -> None:
    factory = LoggerFactory(path.with_name("other"), sync="none")
    for thing in (make(), factory, factory()):
        for take in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled or copied: a file has one writer"):
                take(thing)
    factory.close()


# Settings


@pytest.mark.parametrize("interval", [math.inf, threading.TIMEOUT_MAX * 2, 1e300, threading.TIMEOUT_MAX, 3_000_000])
def test_an_interval_may_have_any_length(make: Callable[..., CaptureHandler], path: Path, interval: float) -> None:
    handler = make(commit_interval=interval, commit_every=2)
    for number in range(3):
        handler.handle(record(str(number)))
    assert committed(path) == ["0", "1"]
    handler.close()
    assert committed(path) == ["0", "1", "2"]


def test_invalid_settings_are_refused_even_if_the_file_is_opened_late(path: Path) -> None:
    wrongs: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"comit_every": 3}, TypeError),
        ({"encoding": "no such"}, LookupError),
        ({"errors": "no such"}, LookupError),
        ({"commit_every": 0}, ValueError),
    ]
    for wrong, kind in wrongs:
        for make in (CaptureHandler, LoggerFactory):
            with pytest.raises(kind):
                make(path, delay=True, **wrong)
    with pytest.raises(TypeError, match=r"\['error'\]"):
        LoggerFactory(path, commit_levels="error")
    assert not path.exists()


# JSON


class Silent:
    """An object that cannot be converted to text."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def recursive() -> dict[str, Any]:
    """A container that contains itself twice."""
    found: dict[str, Any] = {}
    found.update(a=found, b=found)
    return found


def nested(depth: int) -> object:
    """Lists in lists."""
    found: object = 1
    for _ in range(depth):
        found = [found]
    return found


AWKWARD = {
    "in itself": (recursive(), {"a": "...", "b": "..."}),
    "keys that are tuples": ({(1, 2): 3}, {"(1, 2)": 3}),
    "keys of all kinds": ({uuid.UUID(int=0): 1, None: 2, b"a": 3, 4: 5, 0.5: 6}, None),
    "no text": (Silent(), "<Silent, str() of which raises RuntimeError>"),
    "a key that is not text": ({Silent(): math.nan}, {"<Silent, str() of which raises RuntimeError>": "NaN"}),
    "a huge integer": ([10**5000], [hex(10**5000)]),
    "not a number": ([math.nan, 1.5, -math.inf], ["NaN", 1.5, "-Infinity"]),
    "nested": (nested(100_000), None),
    "a set": ({1}, "{1}"),
}


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize("what", AWKWARD)
def test_a_json_record_is_written_for_any_value(make: Callable[..., CaptureHandler], path: Path, what: str) -> None:
    handler = make()
    handler.setFormatter(JSONFormatter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    given, expected = AWKWARD[what]
    logger.error("it happened", extra={"given": given, "also": "here"})
    (text,) = committed(path)
    entry = json.loads(text, parse_constant=refuse)
    assert (entry["message"], entry["also"]) == ("it happened", "here")
    assert "given" in entry
    assert expected is None or entry["given"] == expected


def test_a_json_record_includes_an_exception_from_another_process() -> None:
    sent = logging.makeLogRecord({"msg": "failed", "exc_info": None, "exc_text": "Traceback: ValueError"})
    assert json.loads(JSONFormatter().format(sent))["exception"] == "Traceback: ValueError"
