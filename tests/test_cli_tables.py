"""Table rows as records, fields of records as columns, and compressed tables."""

from __future__ import annotations

import bz2
import csv
import datetime
import gzip
import io
import json
import lzma
import os
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow
import pytest
from command import FAILED, SUCCEEDED, WRONG_USAGE, assert_one_line, make, output, records_of, run, shell
from pyarrow import parquet

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS: list[dict[str, Any]] = [
    {"level": "info", "ms": 5, "ok": True, "at": 1.5, "note": 'a "b",\r\n\tc'},
    {"level": "Größe \U0001f600", "ms": -3, "ok": False, "at": 2, "note": None},
    {"ms": 2**62, "ok": None, "mixed": [1, {"x": None}]},
    {"level": "", "mixed": "text"},
    {"mixed": 2**70, "at": -1e300},
]
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": zstd.decompress,
}


@pytest.fixture
def table(path: Path) -> Path:
    """A file with the rows as records."""
    return make(path, [json.dumps(row).encode() for row in ROWS])


def objects(path: Path) -> list[Any]:
    """The records of a file, decoded from JSON."""
    return [json.loads(record) for record in records_of(path)]


def test_lines_of_json_become_records_unchanged(tmp_path: Path) -> None:
    lines = b'{"a":  1.10}\r\n\n  {"b": "\\u00e9"}\n{}'
    assert run("import", "--rows", tmp_path / "a", given=lines).stderr == b"capturefile: 3 records added\n"
    assert records_of(tmp_path / "a") == [b'{"a":  1.10}', b'{"b": "\\u00e9"}', b"{}"]
    for wrong in (b"{}\n[1]\n", b"{}\nnot JSON\n", b'{}\n{"a": \xff}\n'):
        told = run("import", "--rows", tmp_path / "b", given=wrong)
        assert told.returncode == FAILED
        assert b"standard input: line 2: " in told.stderr
        assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(("form", "tab"), [("csv", ","), ("tsv", "\t")])
def test_rows_of_csv_become_objects_of_strings_or_numbers(tmp_path: Path, form: str, tab: str) -> None:
    text = '\ufeffname,ms,note\r\nAda,1.10,\r\n"a""b",007,"1\n2"\r\n-0,1e5,NaN\r\n'.replace(",", tab)
    (tmp_path / f"t.{form}").write_bytes(text.encode())
    run("import", "--rows", tmp_path / "a", tmp_path / f"t.{form}")
    assert objects(tmp_path / "a") == [
        {"name": "Ada", "ms": "1.10", "note": ""},
        {"name": 'a"b', "ms": "007", "note": "1\n2"},
        {"name": "-0", "ms": "1e5", "note": "NaN"},
    ]
    run("import", "--rows", "--numbers", tmp_path / "b", tmp_path / f"t.{form}")
    assert records_of(tmp_path / "b") == [
        b'{"name": "Ada", "ms": 1.10, "note": ""}',
        b'{"name": "a\\"b", "ms": "007", "note": "1\\n2"}',
        b'{"name": -0, "ms": 1e5, "note": "NaN"}',
    ]


def test_data_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    for text, complaint in [
        (b"a,b,a\n1,2,3\n", b"line 1: there are several columns with the name 'a'"),
        (b"a,b\n1,2\n3\n", b"line 3: found 1 fields, expected 2"),
        (b"a\n\xff\n", b"standard input: line 1: 'utf-8' codec can't decode"),
    ]:
        told = run("import", "--rows", "--format", "csv", tmp_path / "a", given=text)
        assert told.returncode == FAILED
        assert complaint in told.stderr
        assert not (tmp_path / "a").exists()
    assert run("import", "--rows", "--column", "x", tmp_path / "a", given=b"{}").returncode == WRONG_USAGE
    assert run("import", "--numbers", tmp_path / "a", given=b"{}").returncode == WRONG_USAGE


