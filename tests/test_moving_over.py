"""What docs/moving-over.md claims about this package and the pure-Python one, checked with both."""

from __future__ import annotations

import builtins
import functools
import os
import pickle
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import CaptureFile as pure_python  # noqa: N813
import capturefile
import pytest

Make = Callable[..., Any]
SEEN = 5 if sys.version_info >= (3, 14) else 6
"""Records that the other package sees after a refresh, when there are six."""
PAGE = Path(__file__).parent.parent / "docs" / "moving-over.md"


class Claim(NamedTuple):
    """An operation, and its result in each package; an exception class means that it raises that."""

    do: Callable[[Make, str], Any]
    there: Any
    here: Any


def five(make: Make, path: str, **options: Any) -> Any:  # noqa: ANN401
    """A file with five records, open for writing."""
    cf = make(path, to_write=True, **options)
    for number in range(1, 6):
        cf.add_record(f"r{number}")
    cf.commit()
    return cf


def all_records(make: Make, path: str) -> list[str]:
    """An empty file, iterated."""
    return list(make(path, to_write=True))


def add(record: object) -> Callable[[Make, str], Any]:
    """Adds a record; returns what that call returns."""
    return lambda make, path: make(path, to_write=True).add_record(record)


def another_encoding(make: Make, path: str) -> Any:  # noqa: ANN401
    """A record in another encoding, added as text and read back."""
    cf = make(path, to_write=True, encoding="latin_1")
    cf.add_record("é")
    return cf[1]


def metadata_after_refresh(make: Make, path: str) -> list[Any]:
    """The metadata before and after a refresh, and what the refresh returns."""
    writer = five(make, path)
    writer.set_metadata(b"old")
    writer.commit()
    reader = make(path)
    before = reader.get_metadata()
    writer.set_metadata(b"new")
    writer.add_record("r6")
    writer.commit()
    return [before, reader.refresh(), reader.get_metadata(), reader.record_count()]


def permissions(make: Make, path: str) -> int:
    """The permissions of a new file."""
    umask = os.umask(0o022)
    try:
        five(make, path)
    finally:
        os.umask(umask)
    return Path(path).stat().st_mode & 0o777


def by_another_name(make: Make, path: str) -> str:
    """A second writer, through a link."""
    writer = five(make, path)
    Path(path + ".link").symlink_to(path)
    make(path + ".link", to_write=True).close()
    writer.close()
    return "two writers"


def other_package(make: Make, path: str) -> str:
    """A second writer, of the other package."""
    writer = five(make, path, use_os_file_locking=True)
    other = capturefile.CaptureFile if make is pure_python.CaptureFile else pure_python.CaptureFile
    other(path, to_write=True, use_os_file_locking=True).close()
    writer.close()
    return "two writers"


def warned_of(make: Make, path: str) -> list[str]:
    """The warnings when a file is closed with a record that was not committed."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cf = make(path, to_write=True)
        cf.add_record("lost")
        cf.close()
    return [warning.category.__name__ for warning in found]


def damaged_block(make: Make, path: str) -> list[str]:
    """All records of a file with a damaged block."""
    writer = make(path, to_write=True, compression_block_size=4096)
    for number in range(2000):
        writer.add_record(f"record {number} " * 9)
    writer.commit()
    writer.close()
    content = bytearray(Path(path).read_bytes())
    data_start = 4096 + 2 * (2 * 4096 + 4096)
    content[data_start + 50] ^= 0xFF
    Path(path).write_bytes(content)
    return list(make(path))


def damaged_then_refreshed(make: Make, path: str) -> str:
    """A record, read after a refresh that found damage."""
    five(make, path).close()
    reader = make(path)
    content = bytearray(Path(path).read_bytes())
    for slot in (4096, 4096 + 40_960):
        content[slot] ^= 0xFF
    Path(path).write_bytes(content)
    with pytest.raises(Exception, match=r"."):
        reader.refresh()
    return str(reader[1])


def set_encoding(make: Make, path: str) -> bytes:
    """A record after the encoding was changed."""
    cf = five(make, path)
    cf.encoding = None
    return bytes(cf[1])


def pickled(make: Make, path: str) -> str:
    """A record, read through a pickled reader."""
    five(make, path).close()
    return str(pickle.loads(pickle.dumps(make(path)))[1])


def without_commit(make: Make, path: str) -> list[Any]:
    """The content of a file that was closed without a commit."""
    with make(path, to_write=True) as cf:
        cf.add_record("lost")
    return [make(path).record_count()]


def reader_and_writer(make: Make, path: str) -> list[int]:
    """The record counts of a reader before and after the refresh that follows a commit."""
    writer = five(make, path)
    reader = make(path)
    writer.add_record("r6")
    writer.commit()
    counts = [reader.record_count()]
    reader.refresh()
    return [*counts, reader.record_count()]


def with_large_buffers(make: Make, path: str) -> list[int]:
    """The same, with buffers as large as those of Python 3.14 and later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", functools.partial(open, buffering=131_072))
        return reader_and_writer(make, path)


