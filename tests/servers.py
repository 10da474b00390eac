"""The recipes for multi-process servers, run as a user runs them: `make test-services` installs the servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import pytest
from processes import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVERS = Path(__file__).parent.parent / "examples" / "servers"
BIN = Path(sys.executable).parent
SECONDS_TO_LOAD = 10
"""Seconds in which a server has reloaded itself, on a busy machine."""


def free_port() -> int:
    """A free port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, command: Sequence[str | Path], servers: Path = SERVERS) -> Iterator[subprocess.Popen[bytes]]:
    """A server that logs to `folder`; all its processes are ended when the block is left."""
    environment = {**os.environ, "LOG_FOLDER": str(folder), "PYTHONPATH": str(servers), "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        (folder / "printed").open("wb") as printed,
        subprocess.Popen(
            command, cwd=servers, env=environment, stdout=printed, stderr=printed, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ask(port: int, path: str) -> str | None:
    """The server's answer, or None if there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
            return text
    except (ConnectionError, urllib.error.URLError):
        return None


def logged(folder: Path) -> dict[str, list[str]]:
    """The requests that each process has committed, by process id."""
    found = {}
    for path in folder.glob("service.*.capture"):
        with capturefile.open(path) as log:
            entries = [json.loads(record) for record in log]
        found[path.name.split(".")[1]] = [entry["message"] for entry in entries if entry["logger"] == "shop"]
    return found


def copy_of_servers(folder: Path) -> Path:
    """A copy of the recipes that a test can change."""
    servers = folder / "servers"
    servers.mkdir()
    for path in SERVERS.glob("*.py"):
        (servers / path.name).write_text(path.read_text())
    return servers


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a server as its operators do."""
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ends a server as Ctrl-C does, which reaches all its processes."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(PATIENCE)


def ask_until_two_have_answered(port: int) -> dict[str, list[str]]:
    """Sends requests until two processes have answered some; returns what each of them must have logged."""
    wait_until(lambda: ask(port, "/first") is not None)
    answers: dict[str, list[str]] = {}
    number = 0

    def enough() -> bool:
        nonlocal number
        number += 1
        process = ask(port, f"/{number}")
        assert process is not None
        answers.setdefault(process, []).append(f"request /{number}")
        return len(answers) > 1 and number > 30

    wait_until(enough)
    return answers


@pytest.mark.parametrize(
    "command",
    [
        ["gunicorn", "--workers", "3", "--bind", "127.0.0.1:{port}", "with_gunicorn:app"],
        ["gunicorn", "--workers", "3", "--preload", "--bind", "127.0.0.1:{port}", "with_gunicorn:app"],
        ["gunicorn", "--workers", "3", "-k", "gevent", "--bind", "127.0.0.1:{port}", "with_gunicorn:app"],
        ["uvicorn", "--workers", "3", "--port", "{port}", "with_uvicorn:app"],
    ],
    ids=["gunicorn", "gunicorn, preloaded", "gunicorn with gevent", "uvicorn"],
)
def test_each_request_is_in_the_log_of_the_process_that_answered_it(tmp_path: Path, command: list[str]) -> None:
    port = free_port()
    with serving(tmp_path, [BIN / command[0], *(word.format(port=port) for word in command[1:])]) as server:
        answers = ask_until_two_have_answered(port)
        end(server)
    found = logged(tmp_path)
    for process, requests in answers.items():
        assert [text for text in found[process] if text != "request /first"] == requests
    assert sum(texts.count("request /first") for texts in found.values()) == 1


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "uvicorn", "--reload", "--port", "{port}", "with_uvicorn:app"],
        [sys.executable, "with_django.py", "runserver", "127.0.0.1:{port}"],
    ],
    ids=["uvicorn", "django"],
)
def test_a_server_that_reloads_itself_loses_nothing(tmp_path: Path, command: list[str | Path]) -> None:
    servers = copy_of_servers(tmp_path)
    port = free_port()
    with serving(tmp_path, [str(word).format(port=port) for word in command], servers) as server:
        wait_until(lambda: ask(port, "/before") is not None)
        first = ask(port, "/one")
        changed = 0.0

        def reloaded() -> bool:
            """Changes a file repeatedly: the server misses a change from before its first check."""
            nonlocal changed
            if time.monotonic() - changed > SECONDS_TO_LOAD:
                changed = time.monotonic()
                (servers / "service_log.py").write_text(f"{(servers / 'service_log.py').read_text()}\n")
            return ask(port, "/meanwhile") not in {first, None}

        wait_until(reloaded)
        second = ask(port, "/two")
        interrupt(server)
        wait_until(lambda: ask(port, "/over") is None)
    found = logged(tmp_path)
    assert first is not None
    assert second is not None
    assert found[first][:2] == ["request /before", "request /one"]
    assert set(found[first][2:]) <= {"request /meanwhile"}
    assert "request /two" in found[second]


