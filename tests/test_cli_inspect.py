"""The commands `info`, `verify` and `metadata`."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import capturefile
import capturefile.cli
import pytest
from command import (
    COMMAND,
    DAMAGED,
    DATA_START,
    FAILED,
    PATIENCE,
    UNUSABLE,
    assert_one_line,
    count_of,
    make,
    metadata_of,
    noise,
    output,
    run,
)
from files import damage_some_blocks

if TYPE_CHECKING:
    from pathlib import Path


def test_info_prints_each_fact_on_one_line(path: Path) -> None:
    facts = dict(line.split(b": ") for line in output("info", make(path, [b"abc"])).splitlines())
    assert facts[b"version"] == b"2"
    assert facts[b"page size"] == b"4096"
    assert facts[b"record count"] == b"1"
    assert facts[b"metadata length"] == b"none"
    assert (facts[b"record bytes"], facts[b"being written"]) == (b"3", b"no")
    assert facts[b"compression"] == b"zlib"
    assert len(facts) == 17


def test_info_shows_whether_the_file_is_being_written_and_its_compression_ratio(path: Path) -> None:
    with capturefile.open(path, "x", initial_metadata=b"\x1bgo on\n" * 20) as cf, cf.transaction():
        cf.add_records(["a line of text that repeats itself"] * 100_000)
        printed = json.loads(output("info", "--json", path))
        facts = dict(line.split(b": ") for line in output("info", path).splitlines())
    assert printed["being_written"] is True
    assert printed["compression_ratio"] is None
    printed = json.loads(output("info", "--json", path))
    assert printed["being_written"] is False
    assert (printed["record_bytes"], printed["record_bytes_exact"]) == (34 * 100_000, False)
    assert printed["compression_ratio"] > 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", printed["modified"])
    assert facts[b"metadata"].startswith(b"\\x1bgo on\\n")


def test_info_as_json_has_the_values_of_the_library(path: Path) -> None:
    make(path, [b"abc"] * 100, metadata=b"1234")
    facts = json.loads(output("info", "--json", path))
    with capturefile.open(path) as cf:
        info = cf.info()
    assert vars(info).items() <= facts.items()
    assert (facts["record_count"], facts["metadata_length"], facts["file_size"]) == (100, 4, 409_600)


def test_info_as_json_has_null_where_there_is_no_metadata(path: Path) -> None:
    assert json.loads(output("info", make(path), "--json"))["metadata_length"] is None


def test_verify_reports_a_sound_file(path: Path) -> None:
    written = output("verify", make(path, noise(2000)))
    assert written.startswith(b"sound: 2000 records, ")
    assert written.count(b"\n") == 1


def test_verify_reports_what_is_damaged_and_where(damaged: Path) -> None:
    done = run("verify", damaged)
    assert (done.returncode, done.stderr) == (DAMAGED, b"")
    verdict, problem, unreadable, advice, lost = done.stdout.splitlines()
    assert re.fullmatch(rb"damaged: 1 problem; \d+ of 2000 records can be read", verdict)
    assert problem.startswith(b"at byte ")
    assert re.fullmatch(rb"records \d+ to \d+ cannot be read", unreadable)
    assert re.fullmatch(rb"capturefile recover \S+ NEW.capture saves \d+ of 2000 records", advice)
    assert re.fullmatch(rb"lost for good: records \d+ to \d+", lost)


def test_verify_reports_what_recover_would_save(damaged: Path, tmp_path: Path) -> None:
    printed = json.loads(run("verify", "--json", damaged).stdout)["recovery"]
    dry = json.loads(run("recover", "--dry-run", "--json", damaged).stdout)
    assert list(tmp_path.iterdir()) == [damaged]
    done = run("recover", "--json", damaged, tmp_path / "new.capture")
    assert (done.returncode, json.loads(done.stdout)) == (3, dry)
    assert {**printed, "record_count": None} == {**dry, "record_count": None}
    assert count_of(tmp_path / "new.capture") == dry["record_count"] == dry["recovered"]


def test_a_quick_check_says_that_it_is_one(damaged: Path, tmp_path: Path) -> None:
    sound = make(tmp_path / "sound.capture", noise(100))
    assert b"nothing wrong in a quick check of " in output("verify", "--quick", sound)
    data = bytearray(damaged.read_bytes())
    data[4096 + 100] ^= 1
    damaged.write_bytes(data)
    verdict = run("verify", "--quick", damaged).stdout.splitlines()[0]
    assert b" in a quick check of " in verdict


@pytest.mark.parametrize("arguments", [["recover", "FILE"], ["recover", "--dry-run", "FILE", "other"]])
def test_recover_needs_a_target_or_a_dry_run(damaged: Path, arguments: list[str]) -> None:
    done = run(*(str(damaged) if argument == "FILE" else argument for argument in arguments))
    assert (done.returncode, done.stdout) == (UNUSABLE, b"")
    assert b"--dry-run" in done.stderr


def test_recover_refuses_a_file_that_never_was_a_capture_file(numbers: Path, tmp_path: Path) -> None:
    text, target = tmp_path / "text.txt", tmp_path / "new.capture"
    text.write_text("hello\n" * 10_000)
    done = run("recover", text, target)
    assert (done.returncode, done.stdout, target.exists()) == (FAILED, b"", False)
    assert_one_line(done.stderr)
    assert b'"MioCapture' in done.stderr
    numbers.write_bytes(bytes(4096) + numbers.read_bytes()[4096:])
    assert run("recover", numbers, target).returncode in (0, 3)
    assert count_of(target) == 20


def test_recover_says_how_to_replace_a_file(numbers: Path) -> None:
    other = make(numbers.with_name("other.capture"))
    done = run("recover", numbers, other)
    assert (done.returncode, count_of(other)) == (FAILED, 0)
    assert done.stderr == f"capturefile: {other}: File exists; --overwrite replaces it\n".encode()


@pytest.mark.parametrize(
    "command", [["cat"], ["grep", "."], ["export"], ["follow", "--from", "begin", "--exit-at-end"], ["get", "1-"]]
)
def test_an_error_names_the_record_that_cannot_be_read_and_what_to_do(damaged: Path, command: list[str]) -> None:
    (lost,) = capturefile.verify(damaged).unreadable
    arguments = ["get", damaged, "1-"] if command[0] == "get" else [*command, str(damaged)]
    done = run(*arguments)
    error = done.stderr.decode()
    assert error.startswith(f"capturefile: record {lost.first} cannot be read: ")
    assert f"capturefile verify {damaged} lists all damage" in error
    assert f"capturefile recover {damaged} NEW.capture saves the rest" in error


@pytest.mark.parametrize("where", [0, 1000])
def test_info_lists_the_blocks_after_a_damaged_one(path: Path, where: int) -> None:
    """The wrong byte is in a block's length, or in its content."""
    make(path, noise(20_000))
    data = bytearray(path.read_bytes())
    with capturefile.open(path) as cf:
        blocks = list(cf.blocks())
    broken = next(block for block in blocks[10:] if block.records)
    assert broken.position is not None
    assert broken.records is not None
    data[broken.position + where] ^= 0xFF
    path.write_bytes(data)
    done = run("info", "--blocks", "--json", path)
    printed = json.loads(done.stdout)
    assert done.returncode == 3
    assert b"some blocks cannot be read; capturefile verify" in done.stderr
    assert printed["problems"]
    positions = [block["position"] for block in printed["blocks"]]
    # Records whose index nodes were in the damaged block may be missing, too.
    assert len(blocks) - 1 >= len(positions) > len(blocks) // 2
    assert positions[-20:] == [block.position for block in blocks[-20:]]
    assert broken.position not in positions
    listed = run("info", "--blocks", path).stdout.decode()
    ranges = re.findall(r"records (\d+) to (\d+): in blocks that are unreadable or unknown", listed)
    assert any(int(first) <= broken.records.first <= broken.records.last <= int(last) for first, last in ranges)


