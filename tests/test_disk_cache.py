"""The disk cache for objects in stores."""

from __future__ import annotations

import os
import pickle
import random
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import DiskCache
from capturefile._disk_cache import PAGE, PAGES, ObjectCache
from object_server import ObjectServer, WebStore
from processes import PATIENCE
from test_object_stores import COUNT, NAME, text, write

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = '"tag"'
MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    """A server without objects."""
    with ObjectServer() as server:
        yield server


@pytest.fixture
def local(tmp_path: Path, server: ObjectServer) -> Path:
    """A file of several MiB with a copy on the server."""
    path = tmp_path / "log.capture"
    server.objects[NAME] = write(path, 2 * COUNT, 3)
    return path


@pytest.fixture
def cache(tmp_path: Path, server: ObjectServer) -> DiskCache:
    """An empty cache for the server."""
    return DiskCache(tmp_path / "cache", 64 * MIB, WebStore(server.url))


def read(cache: DiskCache, count: int = 2 * COUNT) -> None:
    with capturefile.open(NAME, store=cache) as cf:
        assert list(cf) == [text(number) for number in range(1, count + 1)]


def parts(cache: DiskCache) -> list[Path]:
    """The files of a cache."""
    return sorted(Path(cache.folder).glob("*/*"))


def fetched(server: ObjectServer) -> int:
    """The number of bytes that were requested since the last call, except for the first of a file."""
    return sum(end - start for method, start, end in server.asked() if method == "GET" and start)


def test_cached_data_is_not_fetched_again(local: Path, server: ObjectServer, cache: DiskCache) -> None:
    read(cache)
    size = local.stat().st_size
    assert size // 2 < fetched(server) <= size
    read(cache)
    assert fetched(server) == 0
    with capturefile.open(NAME, store=cache) as cf:
        numbers = random.Random(7).sample(range(1, 2 * COUNT), 100)
        assert cf.records_at(numbers) == [text(number) for number in numbers]
        assert pickle.loads(pickle.dumps(cf))[-1] == text(2 * COUNT)
    assert capturefile.verify(NAME, store=cache).sound
    assert fetched(server) == 0


