"""Records as text: how they are encoded when they are added, and decoded when they are read."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, checkpoint
from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def write(path: Path, records: Iterable[str | bytes | bytearray | memoryview], **options: Any) -> None:  # noqa: ANN401
    """Creates a file, or appends to it."""
    with CaptureFile(path, True, sync=False, **options) as cf:
        cf.add_records(records)
        cf.commit()


@pytest.mark.parametrize(
    "encoding", ["utf_8", "UTF-8", "utf-16", "utf-16-le", "utf-32", "utf_8_sig", "cp1252", "cp500"]
)
def test_text_is_read_back_unchanged_in_any_encoding(path: Path, encoding: str) -> None:
    texts = ["", "plain", "Grüße, café", "line\nbreak\0"]
    write(path, texts, encoding=encoding)
    with CaptureFile(path, encoding=encoding) as cf:
        assert (list(cf), cf[:], cf.records_at([1, 2, 3, 4]), [cf[n] for n in (1, 2, 3, 4)]) == (texts,) * 4
        assert list(cf.follow(1, timeout=0)) == list(reversed(cf))[::-1] == texts
        assert cf.encoding == encoding
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [text.encode(encoding) for text in texts]


def test_without_an_encoding_records_are_bytes(path: Path) -> None:
    records = [b"", b"\xff\xfe", bytes(range(256)), "Grüße".encode()]
    write(path, records)
    with CaptureFile(path, encoding=None) as cf:
        assert (list(cf), [type(record) for record in cf], cf.encoding) == (records, [bytes] * 4, None)
    with CaptureFile(path, encoding="latin-1") as cf:
        assert cf[:] == [record.decode("latin-1") for record in records]


def test_a_record_that_is_not_text_is_an_error_and_the_others_are_read(path: Path) -> None:
    write(path, [b"one", b"caf\xe9", b"three"])
    with CaptureFile(path) as cf:
        reads: list[tuple[Callable[[Any], object], object]] = [
            (cf.__getitem__, 2),
            (cf.record_at, 2),
            (cf.__getitem__, slice(1, 4)),
            (cf.records_at, [3, 2]),
        ]
        for read, argument in reads:
            with pytest.raises(UnicodeDecodeError) as error:
                read(argument)
            assert (error.value.object, error.value.start) == (b"caf\xe9", 3)
            assert str(error.value).endswith(f'record 2 of "{path}"')
        records = iter(cf)
        assert next(records) == "one"
        with pytest.raises(UnicodeDecodeError):
            next(records)
        assert [*records, cf[3]] == ["three", "three"]


def test_text_is_stored_as_utf_8_by_default(path: Path) -> None:
    text = "Grüße \N{GRINNING FACE}"
    write(path, [text])
    write(path, [text], encoding=None)
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [text.encode()] * 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", None])
def test_text_that_cannot_be_encoded_is_refused_and_leaves_nothing(path: Path, encoding: str | None) -> None:
    impossible = "a\udc80" if encoding in ("utf-8", None) else "日本語"
    with CaptureFile(path, True, encoding=encoding) as cf:
        assert cf.add_record("first") == 1
        with pytest.raises(UnicodeEncodeError) as error:
            cf.add_record(impossible)
        assert error.value.object == impossible
        with pytest.raises(UnicodeEncodeError):
            cf.add_records(["second", impossible])
        assert cf.add_record("third") == 2
        cf.commit()
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [b"first", b"third"]


def test_bytes_are_stored_unchanged_with_any_encoding(path: Path) -> None:
    write(path, [b"\xff\xfeG\0", bytearray(b"b"), memoryview(b"c")], encoding="utf-16-be")
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [b"\xff\xfeG\0", b"b", b"c"]


def test_subclasses_of_str_are_accepted(path: Path) -> None:
    class Text(str):
        __slots__ = ()

    write(path, [Text("sub")])
    with CaptureFile(path) as cf:
        assert (cf[1], type(cf[1])) == ("sub", str)


# Text that cannot be decoded or encoded


def ways_to_read(path: Path, **options: Any) -> list[Callable[[], object]]:  # noqa: ANN401
    """The ways to reach record 2 of a file of three records."""
    cf = CaptureFile(path, **options)
    followed, reverse, forth = cf.follow(2, timeout=0), reversed(cf), iter(cf)
    next(reverse), next(forth)
    return [
        lambda: cf[2],
        lambda: cf[-2],
        lambda: cf[2:4],
        lambda: cf[1:4:1],
        lambda: cf.records_at([3, 2]),
        lambda: cf.read_range(1, 3),
        lambda: next(followed),
        lambda: next(reverse),
        lambda: next(forth),
        lambda: cf.as_sequence()[1],
        lambda: capturefile.concat([cf])[0:2][:],
    ]


@pytest.mark.parametrize(
    ("encoding", "kind"), [("utf-8", UnicodeDecodeError), ("ascii", UnicodeDecodeError), ("utf-16", UnicodeError)]
)
def test_a_decoding_error_names_the_record_and_the_file(path: Path, encoding: str, kind: type[UnicodeError]) -> None:
    write(
        path, ["one".encode(encoding), b"\xff" if encoding != "utf-16" else b"\xff\xff\xff", "three".encode(encoding)]
    )
    for read in ways_to_read(path, encoding=encoding):
        with pytest.raises(kind, match=f'record 2 of "{path}"'):
            list(read())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("errors", "text"), [("replace", "caf\ufffd"), ("ignore", "caf"), ("surrogateescape", "caf\udce9")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_handling_of_decoding_errors_can_be_chosen(path: Path, encoding: str, errors: str, text: str) -> None:
    write(path, [b"one", b"caf\xe9", b"three"])
    for read in ways_to_read(path, encoding=encoding, errors=errors):
        assert text in read()  # type: ignore[operator]
    with capturefile.open(path, encoding=encoding, errors=errors) as cf:
        assert list(cf) == ["one", text, "three"]
        assert cf.errors == errors
        assert pickle.loads(pickle.dumps(cf))[2] == text
        sequence = pickle.loads(pickle.dumps(cf.as_sequence()))
    assert sequence[1] == text
    with capturefile.open(path, encoding=encoding) as strict:
        assert strict.errors is None
        assert strict.as_sequence() != sequence


def test_the_handling_of_encoding_errors_can_be_chosen(path: Path) -> None:
    write(path, ["a\udce9", "b"], errors="surrogateescape")
    write(path, ["\udce9"], errors="backslashreplace")
    write(path, ["日"], encoding="ascii", errors="xmlcharrefreplace")
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [b"a\xe9", b"b", b"\\udce9", b"&#26085;"]


def test_an_unknown_error_handler_is_refused(path: Path) -> None:
    write(path, [])
    with pytest.raises(LookupError, match="no such"):
        CaptureFile(path, errors="no such")
    with pytest.raises(ValueError, match="errors"):
        capturefile.open(path, encoding=None, errors="replace")  # type: ignore[call-overload]


def decoding_elsewhere(folder: Path, errors: str | None) -> dict[str, Callable[[], list[str]]]:
    """Functions of other modules that read "one" and a record that is not text."""
    path = folder / "log.capture"
    write(path, [b"one", b"caf\xe9"])
    with RotatingWriter(folder / "rotated", sync="none", errors=errors) as log:
        log.add_records([b"one", b"caf\xe9"])
        log.commit()

    async def follow() -> list[str]:
        return [text async for text in capturefile.aio.follow(path, 1, timeout=0, errors=errors)]

    def consume() -> list[str]:
        with checkpoint.consume(path, folder / "results", name="test", errors=errors, sync="none") as consumer:
            return [text for batch in consumer for text in batch]

    def deliver() -> list[str]:
        with checkpoint.consume_at_least_once(path, folder / "cursor", errors=errors) as consumer:
            return [text for batch in consumer for text in batch]

    return {
        "concat": lambda: list(capturefile.concat([path], errors=errors)),
        "rotating": lambda: list(RotatingReader(folder / "rotated", errors=errors).as_sequence()),
        "aio": lambda: asyncio.run(follow()),
        "consume": consume,
        "at least once": deliver,
    }


@pytest.mark.parametrize("how", ["concat", "rotating", "aio", "consume", "at least once"])
def test_every_reader_names_the_record_or_uses_the_chosen_error_handler(tmp_path: Path, how: str) -> None:
    (strict, lenient) = (tmp_path / "strict", tmp_path / "lenient")
    strict.mkdir()
    with pytest.raises(UnicodeDecodeError, match=f'in record 2 of "{strict}/.*capture"'):
        decoding_elsewhere(strict, None)[how]()
    lenient.mkdir()
    assert decoding_elsewhere(lenient, "replace")[how]() == ["one", "caf\ufffd"]
