"""Programs that log to a capture file, fork, exit, and are killed.

The functions are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import atexit
import logging
import logging.config
import logging.handlers
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import capturefile
import subprocess_scenarios
from capturefile._capturefile import set_commit_hook
from capturefile.logging import CaptureHandler
from capturefile.structlog import LoggerFactory
from subprocess_scenarios import fork, listen, say


def configured(path: str, **options: object) -> logging.Logger:
    """A logger that writes only to the file, configured the way programs do it."""
    handler = {"class": "capturefile.logging.CaptureHandler", "filename": path, "sync": "none", **options}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"file": handler},
            "root": {"level": "DEBUG", "handlers": ["file"]},
        }
    )
    return logging.getLogger("service")


def log_and_end(path: str, how: str) -> None:
    """Logs a record that only the end of the process commits."""
    logger = configured(path, commit_interval=None if how == "no timer" else 1000.0)
    for number in range(10):
        logger.info("record %d", number)
    if how == "exit":
        raise SystemExit(0)
    if how == "wait to be killed":
        say("logged")
        listen()


def log_events_and_end(path: str) -> None:
    """The same with a logger for structlog."""
    logger = LoggerFactory(path, sync="none", commit_interval=1000.0)()
    for number in range(10):
        logger.info(f"record {number}")


def log_while_ending(path: str) -> None:
    """Logs from daemon threads while the interpreter ends."""
    logger = configured(path, commit_interval=0.001)

    def log_forever() -> None:
        while True:
            logger.info("from a thread")

    logging.raiseExceptions = False
    for _ in range(4):
        threading.Thread(target=log_forever, daemon=True).start()
    time.sleep(0.05)
    say("ending")


def fork_while_logging(path: str, rounds: str) -> None:
    """Forks repeatedly while threads log; a child that logs gets an error, and continues."""
    logger = configured(path, commit_interval=0.001, commit_every=3)
    done = threading.Event()
    written = [0, 0]

    def log(name: int) -> None:
        while not done.is_set():
            logger.info("from thread %d", name)
            written[name] += 1

    threads = [threading.Thread(target=log, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, CaptureHandler)
    try:
        for _ in range(int(rounds)):
            child = fork()
            if not child:
                _log_in_child(handler)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
    for thread in threads:
        thread.join()
    logging.shutdown()
    with capturefile.open(path) as cf:
        say("all there" if len(cf) == sum(written) else f"{len(cf)} records, not {sum(written)}")


def end_beside_a_handler_that_failed(path: str, how: str) -> None:
    """Keeps a handler whose construction failed until the end, together with one that has something to commit."""
    root = logging.getLogger()
    root.addHandler(CaptureHandler(path, commit_interval=1000.0))
    root.warning("important")
    wrong = {"missing": {}, "level": {"level": "LOUD"}, "commit level": {"commit_level": "LOUD"}, "option": {"no": 1}}
    kept = []
    try:
        CaptureHandler("/missing/folder/log" if how == "missing" else f"{path}.other", **wrong[how])  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError) as error:
        kept.append(error)
    assert kept
    sys.modules["kept"] = kept  # type: ignore[assignment]


def log_at_the_end(path: str) -> None:
    """Logs through a buffer and a function that are called after the handler is closed."""
    buffer = logging.handlers.MemoryHandler(1000)
    target = CaptureHandler(path, sync="none", commit_interval=1000.0)
    buffer.setTarget(target)
    logger = logging.getLogger("service")
    logger.addHandler(buffer)
    for number in range(3):
        logger.warning("buffered %d", number)
    atexit._clear()
    atexit.register(target.handle, logging.makeLogRecord({"msg": "last", "levelno": logging.INFO}))
    atexit.register(logging.shutdown)


def configure_again(path: str) -> None:
    """Runs the same notebook cell again, and then one with other settings."""
    for number in range(3):
        handlers = [CaptureHandler(path, commit_interval=None, compression_level=1 + number // 2)]
        logging.basicConfig(handlers=handlers, force=True, level="INFO", format="%(message)s")
        logging.info("cell %d", number)


def log_in_children(path: str, rotated: str) -> None:
    """Logs in a process and in forked children, each to its own file; reports the process ids."""
    options: dict[str, Any] = {"max_bytes": 1 << 20} if rotated else {}
    logger = configured(path, commit_interval=1000.0, **options)
    logger.info("from %d", os.getpid())
    say(str(os.getpid()))
    sys.stdout.flush()
    for _ in range(2):
        if not (child := fork()):
            for _ in range(2):
                logger.info("from %d", os.getpid())
            logging.shutdown()
            os._exit(0)
        say(str(child))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def log_in_a_pool(path: str, method: str) -> None:
    """Logs in the processes of a pool, which end while records are uncommitted; reports the process ids."""
    configure_a_process(path)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context, initializer=configure_a_process, initargs=(path,)) as pool:
        for number in pool.map(log_and_tell, range(20)):
            say(str(number))


def configure_a_process(path: str) -> None:
    """Creates the handler of a process of a pool."""
    configured(path, commit_interval=1000.0, delay=True)


def log_and_tell(number: int) -> int:
    """Logs, and returns the process id."""
    logging.getLogger("service").info("record %d", number)
    return os.getpid()


def log_from_a_hook(path: str) -> None:
    """Logs from the hook of a commit, in the thread that commits by age, while other threads log all the time."""
    logger = configured(path, commit_interval=0.0001, commit_every=100)
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, CaptureHandler)
    logger.info("first")
    shared: Any = handler._log._shared
    set_commit_hook(shared.group.cf, lambda *_: logger.error("from the hook"))

    def log() -> None:
        for _ in range(3000):
            logger.info("from a thread")

    threads = [threading.Thread(target=log) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    set_commit_hook(shared.group.cf, None)
    say("done")


class CountingHandler(logging.Handler):
    """Counts the records that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Counts."""
        self.count += 1


def _log_in_child(handler: CaptureHandler) -> None:
    import signal

    signal.alarm(20)
    seen: list[type[BaseException] | None] = []
    handler.handleError = lambda record: seen.append(sys.exc_info()[0])  # type: ignore[method-assign]
    also = CountingHandler()
    logging.getLogger().addHandler(also)
    for _ in range(3):
        logging.getLogger("child").error("from a child")
    logging.shutdown()
    fine = seen == [capturefile.CaptureFileNotOpenForWrite] * 3 and also.count == 3
    os._exit(0 if fine else 1)


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