def test_info_lists_the_blocks_after_damaged_index_nodes(path: Path) -> None:
    make(path, noise(20_000))
    data = bytearray(path.read_bytes())
    with capturefile.open(path) as cf:
        blocks = list(cf.blocks())
    damaged = blocks[len(blocks) // 2 :][:3]
    for block in damaged:
        assert block.position is not None
        data[block.position + 1000] ^= 0xFF
    path.write_bytes(data)
    printed = json.loads(run("info", "--blocks", "--json", path).stdout)
    positions = {block["position"] for block in printed["blocks"]}
    assert not positions & {block.position for block in damaged}
    assert {block.position for block in blocks[: len(blocks) // 3] + blocks[-20:]} <= positions
    for block in printed["blocks"]:
        if block["records"]:
            (same,) = (each.records for each in blocks if each.position == block["position"])
            assert same is not None
            assert same.first <= block["records"]["first"]
            assert block["records"]["last"] == same.last


def test_info_distinguishes_unknown_records_from_none(path: Path) -> None:
    make(path, noise(20_000, 60))
    damaged = damage_some_blocks(path)
    printed = json.loads(run("info", "--blocks", "--json", path).stdout)
    unknown = {str(block["position"]) for block in printed["blocks"] if block["record_count"] is None}
    assert unknown
    assert all(block["records"] is None for block in printed["blocks"] if str(block["position"]) in unknown)
    assert len(printed["problems"]) == damaged
    rows = [line.split() for line in run("info", "--blocks", path).stdout.decode().splitlines()]
    assert {row[0] for row in rows if row[-1:] == ["unknown"] and len(row) == 4} == unknown


def test_verify_as_json_reports_the_same(damaged: Path) -> None:
    done = run("verify", "--json", damaged)
    assert done.returncode == DAMAGED
    printed = json.loads(done.stdout)
    report = capturefile.verify(damaged)
    assert printed["sound"] is False
    assert printed["record_count"] == 2000
    assert printed["records_checked"] == report.records_checked
    assert printed["problems"] == [
        {"position": problem.position, "found": problem.found, "expected": problem.expected}
        for problem in report.problems
    ]


def test_verify_as_json_of_a_sound_file_has_no_problems(numbers: Path) -> None:
    printed = json.loads(output("verify", "--json", numbers))
    assert (printed["sound"], printed["records_checked"], printed["problems"]) == (True, 20, [])


def test_verify_cannot_use_a_file_whose_master_nodes_are_both_damaged(numbers: Path) -> None:
    data = bytearray(numbers.read_bytes())
    data[4096 + 100] ^= 1
    data[4096 + 40_960 + 100] ^= 1
    numbers.write_bytes(data)
    done = run("verify", numbers)
    assert (done.returncode, done.stdout) == (UNUSABLE, b"")
    assert_one_line(done.stderr)


def test_info_lists_the_blocks(path: Path) -> None:
    make(path, noise(2000))
    facts, _, table = output("info", "--blocks", path).decode().partition("\n\n")
    head, *rows = (line.split() for line in table.splitlines())
    assert facts.splitlines() == output("info", path).decode().splitlines()
    assert head == ["position", "compressed", "size", "records"]
    assert [int(word) for word in rows[0][:1]] == [DATA_START]
    ranges = [row[-1].split("-") for row in rows if row[-1] != "none"]
    assert (ranges[0][0], ranges[-1][1]) == ("1", "2000")
    assert rows[-1][:4] == ["in", "the", "commit", "no"]


def test_info_lists_the_blocks_as_json(path: Path) -> None:
    make(path, noise(2000))
    printed = json.loads(output("info", "--json", "--blocks", path))
    with capturefile.open(path) as cf:
        blocks = list(cf.blocks())
    assert [block["position"] for block in printed["blocks"]] == [block.position for block in blocks]
    first = blocks[0].records
    assert first is not None
    assert printed["blocks"][0]["records"] == {"first": 1, "last": first.last}
    assert printed["blocks"][-1]["compressed_size"] is None
    assert printed["record_count"] == 2000


# metadata


def test_set_metadata_can_be_read_back(path: Path) -> None:
    make(path)
    assert output("metadata", "set", path, "some text") == b""
    assert output("metadata", "get", path) == b"some text"


def test_metadata_is_set_to_exactly_the_bytes_of_standard_input(path: Path) -> None:
    value = b"\0\xff\r\n\nlast\n"
    make(path)
    output("metadata", "set", path, given=value)
    assert metadata_of(path) == value
    assert output("metadata", "get", path) == value


def test_metadata_can_be_any_argument(path: Path) -> None:
    make(path)
    output("metadata", "set", path, b"\xff\xfe")
    assert metadata_of(path) == b"\xff\xfe"
    output("metadata", "set", path, "--", "-n")
    assert metadata_of(path) == b"-n"
    output("metadata", "set", path, "")
    assert metadata_of(path) == b""
    assert output("metadata", "get", path) == b""


def test_metadata_that_was_cleared_is_gone(path: Path) -> None:
    make(path, metadata=b"old")
    output("metadata", "clear", path)
    assert metadata_of(path) is None


def test_getting_metadata_where_there_is_none_fails(numbers: Path) -> None:
    done = run("metadata", "get", numbers)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"no metadata" in done.stderr


def test_setting_metadata_keeps_the_records(numbers: Path) -> None:
    output("metadata", "set", numbers, "x")
    assert count_of(numbers) == 20


def test_metadata_on_a_terminal_ends_with_a_newline(path: Path) -> None:
    make(path, metadata=b"value")
    master, terminal = pty.openpty()
    try:
        subprocess.run([*COMMAND, "metadata", "get", path], stdout=terminal, timeout=PATIENCE, check=True)
        assert os.read(master, 1000) == b"value\r\n"
    finally:
        os.close(terminal)
        os.close(master)
