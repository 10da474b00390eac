"""Files of both formats: copied in both directions, created in all ways, and opened by the reference."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from CaptureFile import CaptureFile as Reference
from capturefile import CaptureFile
from capturefile.logging import CaptureHandler
from capturefile.rotating import RotatingReader, RotatingWriter
from command import run

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [
    b"",
    b"one",
    bytes(range(256)) * 40,
    *[b"line %d of a log" % number for number in range(20_000)],
    b"\n" * 300_000,
]


def content(path: Path) -> tuple[list[bytes], bytes | None, int]:
    """The complete content of a file, and its format."""
    with CaptureFile(path, encoding=None) as cf:
        return list(cf), cf.get_metadata(), cf.info().version


@pytest.mark.parametrize("metadata", [None, b"", b"about these" * 1000])
def test_a_copy_in_the_other_format_and_back_has_everything(tmp_path: Path, metadata: bytes | None) -> None:
    names = [tmp_path / f"{number}.capture" for number in range(3)]
    with capturefile.open(names[0], "x", encoding=None, initial_metadata=metadata) as cf:
        cf.add_records(RECORDS)
        cf.commit()
    for number, version in enumerate([3, 2]):
        source, target = names[number : number + 2]
        assert run("copy", "--format", str(version), source, target).returncode == 0
        assert content(target) == (RECORDS, metadata, version)


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_a_copy_is_compressed_as_requested(tmp_path: Path, compression: str) -> None:
    source, target = tmp_path / "source.capture", tmp_path / "target.capture"
    with capturefile.open(source, "x", encoding=None) as cf:
        cf.add_records(RECORDS)
        cf.commit()
    assert run("copy", "--format", "3", "--compression", compression, source, target).returncode == 0
    with capturefile.open(target) as cf:
        assert cf.info().compression == compression


@pytest.mark.parametrize("command", ["append", "import"])
def test_commands_create_files_in_the_requested_format(tmp_path: Path, command: str) -> None:
    path = tmp_path / "log.capture"
    lines = {"append": b"one\ntwo\n", "import": b'{"record": "one"}\n{"record": "two"}\n'}
    arguments = {"append": [], "import": ["--format", "jsonl"]}
    # The format of an existing file is not changed.
    for version in ("3", "2"):
        done = run(command, "--file-format", version, path, *arguments[command], given=lines[command])
        assert done.returncode == 0, done.stderr
    assert content(path) == ([b"one", b"two"] * 2, None, 3)


def test_a_rotated_log_and_a_log_handler_use_the_requested_format(tmp_path: Path) -> None:
    options: dict[str, Any] = {"format": 3, "compression": "lz4", "sync": "none"}
    with RotatingWriter(tmp_path / "rotated", max_bytes=1, **options) as log:
        for number in range(3):
            log.add_record(f"record {number}")
            log.commit()
    with RotatingReader(tmp_path / "rotated") as log:
        assert list(log) == ["record 0", "record 1", "record 2"]
    files = sorted((tmp_path / "rotated").glob("0*.capture"))
    assert len(files) == 3
    handler = CaptureHandler(tmp_path / "handled.capture", commit_interval=None, **options)
    handler.emit(logging.makeLogRecord({"msg": "handled"}))
    handler.close()
    for path in [*files, tmp_path / "handled.capture"]:
        with capturefile.open(path) as cf:
            assert (cf.info().version, cf.info().compression) == (3, "lz4")


def test_the_reference_refuses_a_file_in_format_3_with_its_own_message(path: Path) -> None:
    with capturefile.open(path, "x", format=3) as cf:
        cf.add_record("one")
        cf.commit()
    before = path.read_bytes()
    for to_write in (False, True):
        with pytest.raises(Exception, match="version 3"):
            Reference(os.fspath(path), to_write=to_write)
    assert path.read_bytes() == before