CLAIMS = {
    "cf[2]": Claim(lambda make, path: five(make, path)[2], "r2", "r2"),
    "cf[2:4]": Claim(lambda make, path: five(make, path)[2:4], ["r2", "r3"], ["r2", "r3"]),
    "cf[0]": Claim(lambda make, path: five(make, path)[0], IndexError, IndexError),
    "cf[6]": Claim(lambda make, path: five(make, path)[6], IndexError, IndexError),
    "cf[-1]": Claim(lambda make, path: five(make, path)[-1], IndexError, "r5"),
    "cf[:]": Claim(lambda make, path: five(make, path)[:], TypeError, ["r1", "r2", "r3", "r4", "r5"]),
    "cf[:3]": Claim(lambda make, path: five(make, path)[:3], TypeError, ["r1", "r2"]),
    "cf[::2]": Claim(lambda make, path: five(make, path)[::2], IndexError, ["r1", "r3", "r5"]),
    "cf[2:-1]": Claim(lambda make, path: five(make, path)[2:-1], ValueError, ["r2", "r3", "r4"]),
    "len": Claim(lambda make, path: len(five(make, path)), TypeError, 5),
    "reversed": Claim(lambda make, path: next(reversed(five(make, path))), TypeError, "r5"),
    "bool": Claim(lambda make, path: bool(make(path, to_write=True)), True, True),
    "iterating an empty file": Claim(all_records, IndexError, []),
    "a record in a bytearray": Claim(add(bytearray(b"r")), AttributeError, 1),
    "a record that is a number": Claim(add(3), AttributeError, TypeError),
    "another encoding": Claim(another_encoding, "Ã©", "é"),
    "metadata after refresh": Claim(metadata_after_refresh, [b"old", None, b"old", SEEN], [b"old", True, b"new", 6]),
    "permissions": Claim(permissions, 0o600, 0o644),
    "a writer by another name": Claim(by_another_name, "two writers", capturefile.CaptureFileAlreadyOpen),
    "a writer of the other package": Claim(
        other_package, capturefile.CaptureFileAlreadyOpen, pure_python.CaptureFileAlreadyOpen
    ),
    "closing without commit": Claim(warned_of, [], ["UncommittedWarning"]),
    "a damaged block": Claim(damaged_block, zlib.error, capturefile.InvalidCaptureFile),
    "a refresh that finds damage": Claim(damaged_then_refreshed, pure_python.CaptureFileNotOpen, "r1"),
    "setting an attribute": Claim(set_encoding, b"r1", AttributeError),
    "file_name": Claim(lambda make, path: type(make(Path(path), to_write=True).file_name), type(Path()), str),
    "pickling": Claim(pickled, TypeError, "r1"),
    "leaving without a commit": Claim(without_commit, [0], [0]),
    "a reader during writes": Claim(reader_and_writer, [5, SEEN], [5, 6]),
    "a reader with large buffers": Claim(with_large_buffers, [5, 5], [5, 6]),
}


@pytest.mark.filterwarnings("ignore::capturefile.UncommittedWarning")
@pytest.mark.parametrize("what", CLAIMS)
@pytest.mark.parametrize("package", ["there", "here"])
def test_the_claims_of_the_page_are_right(what: str, package: str, tmp_path: Path) -> None:
    make = pure_python.CaptureFile if package == "there" else capturefile.CaptureFile
    claim, path = CLAIMS[what], str(tmp_path / "claim.capture")
    expected = getattr(claim, package)
    if isinstance(expected, type) and issubclass(expected, Exception):
        with pytest.raises(expected):
            claim.do(make, path)
    else:
        assert claim.do(make, path) == expected


def test_names_that_are_said_to_be_the_same_exist_in_both(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## What is the same")[2].partition("## What to look")[0]
    names = {name for name in text.replace("`", " ").replace(",", " ").split() if name.isidentifier() and "_" in name}
    names |= {"open", "close", "commit", "refresh", "encoding"}
    assert "record_generator" in names
    for make in (pure_python.CaptureFile, capturefile.CaptureFile):
        cf = five(make, str(tmp_path / f"{make.__module__}.capture"))
        assert [name for name in names if not hasattr(cf, name)] == []
        cf.close()
    for name in ("AlreadyOpen", "NotOpen", "NotOpenForWrite"):
        assert f"`CaptureFile{name}`" in text
        assert hasattr(pure_python, f"CaptureFile{name}")
        assert issubclass(getattr(capturefile, f"CaptureFile{name}"), capturefile.CaptureFileError)


def test_the_arguments_are_in_the_same_order() -> None:
    code = pure_python.CaptureFile.__init__.__code__
    there = code.co_varnames[1 : code.co_argcount]
    here = capturefile.CaptureFile.__text_signature__ or ""
    assert here.startswith("(" + ", ".join(there[:1]))
    places = [here.index(name) for name in there]
    assert places == sorted(places)
    assert here.index(", *,") > places[-1]
