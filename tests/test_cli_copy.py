"""The command `copy`: records in new files, recompressed, joined, or split."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import capturefile
import pytest
from command import (
    FAILED,
    SUCCEEDED,
    WRONG_USAGE,
    assert_one_line,
    make,
    metadata_of,
    noise,
    records_of,
    run,
)

RECORDS = [b"", b"two\nlines", b"\0\xff", *noise(3000), b"x" * 5_000_000, b"last"]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The path of the copy."""
    return tmp_path / "copy.capture"


def test_a_copy_has_the_records_and_the_metadata(path: Path, target: Path) -> None:
    done = run("copy", make(path, RECORDS, metadata=b"state"), target)
    assert (done.returncode, done.stdout) == (SUCCEEDED, b"")
    assert done.stderr == b"capturefile: %d records copied\n" % len(RECORDS)
    assert (records_of(target), metadata_of(target)) == (RECORDS, b"state")
    assert capturefile.verify(target).sound


def test_a_copy_can_omit_the_metadata(path: Path, target: Path) -> None:
    run("copy", "--no-metadata", make(path, [b"one"], metadata=b"state"), target)
    assert (records_of(target), metadata_of(target)) == ([b"one"], None)


def test_a_copy_of_an_empty_file_is_an_empty_file(path: Path, target: Path) -> None:
    assert run("copy", make(path), target).stderr == b"capturefile: 0 records copied\n"
    assert records_of(target) == []


@pytest.mark.parametrize(("asked", "size"), [("64K", 65_536), ("1M", 1_048_576), ("8192", 8192)])
def test_a_copy_has_the_requested_block_size(path: Path, target: Path, asked: str, size: int) -> None:
    run("copy", "--block-size", asked, make(path, RECORDS), target)
    with capturefile.open(target) as cf:
        assert cf.info().block_size == size
    assert records_of(target) == RECORDS


def test_a_copy_has_the_block_size_of_its_source(path: Path, target: Path) -> None:
    with capturefile.open(path, "x", compression_block_size=16_384) as cf:
        cf.commit()
    run("copy", path, target)
    with capturefile.open(target) as cf:
        assert cf.info().block_size == 16_384


def test_an_invalid_block_size_is_refused(path: Path, target: Path) -> None:
    done = run("copy", "--block-size", "5000", make(path), target)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"expected a multiple of 4K, not '5000'" in done.stderr
    assert sorted(target.parent.iterdir()) == [path]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
@pytest.mark.parametrize("command", [["copy"], ["merge", "--key", "t"]])
def test_a_copy_has_the_format_and_the_compression_of_its_first_source(
    path: Path, target: Path, command: list[str], compression: Literal["zstd", "lz4", "none"]
) -> None:
    with capturefile.open(path, "x", format=3, compression=compression) as cf:
        cf.add_record('{"t": 1}')
        cf.commit()
    second = make(target.with_name("second"), [b'{"t": 2}'])
    for options, format_and_compression in (
        ([path, second], (3, compression)),
        ([second, path], (2, "zlib")),
        (["--format", "2", path], (2, "zlib")),
        (["--compression", "lz4", path], (3, "lz4")),
        (["--level", "3", path], (3, "zstd")),
    ):
        assert run(*command, "--overwrite", *options, target).returncode == SUCCEEDED
        with capturefile.open(target) as cf:
            assert (cf.info().version, cf.info().compression) == format_and_compression


@pytest.mark.parametrize(("option", "value"), [("--compression", "zstd"), ("--level", "13")])
def test_options_that_the_format_of_the_source_does_not_have_are_refused(
    numbers: Path, target: Path, option: str, value: str
) -> None:
    done = run("copy", option, value, numbers, target)
    assert (done.returncode, target.exists()) == (WRONG_USAGE, False)
    assert_one_line(done.stderr)
    assert run("copy", option, value, "--format", "3", numbers, target).returncode == SUCCEEDED


def test_a_higher_level_makes_a_smaller_copy(path: Path, tmp_path: Path) -> None:
    text = b"".join(b"line %d of a text that compresses\n" % number for number in range(100_000))
    make(path, text.splitlines())
    sizes = []
    for level in ("1", "6", "12"):
        run("copy", "--level", level, path, tmp_path / level)
        sizes.append((tmp_path / level).stat().st_size)
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_copy_of_several_files_joins_them(tmp_path: Path, target: Path) -> None:
    sources = [make(tmp_path / name, [name.encode(), b"same"], metadata=name.encode()) for name in "abc"]
    done = run("copy", *sources, target)
    assert (done.returncode, done.stderr) == (SUCCEEDED, b"capturefile: 6 records copied\n")
    assert records_of(target) == [b"a", b"same", b"b", b"same", b"c", b"same"]
    assert metadata_of(target) == b"c"


