"""The standard library's logging, and structlog, with a capture file and group commits."""

from __future__ import annotations

import gc
import json
import logging
import logging.config
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import capturefile
import loggers
import pytest
import structlog
from capturefile import CaptureFile
from capturefile.logging import CaptureHandler, JSONFormatter
from capturefile.structlog import LoggerFactory
from processes import PATIENCE, act, acting, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def committed(path: Path) -> list[str]:
    """The records that other readers see."""
    with CaptureFile(path) as cf:
        return list(cf)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A separate logger; its handlers are removed at the end."""
    logger = logging.Logger("test")
    yield logger
    for handler in list(logger.handlers):
        handler.close()


def attach(logger: logging.Logger, path: Path, **options: Any) -> CaptureHandler:  # noqa: ANN401
    """A handler that does not wait for the disk and commits only according to its options."""
    handler = CaptureHandler(path, **{"sync": "none", "commit_interval": None, **options})
    logger.addHandler(handler)
    return handler


# Records and commits


def test_formatted_records_are_written(logger: logging.Logger, path: Path) -> None:
    handler = attach(logger, path)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.info("%s from %s", "Ada", "London")
    logger.warning("Grüße \udcff")
    handler.flush()
    assert committed(path) == ["INFO Ada from London", "WARNING Grüße \\udcff"]


def test_records_are_committed_by_count(logger: logging.Logger, path: Path) -> None:
    attach(logger, path, commit_every=3)
    seen = []
    for number in range(7):
        logger.info("%d", number)
        seen.append(len(committed(path)))
    assert seen == [0, 0, 3, 3, 3, 6, 6]


def test_an_error_is_committed_immediately_with_earlier_records(logger: logging.Logger, path: Path) -> None:
    attach(logger, path)
    logger.info("before")
    assert committed(path) == []
    logger.error("error")
    assert committed(path) == ["before", "error"]


def test_the_level_of_commits_and_of_records_can_be_chosen(logger: logging.Logger, path: Path) -> None:
    attach(logger, path, level="INFO", commit_level="WARNING")
    logger.debug("too low")
    logger.warning("warning")
    assert committed(path) == ["warning"]
    handler = attach(logger, path.with_name("never"), commit_level=None)
    logger.critical("critical")
    assert (committed(path.with_name("never")), handler.level) == ([], logging.NOTSET)


def test_a_record_is_committed_after_the_interval(logger: logging.Logger, path: Path) -> None:
    attach(logger, path, commit_interval=0.05)
    for number in range(3):
        logger.info("%d", number)
        wait_until(lambda number=number: len(committed(path)) == number + 1)  # type: ignore[misc]


def test_a_thread_runs_only_while_there_are_uncommitted_records(logger: logging.Logger, path: Path) -> None:
    before = set(threading.enumerate())

    def more() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in before]

    attach(logger, path, commit_interval=1000.0, commit_every=2)
    assert more() == []
    for number in range(5):
        logger.info("%d", number)
    assert [thread.daemon for thread in more()] == [True]
    logger.handlers[0].close()
    wait_until(lambda: more() == [])
    assert len(committed(path)) == 5


def test_many_threads_log_and_every_record_is_there(logger: logging.Logger, path: Path) -> None:
    handler = attach(logger, path, commit_every=7, commit_interval=0.001)

    def log(name: int) -> None:
        for turn in range(300):
            logger.log(logging.ERROR if turn % 50 == 0 else logging.INFO, "%d %d", name, turn)

    threads = [threading.Thread(target=log, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    handler.close()
    found = committed(path)
    for name in range(6):
        assert [text for text in found if text.startswith(f"{name} ")] == [f"{name} {turn}" for turn in range(300)]


def test_a_configured_handler_has_its_options(path: Path) -> None:
    config = {
        "version": 1,
        "formatters": {"json": {"()": "capturefile.logging.JSONFormatter"}},
        "handlers": {
            "file": {
                "class": "capturefile.logging.CaptureHandler",
                "filename": str(path),
                "formatter": "json",
                "level": "INFO",
                "commit_every": 2,
                "commit_level": "CRITICAL",
                "compression_level": 1,
                "compression_block_size": 4096,
                "sync": "none",
            }
        },
        "loggers": {"configured": {"level": "DEBUG", "handlers": ["file"], "propagate": False}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger("configured")
    logger.debug("too low")
    logger.error("one")
    assert committed(path) == []
    logger.error("two")
    assert [json.loads(text)["message"] for text in committed(path)] == ["one", "two"]
    with CaptureFile(path) as cf:
        assert cf.info().block_size == 4096
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    CaptureFile(path, True).close()


def test_a_json_record_has_the_values_of_the_program(logger: logging.Logger, path: Path) -> None:
    handler = attach(logger, path)
    handler.setFormatter(JSONFormatter())
    try:
        raise ValueError("wrong\nvalue")
    except ValueError:
        logger.exception("failed: %s", "it", extra={"user": "Ada", "level": "mine", "path": path}, stack_info=True)
    (entry,) = map(json.loads, committed(path))
    assert {key: entry[key] for key in ("level", "logger", "message", "user", "path")} == {
        "level": "ERROR",
        "logger": "test",
        "message": "failed: it",
        "user": "Ada",
        "path": str(path),
    }
    assert entry["exception"].endswith("ValueError: wrong\nvalue")
    assert entry["stack"].startswith("Stack (most recent call last)")
    assert entry["time"].endswith("+00:00")
    assert entry.keys() == {"time", "level", "logger", "message", "user", "path", "exception", "stack"}


# The end of handlers and processes


@pytest.mark.parametrize("how", ["return", "exit", "no timer"])
def test_the_end_of_the_process_commits_all_records(path: Path, how: str) -> None:
    act(loggers.log_and_end, path, how)
    assert committed(path) == [f"record {number}" for number in range(10)]


def test_a_killed_process_loses_uncommitted_records(path: Path) -> None:
    with acting(loggers.log_and_end, path, "wait to be killed") as process:
        process.expect("logged")
        process.kill()
    assert committed(path) == []


def test_the_interpreter_exits_while_threads_log(path: Path) -> None:
    for _ in range(3):
        assert act(loggers.log_while_ending, path) == ["ending"]
    assert capturefile.verify(path).sound


def test_a_forked_child_gets_errors_and_both_processes_continue_logging(path: Path) -> None:
    assert act(loggers.fork_while_logging, path, 40) == ["all there"]


def test_a_dropped_handler_is_released_immediately(path: Path) -> None:
    def drop_a_handler() -> weakref.ref[CaptureHandler]:
        handler = CaptureHandler(path, sync="none", commit_interval=1000.0)
        handler.emit(logging.makeLogRecord({"msg": "uncommitted", "levelno": logging.INFO}))
        return weakref.ref(handler)

    gc.disable()
    with pytest.warns(capturefile.UncommittedWarning, match="1 uncommitted record"):
        reference = drop_a_handler()
    gc.enable()
    assert reference() is None


def test_closing_twice_and_flushing_after_it_do_nothing(logger: logging.Logger, path: Path) -> None:
    handler = attach(logger, path)
    logger.info("one")
    handler.close()
    handler.close()
    handler.flush()
    assert committed(path) == ["one"]


# Errors


def errors_of(handler: CaptureHandler) -> list[type[BaseException] | None]:
    """Collects the errors that the handler handles."""
    seen: list[type[BaseException] | None] = []
    handler.handleError = lambda record: seen.append(sys.exc_info()[0])  # type: ignore[method-assign]
    return seen


def test_errors_are_handled_and_never_reach_the_caller(logger: logging.Logger, path: Path) -> None:
    handler = attach(logger, path)
    seen = errors_of(handler)
    logger.info("%d", "no number")
    assert seen == [TypeError]
    logger.info("one")
    path.with_name("gone").mkdir()
    elsewhere = attach(logger, path.with_name("gone") / "log", delay=True)
    seen = errors_of(elsewhere)
    path.with_name("gone").rmdir()
    logger.info("two")
    assert seen == [FileNotFoundError]
    handler.close()
    assert committed(path) == ["one", "two"]


class Failing:
    """A file on a full disk."""

    def __init__(self, cf: CaptureFile[str]) -> None:
        self.cf = cf
        self.full = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.cf, name)

    def commit(self) -> None:
        """Commits if the disk has room."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.cf.commit()