def test_rows_of_parquet_become_objects(tmp_path: Path) -> None:
    utc = datetime.UTC
    columns = {
        "n": pyarrow.array([1, None], pyarrow.int64()),
        "x": pyarrow.array([0.1, float("inf")]),
        "text": ["é", None],
        "raw": [b"plain", b"\xff"],
        "list": [[1, 2], []],
        "object": [{"at": datetime.date(2026, 11, 30), "raw": b"\xff"}, None],
        "at": pyarrow.array([1_700_000_000_123_456_789, None], pyarrow.timestamp("ns", "UTC")),
        "day": [datetime.date(2026, 11, 30), None],
        "time": [datetime.datetime(2026, 11, 30, 10, 15, tzinfo=utc), None],
        "price": [Decimal("1.10"), None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    run("import", "--rows", tmp_path / "a", tmp_path / "t.parquet")
    assert objects(tmp_path / "a") == [
        {
            "n": 1,
            "x": 0.1,
            "text": "é",
            "raw": "plain",
            "list": [1, 2],
            "object": {"at": "2026-11-30", "raw": "/w=="},
            "at": "2023-11-14 22:13:20.123456789Z",
            "day": "2026-11-30",
            "time": "2026-11-30 10:15:00.000000Z",
            "price": "1.10",
        },
        {
            **dict.fromkeys(("n", "text", "object", "at", "day", "time", "price")),
            "x": "Infinity",
            "raw_base64": "/w==",
            "list": [],
        },
    ]


@pytest.mark.parametrize(("form", "tab"), [("csv", ","), ("tsv", "\t")])
def test_fields_become_columns_of_csv(table: Path, tmp_path: Path, form: str, tab: str) -> None:
    target = tmp_path / f"t.{form}"
    told = run("export", "--columns", table, target)
    assert told.stderr == f"capturefile: 5 records written to {target}\n".encode()
    with target.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file, delimiter=tab)
    assert names == ["level", "ms", "ok", "at", "note", "mixed"]
    assert rows == [
        ["info", "5", "true", "1.5", 'a "b",\r\n\tc', ""],
        ["Größe \U0001f600", "-3", "false", "2", "", ""],
        ["", str(2**62), "", "", "", '[1, {"x": null}]'],
        ["", "", "", "", "", "text"],
        ["", "", "", "-1e+300", "", str(2**70)],
    ]


def test_fields_become_columns_of_parquet_with_types(table: Path, tmp_path: Path) -> None:
    run("export", "--columns", table, tmp_path / "t.parquet")
    found = parquet.read_table(tmp_path / "t.parquet")
    assert {name: str(found.schema.field(name).type) for name in found.column_names} == {
        "level": "string",
        "ms": "int64",
        "ok": "bool",
        "at": "double",
        "note": "string",
        "mixed": "string",
    }
    assert found.to_pylist() == [
        {"level": "info", "ms": 5, "ok": True, "at": 1.5, "note": 'a "b",\r\n\tc', "mixed": None},
        {"level": "Größe \U0001f600", "ms": -3, "ok": False, "at": 2.0, "note": None, "mixed": None},
        {"level": None, "ms": 2**62, "ok": None, "at": None, "note": None, "mixed": '[1, {"x": null}]'},
        {"level": "", "ms": None, "ok": None, "at": None, "note": None, "mixed": "text"},
        {"level": None, "ms": None, "ok": None, "at": -1e300, "note": None, "mixed": str(2**70)},
    ]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_numbers_that_a_column_cannot_hold_become_strings(tmp_path: Path, form: str) -> None:
    make(tmp_path / "a", [b'{"n": 9007199254740993}', b'{"n": 0.5, "s": "\\ud800"}', b'{"n": 1e400}'])
    run("export", "--columns", tmp_path / "a", tmp_path / f"t.{form}")
    run("import", "--rows", "--numbers", tmp_path / "b", tmp_path / f"t.{form}")
    assert [str(row["n"]) for row in objects(tmp_path / "b")] == ["9007199254740993", "0.5", "Infinity"]


def test_chosen_fields_become_columns(table: Path, tmp_path: Path) -> None:
    assert output("export", "--format", "csv", "--field", "ms,none,level", "--range", "1-2", table).decode() == (
        '"ms","none","level"\n5,"","info"\n-3,"","Größe \U0001f600"\n'
    )
    assert output("export", "--columns", "--where", "ok == true", "--field", "ms,none", table) == b'{"ms": 5}\n'
    run("export", "--field", "ms,none", table, tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pydict() == {
        "ms": [5, -3, 2**62, None, None],
        "none": [None] * 5,
    }


def test_records_without_fields_are_refused_and_can_be_skipped(tmp_path: Path) -> None:
    make(tmp_path / "a", [b'{"a": 1}', b"[1]", b"text"])
    for form in ("csv", "jsonl", "parquet"):
        told = run("export", "--columns", tmp_path / "a", tmp_path / f"t.{form}")
        assert told.returncode == FAILED
        assert_one_line(told.stderr)
        assert b"record 2 is not a JSON object" in told.stderr
        assert not (tmp_path / f"t.{form}").exists()
    assert output("export", "--columns", "--where", "a", tmp_path / "a") == b'{"a": 1}\n'


def test_columns_of_several_sources_and_of_a_pipe(table: Path, tmp_path: Path) -> None:
    make(tmp_path / "b", [b'{"new": 1}'])
    done = shell(f'cat {tmp_path / "b"} | "$@" export --columns --format csv {table} - -')
    assert done.returncode == SUCCEEDED, done.stderr
    names, *rows = csv.reader(io.StringIO(done.stdout.decode(), newline=""))
    assert names == ["level", "ms", "ok", "at", "note", "mixed", "new"]
    assert rows[-1] == ["", "", "", "", "", "", "1"]
    assert output("export", "--columns", make(tmp_path / "c")) == b""


@pytest.mark.parametrize("ending", COMPRESSED)
@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", ""])
def test_files_are_compressed_according_to_their_names(tmp_path: Path, form: str, ending: str) -> None:
    records = [b"one", b"\xff", b"two\nlines", b"x" * 1_000_000]
    target = tmp_path / f"t{form and '.'}{form}{ending}"
    run("export", make(tmp_path / "a", records), target)
    assert COMPRESSED[ending](target.read_bytes()) == output("export", "--format", form or "jsonl", tmp_path / "a")
    assert run("import", tmp_path / "b", target).stderr == b"capturefile: 4 records added\n"
    assert records_of(tmp_path / "b") == records


@pytest.mark.parametrize("ending", COMPRESSED)
def test_damage_in_a_compressed_file_is_an_error_on_one_line(tmp_path: Path, ending: str) -> None:
    source = tmp_path / f"t.jsonl{ending}"
    run("export", make(tmp_path / "a", [os.urandom(1000)] * 100), source)
    whole = source.read_bytes()
    middle = len(whole) // 2
    for wrong in (whole[:middle], b"not compressed\n", whole[:middle] + b"damage" + whole[middle + 6 :]):
        source.write_bytes(wrong)
        told = run("import", tmp_path / "b", source)
        assert told.returncode == FAILED
        assert_one_line(told.stderr.splitlines(keepends=True)[-1])
        assert str(source).encode() in told.stderr
        assert not (tmp_path / "b").exists()


def test_unknown_extensions_are_refused_with_a_list_of_known_ones(table: Path, tmp_path: Path) -> None:
    for name in ("t.txt", "t.json.lz4", "t.txt.gz", "t.zip"):
        told = run("export", table, tmp_path / name)
        assert told.returncode == WRONG_USAGE
        assert b".jsonl, .ndjson, .json, .csv, .tsv, .parquet" in told.stderr
        assert b".gz, .bz2, .xz, .zst" in told.stderr
    told = run("export", table, tmp_path / "t.parquet.gz")
    assert told.returncode == WRONG_USAGE
    assert b"Parquet has its own compression" in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["log.capture"]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python has zstd")
def test_the_requirement_of_zstd_is_reported(table: Path, tmp_path: Path) -> None:
    (tmp_path / "backports").mkdir()
    (tmp_path / "backports/__init__.py").write_text("")
    told = run("export", table, tmp_path / "t.csv.zst", environment={"PYTHONPATH": str(tmp_path)})
    assert told.returncode == WRONG_USAGE
    assert b"pip install 'capturefile-rs[zstd]'" in told.stderr
    assert not (tmp_path / "t.csv.zst").exists()
