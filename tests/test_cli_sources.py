"""The sources that commands read: several files, folders of rotated logs, and capture files on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile.rotating import RotatingReader, RotatingWriter
from command import (
    DAMAGED,
    FAILED,
    PATIENCE,
    UNUSABLE,
    WRONG_USAGE,
    assert_one_line,
    lines,
    make,
    output,
    pipe_of,
    read,
    records_of,
    run,
    running,
    shell,
    wait_until,
)
from rotating_logs import numbered, write_files

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

LOSSY = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rotated log of records 1 to 9 in four files, the last one without records."""
    write_files(tmp_path / "log", 3, 1, 5, 0)
    return tmp_path / "log"


@pytest.fixture
def shortened(folder: Path) -> Path:
    """The same log without its first file: records 4 to 9."""
    (folder / "00000000000000000001.capture").unlink()
    return folder


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Files of the records a1 to a3, and of b1 and b2."""
    return [make(tmp_path / "a", [b"a1", b"a2", b"a3"]), make(tmp_path / "b", [b"b1", b"b2"], metadata=b"of b")]


def written(first: int, last: int) -> bytes:
    """Records of the log as they are printed."""
    return lines(*(record.encode() for record in numbered(first, last)))


# Rotated logs


def test_a_rotated_log_is_read_like_a_file(folder: Path) -> None:
    assert output("cat", folder) == written(1, 9)
    assert output("cat", "--range", "3-6", folder) == written(3, 6)
    assert output("head", "-n", "4", folder) == written(1, 4)
    assert output("tail", "-n", "2", folder) == written(8, 9)
    assert output("tail", "-n", "+4", folder) == written(4, 9)
    assert output("get", folder, "-1", "2-5") == written(9, 9) + written(2, 5)
    assert output("grep", "-n", "[35]", folder) == b"3:record 3\n5:record 5\n"
    assert output("count", folder) == b"9\n"
    assert output("metadata", "get", folder) == b"9"
    exported = [json.loads(line) for line in output("export", folder).splitlines()]
    assert exported == [{"record_number": number, "record": f"record {number}"} for number in range(1, 10)]
    assert output("follow", "--from", "begin", "--exit-at-end", folder) == written(1, 9)


def test_a_log_without_its_first_files_begins_with_the_first_remaining_record(shortened: Path) -> None:
    assert output("cat", shortened) == written(4, 9)
    assert output("head", "-n1", shortened) == output("get", shortened, "4") == written(4, 4)
    assert output("tail", "-n", "100", shortened) == written(4, 9)
    assert output("count", shortened) == b"6\n"
    assert output("follow", "--from", "begin", "--exit-at-end", shortened) == written(4, 9)
    for number in ("3", "-7", "10", "0"):
        done = run("get", shortened, number)
        assert (done.returncode, done.stdout) == (FAILED, b"")
        assert_one_line(done.stderr)
        begin = "numbers begin at 1, and " if number == "0" else ""
        assert f"there is no record {number}; {begin}the log now has the records 4 to 9" in done.stderr.decode()


def test_a_file_that_is_missing_in_the_middle_is_an_error(folder: Path) -> None:
    (folder / "00000000000000000004.capture").unlink()
    done = run("cat", folder)
    assert (done.returncode, done.stdout) == (FAILED, written(1, 3))
    assert b"was deleted; the next record that exists is 5" in done.stderr


def test_a_folder_without_a_log_is_reported_as_such(tmp_path: Path) -> None:
    done = run("cat", tmp_path)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == (
        f"capturefile: {tmp_path}: a folder without a rotated log: it has no _manifest.capture\n".encode()
    )

    for command, code in (("verify", UNUSABLE), ("index", FAILED)):
        again = run(command, tmp_path)
        assert (again.returncode, again.stdout, again.stderr) == (code, b"", done.stderr)


@pytest.mark.parametrize("command", ["append", "import"])
def test_a_log_is_appended_to_by_its_writer_only(folder: Path, command: str) -> None:
    done = run(command, folder)
    assert done.returncode == FAILED
    hint = "only capturefile.rotating.RotatingWriter appends to a rotated log"
    assert done.stderr == f"capturefile: {folder}: Is a directory; {hint}\n".encode()


@pytest.mark.parametrize("command", ["cat", "verify", "copy"])
def test_an_extra_that_is_missing_is_named_on_one_line(tmp_path: Path, command: str) -> None:
    hidden = "import sys; sys.modules['obstore'] = None; from capturefile.cli import main; sys.exit(main())"
    target = [str(tmp_path / "new.capture")] if command == "copy" else []
    process = [sys.executable, "-c", hidden, command, "s3://bucket/log.capture", *target]
    done = subprocess.run(process, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert done.stderr == b"capturefile: s3://bucket requires obstore: pip install 'capturefile-rs[remote]'\n"


def test_a_copy_of_a_log_is_one_file(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "one.capture"
    assert run("copy", folder, target).stderr == b"capturefile: 9 records copied\n"
    assert records_of(target) == [record.encode() for record in numbered(1, 9)]
    done = run("copy", "--overwrite", folder, folder / "00000000000000000001.capture")
    assert done.returncode == WRONG_USAGE
    assert b"it is a file of the log" in done.stderr
    assert output("count", folder) == b"9\n"


def test_a_command_does_not_read_a_file_of_a_log_that_it_writes(folder: Path) -> None:
    done = shell(f'"$@" >> {folder}/00000000000000000004.capture', "cat", folder)
    assert done.returncode == WRONG_USAGE
    assert b"cannot be both read and written" in done.stderr


def test_info_describes_a_log_and_its_files(shortened: Path) -> None:
    printed = json.loads(output("info", "--json", shortened))
    files = printed.pop("files")
    size = sum(path.stat().st_size for path in sorted(shortened.glob("0*"))[:2])
    assert printed == {
        "first_record": 4,
        "last_record": 9,
        "record_count": 6,
        "file_size": size,
        "metadata_length": 1,
        "being_written": False,
    }
    assert [(file["name"], file["first_record"], file["last_record"], file["sealed"]) for file in files] == [
        ("00000000000000000004.capture", 4, 4, True),
        ("00000000000000000005.capture", 5, 9, True),
    ]
    facts = output("info", shortened).decode().splitlines()
    assert facts[:3] == ["first record: 4", "last record: 9", "record count: 6"]
    assert [row.split()[-1] for row in facts[-2:]] == ["4-4", "5-9"]
    with RotatingWriter(shortened):
        assert json.loads(output("info", "--json", shortened))["being_written"] is True
    assert run("info", "--blocks", shortened).returncode == WRONG_USAGE


def test_verify_checks_each_file_of_a_log_and_that_they_fit_together(shortened: Path) -> None:
    verdicts = output("verify", shortened).decode().splitlines()
    assert [verdict.partition(": ")[0].rpartition("/")[2] for verdict in verdicts] == [
        "_manifest.capture",
        *(f"{number:020}.capture" for number in (4, 5, 10)),
    ]
    assert all(": sound: " in verdict for verdict in verdicts)
    make(shortened / "00000000000000000077.capture", [b"record"])
    (shortened / "00000000000000000005.capture").unlink()
    done = run("verify", shortened)
    assert done.returncode == DAMAGED
    assert done.stdout.decode().splitlines()[-2:] == [
        f"{shortened}: damaged: 00000000000000000077.capture has records, but is not in the manifest",
        f"{shortened}: damaged: 00000000000000000005.capture does not exist, but files before it do",
    ]
    printed = json.loads(run("verify", "--json", shortened).stdout)
    assert [found["sound"] for found in printed] == [True, True, True, True, False]
    assert (printed[-1]["file"], len(printed[-1]["problems"])) == (str(shortened), 2)


def test_verify_finds_a_sealed_file_whose_record_count_has_changed(folder: Path) -> None:
    sealed = folder / "00000000000000000001.capture"
    sealed.unlink()
    make(sealed, [b"other"])
    done = run("verify", folder)
    assert done.returncode == DAMAGED
    assert done.stdout.endswith(b"has 1 records, but 3 according to the start of the next file\n")


# Several sources


def test_several_files_are_read_one_after_the_other(two: list[Path], folder: Path) -> None:
    assert output("cat", *two) == b"a1\na2\na3\nb1\nb2\n"
    assert output("cat", two[1], folder) == b"b1\nb2\n" + written(1, 9)
    assert output("count", *two, folder) == f" 3 {two[0]}\n 2 {two[1]}\n 9 {folder}\n14 total\n".encode()
    printed = [json.loads(line) for line in output("cat", "--format", "jsonl", *two).splitlines()]
    assert printed[3] == {"file": str(two[1]), "record_number": 1, "record": "b1"}


def test_head_and_tail_name_the_file_before_its_records(two: list[Path]) -> None:
    assert output("head", "-n1", *two) == f"==> {two[0]} <==\na1\n\n==> {two[1]} <==\nb1\n".encode()
    assert output("tail", "-n", "1", *two) == f"==> {two[0]} <==\na3\n\n==> {two[1]} <==\nb2\n".encode()
    assert output("head", "-q", "-n1", *two) == b"a1\nb1\n"
    assert output("tail", "-v", "-n1", two[0]) == f"==> {two[0]} <==\na3\n".encode()
    assert output("head", "-n1", "--format", "nul", *two) == b"a1\0b1\0"


def test_export_numbers_the_records_of_several_files_consecutively(two: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "both.csv"
    assert run("export", *two, target).stderr == f"capturefile: 5 records written to {target}\n".encode()
    assert [row.split(",")[0] for row in target.read_text().splitlines()[1:]] == ["1", "2", "3", "4", "5"]
    assert len(output("export", *two, "-").splitlines()) == 5
    assert run("export", *two, two[0]).returncode == WRONG_USAGE


@pytest.mark.parametrize("command", [["cat"], ["export", "FILES", "-"], ["copy", "FILES", "new"]])
def test_a_range_needs_a_single_file(two: list[Path], command: list[str]) -> None:
    name, *rest = command
    done = run(name, "--range", "1-2", *two, *(argument for argument in rest if argument != "FILES"))
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"--range requires a single file or log" in done.stderr


@pytest.mark.parametrize("command", ["cat", "head", "tail", "count", "info"])
def test_a_missing_file_is_reported_before_anything_is_written(two: list[Path], command: str) -> None:
    done = run(command, *two, "missing")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == b"capturefile: missing: No such file or directory\n"


def test_info_and_verify_report_on_each_file(two: list[Path]) -> None:
    headed = [line for line in output("info", *two).decode().splitlines() if line.startswith("==>")]
    assert headed == [f"==> {path} <==" for path in two]
    assert [found["record_count"] for found in json.loads(output("info", "--json", *two))] == [3, 2]
    assert [line.partition(b": ")[2][:8] for line in output("verify", *two).splitlines()] == [b"sound: 3", b"sound: 2"]
    done = run("verify", "--json", "missing", *two)
    assert done.returncode == UNUSABLE
    assert [found["file"] for found in json.loads(done.stdout)] == list(map(str, two))


# Standard input


def test_a_capture_file_is_read_from_a_pipe_or_a_redirected_file(numbers: Path) -> None:
    data = numbers.read_bytes()
    commands = (["cat", "-"], ["tail", "-n2", "-"], ["get", "-", "-1"], ["count", "-"], ["grep", "7", "-"])
    for command in commands:
        expected = output(*(str(numbers) if argument == "-" else argument for argument in command))
        assert output(*command, given=data) == expected
        assert shell(f'"$@" < {numbers}', *command).stdout == expected
    for command in (["info", "--json"], ["verify"], ["export"]):
        assert run(*command, "-", given=data).returncode == 0
    assert output("cat", numbers, "-", given=data) == output("cat", numbers) * 2
    assert run("copy", "-", numbers.with_name("copy"), given=data).returncode == 0
    assert records_of(numbers.with_name("copy")) == records_of(numbers)


def test_standard_input_that_is_not_a_capture_file_is_reported(numbers: Path) -> None:
    for command in ("cat", "info"):
        done = run(command, "-", given=b"no capture file")
        assert (done.returncode, done.stdout) == (FAILED, b"")
        assert_one_line(done.stderr)
        assert b"standard input" in done.stderr
        assert b"/dev/fd" not in done.stderr
    assert run("cat", "-", "-", given=numbers.read_bytes()).returncode == WRONG_USAGE
    for command in ("follow", "tail"):
        done = run(command, "-f" if command == "tail" else "-q", "-", given=numbers.read_bytes())
        assert done.returncode == WRONG_USAGE
        assert b"cannot be followed" in done.stderr


# Following


def add(path: Path, *records: str) -> None:
    """Commits records to a file."""
    with capturefile.open(path, "a") as cf:
        cf.add_records(records)
        cf.commit()


def test_several_files_are_followed_in_turn(two: list[Path], folder: Path) -> None:
    with running("tail", "-f", "-n1", *two, folder) as process:
        start = f"==> {two[0]} <==\na3\n\n==> {two[1]} <==\nb2\n\n==> {folder} <==\nrecord 9\n".encode()
        assert read(process.stdout, len(start)) == start
        add(two[0], "a4")
        expected = f"\n==> {two[0]} <==\na4\n".encode()
        assert read(process.stdout, len(expected)) == expected
        with RotatingWriter(folder) as log:
            log.add_record("record 10")
            log.rotate()
            log.add_record("record 11")
            log.commit()
        expected = f"\n==> {folder} <==\nrecord 10\nrecord 11\n".encode()
        assert read(process.stdout, len(expected)) == expected
        assert process.poll() is None


def test_follow_prints_all_records_of_several_files_and_ends(two: list[Path]) -> None:
    found = output("follow", "-q", "--from", "begin", "--exit-at-end", *two)
    assert sorted(found.splitlines()) == [b"a1", b"a2", b"a3", b"b1", b"b2"]
    for wrong in (["--cursor-file", "cursor"], ["--from", "3"]):
        assert run("follow", *wrong, *two).returncode == WRONG_USAGE


def test_a_cursor_works_across_rotations_and_deleted_files(folder: Path, tmp_path: Path) -> None:
    follow = ("follow", "--from", "begin", "--cursor-file", tmp_path / "cursor", "--exit-at-end", folder)
    assert output(*follow) == written(1, 9)
    with RotatingWriter(folder) as log:
        log.add_record("record 10")
        log.rotate()
        log.add_record("record 11")
        log.commit()
    with RotatingReader(folder) as reader:
        for file in reader.files()[:3]:
            file.path.unlink()
    assert output(*follow) == written(10, 11)
    with RotatingWriter(folder) as log:
        log.rotate()
        log.add_record("record 12")
        log.rotate()
        log.add_record("record 13")
        log.commit()
    with RotatingReader(folder) as reader:
        for file in reader.files()[:-1]:
            file.path.unlink()
    done = run(*follow)
    assert (done.returncode, done.stdout) == (LOSSY, written(13, 13))
    assert_one_line(done.stderr)
    assert b"was deleted; the next record that exists is 13" in done.stderr


def test_tail_by_name_waits_for_a_file_and_continues_with_its_successor(path: Path) -> None:
    with running("tail", "-F", path) as process:
        wait_for_message(process, b"waiting for it to appear")
        make(path, [b"1"])
        assert read(process.stdout, 2) == b"1\n"
        wait_for_message(process, b"it has appeared")
        make(path.with_name("new"), [b"2", b"3"]).replace(path)
        assert read(process.stdout, 4) == b"2\n3\n"
        wait_for_message(process, b"it was replaced; following the new file")
        path.unlink()
        wait_for_message(process, b"it was removed")
        make(path, [b"4"])
        assert read(process.stdout, 2) == b"4\n"
        add(path, "5")
        assert read(process.stdout, 2) == b"5\n"


def wait_for_message(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Reads standard error until it contains this text."""
    said = b""

    def is_said() -> bool:
        nonlocal said
        said += os.read(pipe_of(process.stderr).fileno(), 1000)
        return text in said

    wait_until(is_said)