def fail_commits(handler: CaptureHandler) -> Failing:
    """Makes the commits of a handler fail."""
    group: Any = handler._log._shared and handler._log._shared.group
    group.cf = Failing(group.cf)
    return group.cf  # type: ignore[no-any-return]


@pytest.mark.parametrize("when", ["by age", "flush", "close", "at once"])
def test_a_failed_commit_is_handled(logger: logging.Logger, path: Path, when: str) -> None:
    handler = attach(logger, path, commit_interval=0.05 if when == "by age" else None)
    seen = errors_of(handler)
    failing = fail_commits(handler)
    logger.log(logging.ERROR if when == "at once" else logging.INFO, "one")
    if when == "close":
        with pytest.warns(capturefile.UncommittedWarning):
            handler.close()
        assert seen == [OSError]
        return
    if when == "flush":
        handler.flush()
    wait_until(lambda: bool(seen))
    assert set(seen) == {OSError}
    failing.full = False
    if when != "by age":
        handler.flush()
    wait_until(lambda: committed(path) == ["one"])


def test_an_error_handler_can_wait_for_a_thread_that_logs(logger: logging.Logger, path: Path) -> None:
    """It is called without a lock that the other thread needs."""
    handler = attach(logger, path, commit_interval=0.02)
    failing = fail_commits(handler)
    waited: list[bool] = []

    def handle(record: logging.LogRecord) -> None:
        thread = threading.Thread(target=logger.info, args=["from another thread"])
        thread.start()
        thread.join(5)
        waited.append(thread.is_alive())
        failing.full = False

    handler.handleError = handle  # type: ignore[method-assign]
    logger.info("one")
    wait_until(lambda: bool(waited))
    assert waited == [False]
    wait_until(lambda: committed(path) == ["one", "from another thread"])