def send_tasks(folder: Path) -> None:
    """Sends thirty tasks to a worker of Celery."""
    send = "import with_celery; [with_celery.visit.delay(f'/{number}') for number in range(30)]"
    with serving(folder, [sys.executable, "-c", send]) as sender:
        assert sender.wait(PATIENCE) == 0


CELERY: list[str | Path] = [BIN / "celery", "--app", "with_celery", "worker", "--concurrency", "3", "--without-mingle"]


def test_each_task_of_celery_is_in_the_log_of_a_process_of_its_pool(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    with serving(tmp_path, CELERY) as worker:
        send_tasks(tmp_path)
        wait_until(lambda: sum(map(len, logged(tmp_path).values())) == 30)
        end(worker)
    found = logged(tmp_path)
    assert sorted(text for texts in found.values() for text in texts) == sorted(f"request /{n}" for n in range(30))
    assert sum(bool(texts) for texts in found.values()) > 1


def test_log_records_of_celery_tasks_are_committed_at_the_end_of_the_pool(tmp_path: Path) -> None:
    servers, messages = copy_of_servers(tmp_path), tmp_path / "messages"
    messages.mkdir()
    path = servers / "service_log.py"
    path.write_text(path.read_text().replace('"delay": True', '"delay": True, "commit_interval": None'))
    with serving(tmp_path, CELERY, servers) as worker:
        send_tasks(tmp_path)
        # At most four for each process have been fetched and not begun yet.
        wait_until(lambda: not list(messages.glob("*.celery.msg")))
        end(worker)
    texts = [text for texts in logged(tmp_path).values() for text in texts]
    assert len(texts) == len(set(texts)) >= 30 - 4 * 3


def test_the_logs_of_all_processes_are_printed_in_chronological_order(tmp_path: Path) -> None:
    for process, times in (("7", "134"), ("8", "2")):
        with capturefile.open(tmp_path / f"service.{process}.capture", "a") as log:
            for time in times:
                log.add_record(json.dumps({"time": time, "level": "INFO", "logger": "shop", "message": process}))
            log.commit()
    environment = {**os.environ, "LOG_FOLDER": str(tmp_path)}
    command: list[str | Path] = [sys.executable, SERVERS / "service_log.py"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert [line.split()[0] for line in printed.stdout.splitlines()] == ["1", "2", "3", "4"]


def test_every_server_recipe_is_tested_and_documented() -> None:
    source, page = Path(__file__).read_text(), (SERVERS.parent.parent / "docs" / "logging.md").read_text()
    for path in SERVERS.glob("*.py"):
        assert path.stem in source
        assert f"examples/servers/{path.name}" in page


# Event loops other than asyncio's

PRELUDE = """
import sys
from pathlib import Path
import capturefile
(block,) = [part for part in Path(sys.argv[1]).read_text().split("```") if "def some(" in part]
exec(block.removeprefix("python"))
writer = capturefile.open(sys.argv[2], "a", sync="none")
reader = capturefile.open(sys.argv[2])
follower = reader.follow(timeout=0.5)
def write(number):
    writer.add_records([f"{number} a", f"{number} b"])
    writer.commit()
"""
IN_GEVENT = """
import gevent
turns = 0
def turn():
    global turns
    while True:
        turns += 1
        gevent.sleep(0.001)
other = gevent.spawn(turn)
gevent.spawn_later(0.05, write, 1)
threads = gevent.get_hub().threadpool
print(threads.apply(some, (follower,)), threads.apply(some, (follower,)), turns > 5)
"""
IN_TRIO = """
import trio
async def main():
    try:
        await anext(capturefile.aio.follow(sys.argv[2]))
    except RuntimeError as error:
        assert "running event loop of asyncio" in str(error), error
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, write, 1)
        print(await trio.to_thread.run_sync(some, follower), end=" ")
    print(await trio.to_thread.run_sync(some, follower), True)
trio.run(main)
"""


@pytest.mark.parametrize("program", [IN_GEVENT, IN_TRIO], ids=["gevent", "trio"])
def test_a_follower_waits_in_a_thread_of_another_event_loop(tmp_path: Path, program: str) -> None:
    page = SERVERS.parent.parent / "docs" / "following.md"
    command: list[str | Path] = [sys.executable, "-c", PRELUDE + program, page, tmp_path / "log.capture"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.stdout, done.stderr) == ("['1 a', '1 b'] [] True\n", "")
