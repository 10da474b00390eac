"""`--where` and `--field`: records by their fields, and fields of records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile._fields import expressions
from capturefile._fields.conditions import Condition
from capturefile._fields.projection import Projection
from command import (
    SUCCEEDED,
    WRONG_USAGE,
    lines,
    make,
    output,
    read,
    records_of,
    run,
    running,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rotating_logs import write_files

if TYPE_CHECKING:
    from pathlib import Path

LOSSY = 3
RECORDS: list[Any] = [
    {"level": "info", "ms": 5, "http": {"status": 200, "path": "/"}},
    {"level": "error", "ms": 250, "http": {"status": 500, "path": "/pay"}, "tags": ["slow", "paid"]},
    {"level": "error", "ms": 20.5, "http.status": 404, "user-id": "ada"},
    {"level": None, "ms": "250", "ok": False},
    ["level", "error"],
    "error",
    17,
]
ENCODED = [json.dumps(record).encode() for record in RECORDS]
NOT_JSON = [b"level error", b'{"level": "error"', b"\xff", b"", b'"\xff"', b'{"level": "error", "ms": 250} trailing']


def chosen(expression: str) -> list[int]:
    """The indices of the records that match; records that are not JSON must not match."""
    condition = Condition(expression)
    assert not any(condition.holds(record) for record in NOT_JSON)
    for record in ENCODED:
        # Records that are skipped without parsing must not match.
        assert condition.pattern is None or condition.pattern.is_in(record) or not condition.holds(record)
    return [index for index, record in enumerate(ENCODED) if condition.holds(record)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('level == "error"', [1, 2]),
        ('"error" == level', [1, 2]),
        ('level != "error"', [0, 3]),
        ('not level == "error"', [0, 3, 4, 5, 6]),
        ('level == "error" and ms > 100', [1]),
        ('level == "error" and ms > 10 and ms < 100', [2]),
        ('level == "info" or ms > 100', [0, 1]),
        ("10 < ms <= 250", [1, 2]),
        ('level in ("error", "warning")', [1, 2]),
        ('level in ["info", null]', [0, 3]),
        ('level not in {"error"}', [0, 3]),
        ("level is null", [3]),
        ("level == None", [3]),
        ("level is not null", [0, 1, 2]),
        ("ok == false", [3]),
        ("ok is not true", [3]),
        ("http.status >= 400", [1, 2]),
        ("http.status == 200 or http.status == 404", [0, 2]),
        ('this["http.status"] == 404', [2]),
        ('http["path"] == "/pay"', [1]),
        ('http.path.startswith("/p")', [1]),
        ('http.path.endswith("/")', [0]),
        ('http.path.matches(r"^/\\w+$")', [1]),
        ('level.upper() == "ERROR"', [1, 2]),
        ('"rr" in level', [1, 2]),
        ('"slow" in tags', [1]),
        ('tags[0] == "slow" and tags[-1] == "paid"', [1]),
        ("tags[2] == tags[2]", []),
        ("len(tags) == 2", [1]),
        ("len(level) > 4", [1, 2]),
        ('"level" in this', [0, 1, 2, 3, 4]),
        ('this["user-id"] == "ada"', [2]),
        ('this[0] == "level"', [4]),
        ('this == "error"', [5]),
        ("this == 17", [6]),
        ("this >= 17", [6]),
        ("ms / 50 == 5", [1]),
        ("ms * 2 > 40 and -ms < -20", [1, 2]),
        ("ms % 2 == 1 or ms // 100 == 2", [0, 1]),
        ("ms / 0 > 1", []),
        ("missing == missing or missing != 1 or missing", []),
        ("missing > 1 or missing not in (1, 2) or 1 not in missing or missing is not null", []),
        ("level", [0, 1, 2]),
        ("(level.startswith('x')) == false", [0, 1, 2, 3, 4, 5, 6]),
        ("true", [0, 1, 2, 3, 4, 5, 6]),
        (" ms\n  > 100 ", [1]),
    ],
)
def test_an_expression_matches_the_right_records(expression: str, expected: list[int]) -> None:
    assert chosen(expression) == expected


REFUSED = [
    *("", "level =", "1 +", "level == 'x", "a b", "\0", "a\0b", "(" * 300, "[" * 300, "x" * 5000, "not " * 1000 + "x"),
    *("-" * 4000 + "1", "a" + ".b" * 2000, "a" + "[0]" * 1000, "+".join("a" * 2000), "not " * 60 + "x"),
    *("__import__('os')", "open('x')", "a.format('x')", "level.encode()", "len(a, b)", "len()", "len(a, key=1)"),
    *("lambda: 1", "[x for x in y]", "a if b else c", "x := 1", "f'{a}'", "b'x'", "1j", "...", "{1: 2}", "a ** 9"),
    *("a & b", "a @ b", "a << 9", "~a", "+a", "a[b]", "a[1:2]", "a[true]", "'abc'.x", "(a or b).c", "[a]", "[[1]]"),
    *("level is 'error'", "a is b", "a is 1", "level.startswith()", "level.startswith(1)", "level.matches(x)"),
    *("await a", "*a", "a.b()", "this()", 'level.matches("(")'),
]


@pytest.mark.parametrize("expression", REFUSED)
def test_an_invalid_expression_is_refused_in_one_line(expression: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Condition(expression)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 5000


def test_syntax_of_other_languages_gets_a_hint(path: Path) -> None:
    make(path, ENCODED)
    for expression, hint in [
        ('level = "error"', "write == to compare"),
        ('level == "=" && ms > 1', "write and, or, not"),
        ("!ok", "write and, or, not"),
        ("ms > 1 & ok", "is not supported; expressions consist of fields, texts, numbers"),
        ("level is 'error'", "expected true, false or null"),
    ]:
        told = run("cat", "--where", expression, path)
        assert told.returncode == WRONG_USAGE
        assert hint in told.stderr.decode()
        assert told.stderr.startswith(b"usage: capturefile cat ")


keys = st.sampled_from(["a", "b", "a.b", "c d"])
texts = st.text('ab"\\\n/é\U0001f600\ud800 ', max_size=3)
names = st.sampled_from(["a", "b", "a.b", "this", 'this["c d"]', "a[0]"])
constants = st.one_of(
    st.sampled_from(["true", "false", "null", "0", "1", "-1.5"]),
    texts.map(repr),
)
values = st.recursive(
    names,
    lambda inner: st.one_of(
        st.builds("{}.lower()".format, names),
        st.builds("len({})".format, inner),
        st.builds("({} + {})".format, inner, inner),
        st.builds("(-{})".format, inner),
    ),
    max_leaves=3,
)
comparisons = st.builds(
    "({} {} {})".format,
    st.one_of(values, constants),
    st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]),
    st.one_of(values, constants, st.lists(constants, max_size=3).map(lambda texts: f"[{', '.join(texts)}]")),
)
conditions = st.recursive(
    st.one_of(values, comparisons, st.builds("{}.startswith({})".format, names, st.text("ab", max_size=2).map(repr))),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} == {})".format, inner, st.sampled_from(["true", "false", "null"])),
    ),
    max_leaves=4,
)
documents = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.text('ab"\\\n/é\U0001f600\ud800 ', max_size=3)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "a.b", "c d"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(expression=conditions, value=documents, is_ascii=st.booleans())
@example(expression='(a == "a/b")', value={"a": "a/b"}, is_ascii=True)
def test_the_text_that_is_searched_for_first_is_in_every_match(expression: str, value: object, is_ascii: bool) -> None:
    condition = Condition(expression)
    text = json.dumps(value, ensure_ascii=is_ascii)
    for spelling in (text, text.replace("/", r"\/"), text.replace("a", r"\u0061")):
        record = spelling.encode(errors="backslashreplace")
        if condition.holds(record):
            assert condition.pattern is None or condition.pattern.is_in(record)


def test_only_records_that_can_match_are_parsed() -> None:
    def is_parsed(expression: str, record: bytes) -> bool:
        pattern = Condition(expression).pattern
        return pattern is None or pattern.is_in(record)

    other = b'{"level": "info", "ms": 250}'
    for expression in (
        'level == "error"',
        'level in ("error", "fatal") and ms > 1',
        'x == 1 or level == "error"',
        "size > 1",
    ):
        assert not is_parsed(expression, other)
    for expression in ('level != "error"', "ms > 1 or x == 1", 'not level == "error"', 'level.lower() == "error"'):
        assert is_parsed(expression, other)


@pytest.fixture
def log(path: Path) -> Path:
    """A file of JSON records in several blocks, and some records that are not JSON."""
    records = [
        json.dumps({"n": n, "level": "error" if n % 100 == 0 else "info", "text": "x" * 50}).encode()
        for n in range(1, 5001)
    ]
    records[1::1000] = [b"not JSON, of level error"] * 5
    return make(path, records)


def numbers_in(shown: bytes) -> list[int]:
    """The record numbers in lines of JSON."""
    return [json.loads(line)["record_number"] for line in shown.splitlines()]


ERRORS = list(range(100, 5001, 100))


@pytest.mark.parametrize("expression", ['level == "error"', 'not level == "info"'])
def test_every_command_accepts_a_condition(log: Path, tmp_path: Path, expression: str) -> None:
    def shown(command: str, *options: str) -> list[int]:
        return numbers_in(output(command, "--where", expression, *options, "--format", "jsonl", log))

    assert shown("cat") == ERRORS
    assert shown("cat", "--range", "150-400") == [200, 300, 400]
    assert shown("head", "-n", "3") == [100, 200, 300]
    assert shown("tail", "-n", "3") == [4800, 4900, 5000]
    assert shown("tail", "-n", "200") == ERRORS
    assert shown("tail", "-n", "+4850") == [4900, 5000]
    assert shown("tail", "-n", "0") == shown("head", "-n", "0") == []
    assert shown("follow", "--from", "4701", "--exit-at-end") == [4800, 4900, 5000]
    assert output("count", "--where", expression, log) == b"50\n"
    grep = ("grep", "--where", expression, "--format", "jsonl")
    assert numbers_in(output(*grep, '"n": .00,', log)) == ERRORS[:9]
    assert numbers_in(output(*grep, "-v", '"n": .00,', log)) == ERRORS[9:]
    assert numbers_in(output(*grep, "-P", '"n": .00,', log)) == ERRORS[:9]
    assert output("grep", "-c", "--where", expression, "00", log) == b"50\n"
    assert output("grep", "-c", "-m", "7", "--where", expression, "00", log) == b"7\n"
    assert run("grep", "--where", "n < 0", "00", log).returncode == 1
    run("copy", "--where", expression, log, tmp_path / "copy")
    assert [json.loads(record)["n"] for record in records_of(tmp_path / "copy")] == ERRORS
    assert numbers_in(output("export", "--where", expression, log)) == ERRORS


def test_a_condition_is_applied_to_logs_and_several_files(tmp_path: Path) -> None:
    write_files(tmp_path / "log", 2, 3)
    make(tmp_path / "a", [b"1", b"2", b"3", b"4"])
    told = run("count", "--where", "this > 2", tmp_path / "a", tmp_path / "log")
    assert told.stdout == b"".join([b"2 ", bytes(tmp_path / "a"), b"\n0 ", bytes(tmp_path / "log"), b"\n2 total\n"])
    assert b"log: --where finds only JSON records, and records 1 to 5 are not JSON" in told.stderr
    assert output("cat", "--where", "this > 2", tmp_path / "a", tmp_path / "a") == lines(b"3", b"4", b"3", b"4")


def test_a_condition_can_be_combined_with_times_and_slack(path: Path) -> None:
    make(path, [json.dumps({"t": 1_700_000_000 + t, "odd": t % 2}).encode() for t in (0, 1, 3, 2, 5, 4, 6)])
    times = ("--time-field", "t", "--since", "@1700000002", "--until", "@1700000005")
    assert output("count", *times, "--time-slack", "2", "--where", "odd == 1", path) == b"1\n"
    assert output("count", *times, "--time-slack", "2", "--where", '"odd" in this', path) == b"3\n"
    told = run("copy", "--split", "2", "--where", "odd == 1", path, "part")
    assert told.returncode == WRONG_USAGE
    assert b"unknown with --time-slack and --where" in told.stderr


def test_unreadable_records_are_skipped_before_a_condition_is_applied(log: Path) -> None:
    with capturefile.open(log, encoding=None) as cf:
        block = [block for block in cf.blocks() if block.position and block.records][1]
    assert block.position is not None
    assert block.records is not None
    with log.open("r+b") as file:
        file.seek(block.position + 20)
        file.write(b"\xff" * 50)
    lost = range(block.records.first, block.records.last + 1)
    assert len(lost) > 100
    for expression in ('level == "error"', 'not level == "info"'):
        assert run("cat", "--where", expression, log).returncode == 1
        told = run("cat", "--skip-unreadable", "--where", expression, "--format", "jsonl", log)
        assert told.returncode == LOSSY
        assert numbers_in(told.stdout) == [number for number in ERRORS if number not in lost]
        assert b"cannot be read and are left out" in told.stderr


def test_a_cursor_also_advances_past_records_that_do_not_match(tmp_path: Path) -> None:
    make(tmp_path / "a", [b"1", b"2", b"3"])
    follow = ("follow", "--from", "begin", "--exit-at-end", "--cursor-file", tmp_path / "c", "--where", "this < 2")
    assert output(*follow, tmp_path / "a") == b"1\n"
    assert json.loads((tmp_path / "c").read_text())["records"] == 3
    assert output("follow", "--exit-at-end", "--cursor-file", tmp_path / "c", tmp_path / "a") == b""


def test_a_condition_is_applied_to_later_commits_too(path: Path) -> None:
    make(path, [b"1", b"2"])
    with running("tail", "-f", "--where", "this > 1", path) as process:
        assert read(process.stdout, 2) == b"2\n"
        run("append", path, given=b"0\nnot JSON\n3\n")
        assert read(process.stdout, 2) == b"3\n"


def test_fields_are_printed_alone_or_separated_by_tabs(path: Path) -> None:
    make(path, [*ENCODED[:4], b"not JSON", b'{"level": "a\\tb\\\\c\\nd", "ms": [1, {"x": "\\u00e9\\ud800"}]}'])
    assert output("cat", "--field", "level", path) == lines(b"info", b"error", b"error", b"", b"", b"a\tb\\c\nd")
    assert output("cat", "--field", "level,ms", "--field", "http.status", path) == lines(
        b"info\t5\t200",
        b"error\t250\t500",
        b"error\t20.5\t404",
        b"\t250\t",
        b"\t\t",
        'a\\tb\\\\c\\nd\t[1, {"x": "é\\ud800"}]\t'.encode(),
    )
    assert output("get", "--field", "level", path, "2") == b"error\n"
    assert output("head", "-n1", "--format", "nul", "--field", "ms", path) == b"5\0"
    assert output("tail", "-n3", "--format", "hex", "--field", "ms", path).startswith(b"323530\n\n")
    assert output("grep", "-n", "--field", "ms", "--color", "always", "error", path) == b"2:250\n3:20.5\n"
    assert run("grep", "-o", "--field", "ms", "error", path).returncode == WRONG_USAGE


def test_fields_are_an_object_in_json(path: Path) -> None:
    make(path, [*ENCODED[1:4], b"not JSON", b'{"ms": 1e400, "level": "\\ud800\\u00e9"}'])
    shown = output("cat", "--format", "jsonl", "--field", "ms,level,http.status", path)
    assert [json.loads(line)["record"] for line in shown.splitlines()] == [
        {"ms": 250, "level": "error", "http.status": 500},
        {"ms": 20.5, "level": "error", "http.status": 404},
        {"ms": "250", "level": None},
        {},
        {"ms": "Infinity", "level": "\ud800é"},
    ]
    assert shown.splitlines()[0] == (
        b'{"record_number": 1, "record": {"ms": 250, "level": "error", "http.status": 500}}'
    )


def test_numbers_and_strings_stay_unchanged() -> None:
    both = Projection(["a", "b"])
    for value in ("0.1", "123456789012345678901234567890", "true", "-0.0", '"ü"', "[]", "{}", "1e+22"):
        record = f'{{"a": {value}}}'.encode()
        assert json.loads(both.as_json(record)) == {"a": json.loads(value)}


def test_a_file_without_json_is_distinguished_from_one_without_matches(path: Path) -> None:
    make(path, NOT_JSON[:3])
    for command in ("cat", "head", "tail", "count"):
        told = run(command, "--where", 'level == "error"', path)
        message = f"capturefile: {path}: --where finds only JSON records, and records 1 to 3 are not JSON\n"
        assert (told.returncode, told.stderr) == (SUCCEEDED, message.encode()), command
    path.unlink()
    make(path, ENCODED)
    for command in ("cat", "head", "tail", "count"):
        told = run(command, "--where", 'level == "nothing"', path)
        assert (told.returncode, told.stderr) == (SUCCEEDED, b""), command


PARTS = [
    *ENCODED,
    *NOT_JSON,
    *(b"1, 2", b"[1", b"2]", b"{", b"}", b"1", b" ", b"null", b" [1] ", b"NaN", b"1e999", b'"\\ud800"', b'"a\\tb\\\\"'),
    *(b'{"level": "a", "level": "b"}', b'{"level": NaN}', b'{"level": "\\ud83d"}', b'{"level": {"ms": [1, 2.50]}}'),
    *(b"[" * 900 + b"]" * 900, b"[" * 100_000, b"9" * 5000, b'{"ms": "x\\ty\\nz"}', b"\xef\xbb\xbf1"),
]
"""Records, some of which are JSON only when they are joined with others."""


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8))
@example([b"[1", b"2]", b"3, 4, 5"])
def test_records_parsed_together_are_the_same_as_parsed_separately(records: list[bytes]) -> None:
    # NaN equals nothing, not even itself.
    assert list(map(repr, expressions.documents(records))) == [repr(expressions.document(record)) for record in records]
    for fields in (["level"], ["ms", "level", "http.status"]):
        projection = Projection(fields)
        assert projection.as_lines(records) == lines(*map(projection.as_text, records))
        assert projection.as_objects(records) == list(map(projection.as_json, records))


def test_no_records_give_no_json() -> None:
    assert expressions.documents([b"1, 2"]) == [expressions.MISSING]