@pytest.mark.parametrize("kind", ["flipped", "zeros", "truncated", "moved", "empty"])
def test_damaged_data_is_detected_and_fetched_again(
    local: Path, server: ObjectServer, cache: DiskCache, kind: str
) -> None:
    read(cache)
    fetched(server)
    content = {path: path.read_bytes() for path in parts(cache)}
    for path, before in content.items():
        damaged = bytearray(before)
        if kind == "flipped":
            for at in range(5000, len(damaged), PAGE):
                damaged[at] ^= 1
        elif kind == "zeros":
            damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
        elif kind == "truncated":
            del damaged[len(damaged) // 2 + 100 :]
        elif kind == "moved":
            # A page with its checksum, in place of another one.
            for unit, start in ((8, 0), (PAGE, PAGES * 8)):
                at = start + 20 * unit
                damaged[at + unit : at + 2 * unit] = damaged[at : at + unit]
        else:
            damaged.clear()
        path.write_bytes(damaged)
    read(cache)
    assert fetched(server) > 0
    read(cache)
    assert fetched(server) == 0


def test_each_version_has_its_own_pieces(local: Path, server: ObjectServer, cache: DiskCache) -> None:
    read(cache)
    with capturefile.open(NAME, store=cache) as cf:
        server.objects[NAME] = write(local, 3 * COUNT, 3)
        read(cache, 3 * COUNT)
        # The version that is open is in the cache.
        assert cf[COUNT] == text(COUNT)
        assert cf.refresh()
        assert cf[-1] == text(3 * COUNT)


def test_without_a_strong_tag_nothing_is_cached(local: Path, server: ObjectServer, cache: DiskCache) -> None:
    server.has_tags = False
    read(cache)
    assert parts(cache) == []
    kept = ObjectCache(cache, "name")
    for tag in (None, 'W/"weak"', "2026-01-01 00:00:00"):
        assert kept.read(0, 3, 3, tag, lambda start, end: b"abc"[start:end]) == b"abc"
    assert parts(cache) == []


def test_names_are_hashes_and_files_are_private_to_the_user(cache: DiskCache) -> None:
    kept = ObjectCache(cache, "https://me:word@host/log.capture?signature=secret")
    kept.read(0, 3, 3, TAG, lambda start, end: b"abc"[start:end])
    (path,) = parts(cache)
    assert path.name == "0.part"
    assert set(path.parent.name) <= set("0123456789abcdef")
    for each in (path, path.parent, path.parent.parent):
        assert not stat.S_IMODE(each.stat().st_mode) & 0o077


def test_pieces_are_found_with_any_requested_range(cache: DiskCache) -> None:
    content = random.Random(1).randbytes(PAGES * PAGE * 2 + 1000)
    kept = ObjectCache(cache, "name")
    requests: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        requests.append((start, end))
        return content[start:end]

    def take(first: int, last: int) -> None:
        start, end = first * PAGE, min(last * PAGE, len(content))
        assert bytes(kept.read(start, end, len(content), TAG, fetch)) == content[start:end]

    take(PAGES - 2, PAGES + 2)
    take(PAGES - 4, PAGES)
    assert requests == [((PAGES - 2) * PAGE, (PAGES + 2) * PAGE), ((PAGES - 4) * PAGE, (PAGES - 2) * PAGE)]
    requests.clear()
    take(PAGES - 4, PAGES + 2)
    assert requests == []
    take(0, 2 * PAGES + 1)
    take(0, 2 * PAGES + 1)
    assert requests == [(0, len(content))]
    # Data that does not consist of pages is passed through.
    assert kept.read(1, 5, len(content), TAG, fetch) == content[1:5]
    # An answer of the wrong length is not kept.
    assert bytes(ObjectCache(cache, "other").read(0, 2 * PAGE, len(content), TAG, lambda *_: b"short")) == b"short"
    assert ObjectCache(cache, "other").read(0, 2 * PAGE, len(content), TAG, fetch) == content[: 2 * PAGE]


def test_the_size_is_bounded_and_the_least_recently_used_parts_are_removed(cache: DiskCache) -> None:
    part = PAGES * PAGE
    noise = random.Random(2).randbytes(part)
    kept = ObjectCache(cache, "name")
    size = 100 * part

    def has(number: int) -> bool:
        absent: list[int] = []

        def fetch(start: int, end: int) -> bytes:
            absent.append(start)
            return bytes(end - start - 1)

        kept.read(number * part, (number + 1) * part, size, TAG, fetch)
        return not absent

    for number in range(60):
        kept.read(number * part, (number + 1) * part, size, TAG, lambda start, end: noise[: end - start])
        assert sum(path.stat().st_blocks * 512 for path in parts(cache)) <= cache.max_bytes
        for path in parts(cache):
            # As if time had passed, except for the first part, which is used.
            found = path.stat()
            passed = 0 if path.name == "0.part" else 100
            os.utime(path, (found.st_atime, found.st_mtime - passed))
    assert has(0)
    assert has(59)
    assert not has(1)


def test_a_use_is_recorded(cache: DiskCache) -> None:
    kept = ObjectCache(cache, "name")
    kept.read(0, 3, 3, TAG, lambda start, end: b"abc"[start:end])
    (path,) = parts(cache)
    os.utime(path, (0, 0))
    kept.read(0, 3, 3, TAG, lambda *_: b"")
    assert path.stat().st_mtime > 1e9


def test_reading_works_if_the_cache_cannot_be_written(
    local: Path, server: ObjectServer, cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("capturefile._disk_cache.os.open", full)
        read(cache)
    assert parts(cache) == []


def test_processes_share_a_cache(local: Path, server: ObjectServer, cache: DiskCache, tmp_path: Path) -> None:
    pickled = tmp_path / "cache.pickle"
    pickled.write_bytes(pickle.dumps(cache))
    program = (
        "import capturefile, pickle, sys\n"
        "from pathlib import Path\n"
        f"cf = capturefile.open({NAME!r}, store=pickle.loads(Path(sys.argv[1]).read_bytes()))\n"
        "print(sum(len(record) for record in cf))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    readers = [
        subprocess.Popen([sys.executable, "-c", program, str(pickled)], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    expected = sum(len(text(number)) for number in range(1, 2 * COUNT + 1))
    assert [int(reader.communicate(timeout=PATIENCE)[0]) for reader in readers] == [expected] * 3
    fetched(server)
    read(cache)
    assert fetched(server) == 0


def test_settings_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from capturefile._disk_cache import from_environment

    with pytest.raises(ValueError, match="at least 64 MiB"):
        DiskCache(tmp_path, 1000)
    assert from_environment() is None
    monkeypatch.setenv("CAPTUREFILE_CACHE", str(tmp_path))
    assert from_environment() == DiskCache(str(tmp_path), 10 << 30)
    monkeypatch.setenv("CAPTUREFILE_CACHE_BYTES", str(1 << 30))
    assert from_environment() == DiskCache(str(tmp_path), 1 << 30)
    monkeypatch.setenv("CAPTUREFILE_CACHE_BYTES", "1G")
    with pytest.raises(ValueError, match="CAPTUREFILE_CACHE_BYTES"):
        from_environment()