def test_a_copy_accepts_a_range_of_one_file(numbers: Path, target: Path) -> None:
    run("copy", "--range", "5-7", numbers, target)
    assert records_of(target) == [b"5", b"6", b"7"]
    done = run("copy", "--range", "5-7", numbers, numbers, target.with_name("other"))
    assert done.returncode == WRONG_USAGE
    assert_one_line(done.stderr)


@pytest.mark.parametrize(
    ("size", "parts"), [(20, [20]), (19, [19, 1]), (10, [10, 10]), (7, [7, 7, 6]), (1, [1] * 20), (100, [20])]
)
def test_the_joined_parts_of_a_split_have_all_records(numbers: Path, target: Path, size: int, parts: list[int]) -> None:
    done = run("copy", "--split", str(size), numbers, target)
    assert done.stderr == b"capturefile: 20 records copied\n"
    names = done.stdout.decode().splitlines()
    assert names == sorted(names)
    assert [len(records_of(target.parent / name)) for name in names] == parts
    joined = target.with_name("joined")
    run("copy", *names, joined)
    assert records_of(joined) == records_of(numbers)


def test_parts_are_named_by_their_numbers_and_all_have_the_metadata(tmp_path: Path, path: Path) -> None:
    make(path, [b"x"] * 12, metadata=b"state")
    names = output_of_split(path, tmp_path / "part.capture")
    width_two = [f"part-{number:02}.capture" for number in range(1, 13)]
    assert [Path(name).name for name in names] == width_two
    assert {metadata_of(tmp_path / name) for name in width_two} == {b"state"}


def output_of_split(source: Path, target: Path) -> list[str]:
    """The names of the parts of one record each."""
    return run("copy", "--split", "1", source, target).stdout.decode().splitlines()


def test_if_one_part_exists_already_no_part_is_created(numbers: Path, tmp_path: Path) -> None:
    (tmp_path / "part-3").write_text("old")
    done = run("copy", "--split", "7", numbers, tmp_path / "part")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == f"capturefile: {tmp_path / 'part-3'}: File exists; --overwrite replaces it\n".encode()
    assert sorted(tmp_path.iterdir()) == sorted([numbers, tmp_path / "part-3"])


def test_a_copy_replaces_a_capture_file_only_with_overwrite(numbers: Path, target: Path) -> None:
    make(target, [b"old"])
    done = run("copy", numbers, target)
    assert (done.returncode, records_of(target)) == (FAILED, [b"old"])
    assert done.stderr == f"capturefile: {target}: File exists; --overwrite replaces it\n".encode()
    assert run("copy", "--overwrite", numbers, target).returncode == SUCCEEDED
    assert len(records_of(target)) == 20


def test_a_file_can_be_recompressed_in_place(path: Path) -> None:
    make(path, RECORDS, metadata=b"state")
    assert run("copy", "--overwrite", "--block-size", "256K", path, path).returncode == SUCCEEDED
    assert (records_of(path), metadata_of(path)) == (RECORDS, b"state")
    with capturefile.open(path) as cf:
        assert cf.info().block_size == 256 * 1024


def test_a_file_that_is_being_written_or_not_a_capture_file_is_not_replaced(numbers: Path, target: Path) -> None:
    target.write_text("a letter")
    done = run("copy", "--overwrite", numbers, target)
    assert (done.returncode, target.read_text()) == (FAILED, "a letter")
    target.unlink()
    make(target, [b"old"])
    with capturefile.open(target, "a"):
        done = run("copy", "--overwrite", numbers, target)
    assert (done.returncode, records_of(target)) == (FAILED, [b"old"])
    assert b"already open" in done.stderr


def test_a_failed_copy_leaves_nothing(damaged: Path, target: Path) -> None:
    done = run("copy", damaged, target)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert list(target.parent.iterdir()) == [damaged]


def test_a_copy_skips_unreadable_records_on_request(damaged: Path, target: Path) -> None:
    done = run("copy", "--skip-unreadable", damaged, target)
    assert done.returncode == 3
    loss, copied = done.stderr.decode().splitlines()
    assert "cannot be read and are left out" in loss
    count = int(copied.split()[1])
    assert 1000 < count < 2000
    assert len(records_of(target)) == count
    assert capturefile.verify(target).sound


@pytest.mark.parametrize("missing", ["source", "folder"])
def test_a_copy_names_the_missing_file(numbers: Path, tmp_path: Path, missing: str) -> None:
    gone = tmp_path / "missing"
    arguments = (gone, tmp_path / "new") if missing == "source" else (numbers, gone / "new")
    done = run("copy", *arguments)
    named = gone if missing == "source" else gone / "new"
    assert (done.returncode, done.stderr) == (FAILED, f"capturefile: {named}: No such file or directory\n".encode())
