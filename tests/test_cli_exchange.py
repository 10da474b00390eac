"""The commands `import` and `export`: round trips through JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import capturefile.cli
import pyarrow
import pyarrow.parquet as parquet
import pytest
from command import (
    FAILED,
    INTERRUPTED,
    PATIENCE,
    SUCCEEDED,
    WRONG_USAGE,
    assert_one_line,
    lines,
    make,
    metadata_of,
    output,
    pipe_of,
    read,
    records_of,
    run,
    running,
    shell,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

FORMS = ["jsonl", "csv", "parquet"]
TOUGH = [
    b"",
    b"text",
    b"two\nlines",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"a\0b",
    b'"',
    b'""',
    b'",",\n"',
    b"=1+1",
    b" spaces ",
    b"\xef\xbb\xbfmark",
    "Größe 世界 \U0001f600 \u2028 \x85 \ufeff".encode(),
    b"\xff",
    b"\xed\xa0\x80",
    b"text, then \xff",
    bytes(range(256)),
    b"null",
    b"123",
    b'{"record": "inner"}',
    os.urandom(5_000_000),
    b"x" * 5_000_000,
    b"",
]


@pytest.mark.parametrize("form", FORMS)
def test_an_import_of_an_export_gives_the_same_records(tmp_path: Path, form: str) -> None:
    source, middle, target = make(tmp_path / "a", TOUGH), tmp_path / f"b.{form}", tmp_path / "c"
    printed = run("export", source, middle)
    assert (printed.returncode, printed.stdout) == (SUCCEEDED, b"")
    assert printed.stderr == f"capturefile: 25 records written to {middle}\n".encode()
    assert run("import", target, middle).stderr == b"capturefile: 25 records added\n"
    assert records_of(target) == TOUGH


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode)), max_size=100))
def test_any_records_survive_a_round_trip(tmp_path: Path, form: str, records: list[bytes]) -> None:
    source, middle, target = tmp_path / "a", tmp_path / f"b.{form}", tmp_path / "c"
    for file in (source, target):
        file.unlink(missing_ok=True)
    make(source, records)
    assert capturefile.cli.main(["export", "--overwrite", str(source), str(middle)]) == SUCCEEDED
    assert capturefile.cli.main(["import", str(target), str(middle)]) == SUCCEEDED
    assert records_of(target) == records


@pytest.mark.parametrize("form", FORMS)
def test_a_file_without_records_survives_a_round_trip(tmp_path: Path, form: str) -> None:
    run("export", make(tmp_path / "a"), tmp_path / f"b.{form}")
    assert run("import", tmp_path / "c", tmp_path / f"b.{form}").stderr == b"capturefile: 0 records added\n"
    assert records_of(tmp_path / "c") == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_records_are_exported_and_imported_through_a_pipe(tmp_path: Path, form: str) -> None:
    source, target = make(tmp_path / "a", [b"one", b"\xff", b""]), tmp_path / "b"
    done = shell(f'"$@" export --format {form} {source} | "$@" import --format {form} {target}')
    assert (done.returncode, done.stderr) == (SUCCEEDED, b"capturefile: 3 records added\n")
    assert records_of(target) == [b"one", b"\xff", b""]


def test_jsonl_is_the_default_format(path: Path, tmp_path: Path) -> None:
    make(path, [b"one"])
    assert output("export", path) == b'{"record_number": 1, "record": "one"}\n'
    run("import", tmp_path / "b", given=b'{"record": "one"}\n\n{"record_base64": "/w=="}')
    assert records_of(tmp_path / "b") == [b"one", b"\xff"]


def test_import_adds_after_the_existing_records(numbers: Path) -> None:
    run("import", numbers, given=b'{"record": "21"}\n')
    assert records_of(numbers)[-2:] == [b"20", b"21"]


def test_export_accepts_a_range(numbers: Path) -> None:
    printed = [json.loads(line) for line in output("export", "--range", "-2-", numbers).splitlines()]
    assert printed == [{"record_number": 19, "record": "19"}, {"record_number": 20, "record": "20"}]


def test_csv_can_be_read_by_other_programs(tmp_path: Path, path: Path) -> None:
    run("export", make(path, TOUGH[:20]), tmp_path / "b.csv")
    with (tmp_path / "b.csv").open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    assert names == ["record_number", "record", "record_base64"]
    assert [int(row[0]) for row in rows] == list(range(1, 21))
    assert rows[2] == ["3", "two\nlines", ""]
    assert rows[15] == ["16", "", "/w=="]


def test_parquet_can_be_read_by_other_programs(tmp_path: Path, path: Path) -> None:
    run("export", make(path, TOUGH), tmp_path / "b.parquet")
    table = parquet.read_table(tmp_path / "b.parquet")
    numbers = pyarrow.field("record_number", pyarrow.int64(), nullable=False)
    assert table.schema == pyarrow.schema([numbers, pyarrow.field("record", pyarrow.binary(), nullable=False)])
    assert table.to_pydict() == {"record_number": list(range(1, 26)), "record": TOUGH}


def test_parquet_has_row_groups_of_a_bounded_size(tmp_path: Path, path: Path) -> None:
    make(path, [b"x" * 1_000_000] * 40 + [b""] * 70_000)
    run("export", path, tmp_path / "b.parquet")
    groups = parquet.ParquetFile(tmp_path / "b.parquet").metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [17, 17, 65_536, 4_470]


@pytest.mark.parametrize("form", FORMS)
def test_text_refuses_records_that_are_not_text(tmp_path: Path, path: Path, form: str) -> None:
    make(path, [b"one", b"\xff"])
    done = run("export", "--text", path, tmp_path / f"b.{form}")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"record 2 is not text in UTF-8" in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name]


def test_text_becomes_strings_in_parquet(tmp_path: Path, path: Path) -> None:
    run("export", "--text", make(path, ["é".encode()]), tmp_path / "b.parquet")
    table = parquet.read_table(tmp_path / "b.parquet")
    assert (table.schema.field("record").type, table.to_pydict()["record"]) == (pyarrow.string(), ["é"])
    run("import", tmp_path / "c", tmp_path / "b.parquet")
    assert records_of(tmp_path / "c") == ["é".encode()]


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary(3)]
)
def test_parquet_of_other_programs_is_read(tmp_path: Path, path: Path, kind: Any) -> None:  # noqa: ANN401
    table = pyarrow.table({"number": [1, 2], "message": pyarrow.array([b"one", b"two"], kind)})
    parquet.write_table(table, tmp_path / "b.parquet")
    assert run("import", "--column", "message", path, tmp_path / "b.parquet").returncode == SUCCEEDED
    assert records_of(path) == [b"one", b"two"]


def test_a_column_of_categories_is_read(tmp_path: Path, path: Path) -> None:
    categories = pyarrow.array(["one", "two", "one"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"record": categories}), tmp_path / "b.parquet")
    run("import", path, tmp_path / "b.parquet")
    assert records_of(path) == [b"one", b"two", b"one"]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"other": ["one"]}, b"there is no column record, only other"),
        ({"record": [1]}, b"row 1: record is int, expected text or bytes"),
        ({"record": ["one", None]}, b"row 2: record is null"),
    ],
)
def test_parquet_without_records_is_an_error(tmp_path: Path, path: Path, columns: Any, found: bytes) -> None:  # noqa: ANN401
    parquet.write_table(pyarrow.table(columns), tmp_path / "b.parquet")
    done = run("import", path, tmp_path / "b.parquet")
    assert done.returncode == FAILED
    assert found in done.stderr
    assert not path.exists()


def test_a_file_that_is_not_parquet_is_an_error(tmp_path: Path, path: Path) -> None:
    (tmp_path / "b.parquet").write_bytes(b"no such thing")
    done = run("import", path, tmp_path / "b.parquet")
    assert done.returncode == FAILED
    assert f"{tmp_path / 'b.parquet'}: Parquet: ".encode() in done.stderr


def test_parquet_cannot_be_read_from_a_pipe(path: Path) -> None:
    done = run("import", "--format", "parquet", path, given=b"PAR1")
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"cannot be read from a pipe" in done.stderr


def test_parquet_is_written_to_a_pipe(tmp_path: Path, path: Path) -> None:
    data = output("export", "--format", "parquet", make(path, [b"one"]))
    (tmp_path / "b").write_bytes(data)
    assert parquet.read_table(tmp_path / "b").to_pydict() == {"record_number": [1], "record": [b"one"]}


@pytest.mark.parametrize("command", [("export",), ("import",)])
def test_parquet_without_pyarrow_says_what_to_install(path: Path, command: tuple[str]) -> None:
    make(path, [b"one"])
    hidden = "import sys; sys.modules['pyarrow'] = None; from capturefile.cli import main; sys.exit(main())"
    process = [sys.executable, "-c", hidden, *command, "--format", "parquet", str(path)]
    done = subprocess.run(process, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == WRONG_USAGE
    assert done.stderr == (
        b"capturefile: Parquet needs pyarrow, which comes with the extra `arrow`: pip install 'capturefile-rs[arrow]'\n"
    )


BAD_LINES = [
    b"{",
    b"7",
    b"[]",
    b"{}",
    b'{"record": 7}',
    b'{"record": null}',
    b'{"record_base64": "?"}',
    b'{"record_base64": "abc"}',
    b'{"record_base64": 7}',
    b'{"record": "\\ud800"}',
    b'{"record": "a", "record_base64": "YQ=="}',
    b"\xff",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_line_of_json_without_a_record_is_an_error_and_nothing_is_added(path: Path, line: bytes) -> None:
    make(path, [b"old"])
    done = run("import", path, given=b'{"record": "new"}\n' + line)
    assert done.returncode == FAILED
    added, error = done.stderr.splitlines()
    assert added == b"capturefile: 0 records added"
    assert error.startswith(b"capturefile: standard input: line 2: ")
    assert records_of(path) == [b"old"]


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"other\nx\n",
        b"record\nnew\na,b\n",
        b'record\nnew\n"a\n',
        b'record\nnew\n"a"b\n',
        b"record\nnew\n\xff\n",
        b"record,record_base64\nnew,\n,?\n",
        b"record,record_base64\nnew,\na,YQ==\n",
    ],
)
def test_invalid_csv_is_an_error_and_nothing_is_added(path: Path, table: bytes) -> None:
    done = run("import", "--format", "csv", path, given=table)
    assert done.returncode == FAILED
    error = done.stderr.splitlines()[1]
    assert error.startswith(b"capturefile: standard input: line ")
    assert not path.exists()


def test_csv_of_other_programs_is_read(path: Path) -> None:
    given = b'\xef\xbb\xbfid,message\r\n1,plain\r\n2,"two\r\nlines"\r\n3,\r\n'
    run("import", "--format", "csv", "--column", "message", path, given=given)
    assert records_of(path) == [b"plain", b"two\r\nlines", b""]


def test_import_commits_at_intervals_on_request(path: Path) -> None:
    given = lines(*(b'{"record": "%d"}' % number for number in range(25)), b"{")
    done = run("import", "--commit-every", "10", path, given=given)
    assert (done.returncode, done.stderr.splitlines()[0]) == (FAILED, b"capturefile: 20 records added")
    assert records_of(path) == [b"%d" % number for number in range(20)]


def test_ctrl_c_ends_import_and_nothing_is_added(path: Path) -> None:
    make(path, [b"old"])
    with running("import", path) as process:
        pipe_of(process.stdin).write(b'{"record": "new"}\n' * 50_000)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b"capturefile: 0 records added\n"
    assert records_of(path) == [b"old"]


# Existing files


def test_export_replaces_a_file_only_with_overwrite(numbers: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    done = run("export", numbers, target)
    assert (done.returncode, target.read_text()) == (FAILED, "old")
    assert done.stderr == f"capturefile: {target}: File exists; --overwrite replaces it\n".encode()
    assert run("export", "--overwrite", numbers, target).returncode == SUCCEEDED
    assert target.read_bytes().count(b"\n") == 20


def test_a_failed_export_keeps_the_existing_file(damaged: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    assert run("export", "--overwrite", damaged, target).returncode == FAILED
    assert target.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == sorted([damaged, target])
    done = run("export", "--overwrite", "--skip-unreadable", damaged, target)
    assert done.returncode == 3
    count = target.read_bytes().count(b"\n")
    assert 1000 < count < 2000
    assert f"{count} records written to {target}".encode() in done.stderr


def test_export_writes_to_a_device_without_replacing_it(numbers: Path) -> None:
    assert run("export", numbers, "/dev/null").returncode == SUCCEEDED
    assert run("export", numbers, "/dev/stdout").stdout.count(b"\n") == 20
    done = run("export", numbers, "/dev/full")
    assert (done.returncode, done.stderr) == (FAILED, b"capturefile: /dev/full: No space left on device\n")


def test_import_of_a_missing_file_creates_no_capture_file(path: Path, tmp_path: Path) -> None:
    done = run("import", path, tmp_path / "missing.csv")
    assert done.returncode == FAILED
    assert done.stderr == f"capturefile: {tmp_path / 'missing.csv'}: No such file or directory\n".encode()
    assert not path.exists()


def test_import_keeps_the_metadata(path: Path) -> None:
    make(path, metadata=b"state")
    run("import", path, given=b'{"record": "new"}')
    assert metadata_of(path) == b"state"


@pytest.mark.parametrize(
    "line", [b"[" * 100_000 + b"]" * 100_000, b'{"record":"x","y":' + b"[" * 9999 + b"]" * 9999 + b"}"]
)
def test_deeply_nested_json_is_read_or_an_error_on_one_line(path: Path, line: bytes) -> None:
    done = run("import", path, given=line)
    assert done.returncode in (SUCCEEDED, FAILED)
    if done.returncode == FAILED:
        assert_one_line(done.stderr.removeprefix(b"capturefile: 0 records added\n"))
        assert b"standard input: line 1: " in done.stderr


@pytest.mark.parametrize("options", [[], ["--commit-every", "5"]])
def test_an_import_that_fails_before_its_first_commit_leaves_no_new_file(path: Path, options: list[str]) -> None:
    assert run("import", path, *options, given=b'{"record":"a"}\nnothing').returncode == FAILED
    assert not path.exists()
    make(path)
    assert run("import", path, *options, given=b"nothing").returncode == FAILED
    assert path.exists()


def test_the_commits_of_a_failed_import_stay(path: Path) -> None:
    assert run("import", path, "--commit-every", "1", given=b'{"record":"a"}\nnothing').returncode == FAILED
    assert records_of(path) == [b"a"]


@pytest.mark.parametrize("ending", [".csv.lz4", ".txt.gz", ".parq", ".txt"])
def test_an_unknown_file_extension_is_an_error(numbers: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"records{ending}"
    done = run("export", numbers, target)
    assert (done.returncode, target.exists()) == (WRONG_USAGE, False)
    assert b"unknown format " in done.stderr
    assert run("export", "--format", "csv", numbers, target).returncode == SUCCEEDED
    assert run("import", tmp_path / "new.capture", target).returncode == WRONG_USAGE
    assert not (tmp_path / "new.capture").exists()


def test_a_name_without_an_extension_means_json_lines(numbers: Path, tmp_path: Path) -> None:
    assert run("export", numbers, tmp_path / "records").returncode == SUCCEEDED
    assert (tmp_path / "records").read_bytes().startswith(b'{"record_number": 1')