@pytest.mark.parametrize(
    "wrong", [{"commit_every": 0}, {"commit_interval": 0}, {"commit_interval": float("nan")}, {"commit_level": "LOUD"}]
)
def test_wrong_settings_are_refused_and_leave_nothing_open(path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("commit_level", "LOUD")):
        CaptureHandler(path, **wrong)
    if "commit_level" not in wrong:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            LoggerFactory(path, **wrong)
    CaptureFile(path, True, sync=False).close()


def test_a_file_that_cannot_be_opened_is_an_immediate_error(path: Path) -> None:
    makers: list[Callable[[Path], object]] = [CaptureHandler, LoggerFactory]
    for make in makers:
        with pytest.raises(FileNotFoundError):
            make(path / "missing")


# structlog


@pytest.fixture
def factory(path: Path) -> Iterator[LoggerFactory]:
    """A factory that does not wait for the disk and commits only according to its options."""
    factory = LoggerFactory(path, sync="none", commit_interval=None)
    yield factory
    factory.close()


def test_structlog_writes_its_events(factory: LoggerFactory, path: Path) -> None:
    processors: list[Any] = [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
    logger = structlog.wrap_logger(None, processors=processors, logger_factory=factory)
    structlog.configure(processors=processors, logger_factory=factory, cache_logger_on_first_use=False)
    try:
        logger = structlog.get_logger("name")
        logger.info("visited", visitor="Ada")
        logger.debug("detail")
        assert committed(path) == []
        logger.error("failed")
    finally:
        structlog.reset_defaults()
    assert [json.loads(text) for text in committed(path)] == [
        {"event": "visited", "visitor": "Ada", "level": "info"},
        {"event": "detail", "level": "debug"},
        {"event": "failed", "level": "error"},
    ]


def test_every_method_that_structlog_calls_writes(factory: LoggerFactory, path: Path) -> None:
    names = ["msg", "log", "debug", "info", "warn", "warning", "err", "error", "failure", "exception", "fatal"]
    logger = factory("any", "names")
    for name in names:
        getattr(logger, name)(name if name != "debug" else b"debug")
    factory.flush()
    assert committed(path) == names
    assert repr(logger) == f"<CaptureLogger to {str(path)!r}>"


def test_events_are_committed_by_level_count_and_age(tmp_path: Path) -> None:
    by_count = LoggerFactory(tmp_path / "count", sync="none", commit_every=2, commit_levels=["warning"])
    logger = by_count()
    logger.error("one")
    assert committed(tmp_path / "count") == []
    logger.error("two")
    assert committed(tmp_path / "count") == ["one", "two"]
    logger.warning("three")
    assert committed(tmp_path / "count") == ["one", "two", "three"]
    by_count.close()
    by_age = LoggerFactory(tmp_path / "age", sync="none", commit_interval=0.05)
    by_age().info("one")
    wait_until(lambda: committed(tmp_path / "age") == ["one"])
    by_age.close()


def test_the_end_of_the_process_commits_the_last_events(path: Path) -> None:
    act(loggers.log_events_and_end, path)
    assert committed(path) == [f"record {number}" for number in range(10)]


def test_a_dropped_factory_commits_and_closes(path: Path) -> None:
    logger = LoggerFactory(path, sync="none", commit_interval=None)()
    logger.info("one")
    gc.collect()
    assert committed(path) == []
    del logger
    gc.collect()
    assert committed(path) == ["one"]
    CaptureFile(path, True, sync=False).close()
