"""The names for new programs, which do the same as those of the pure-Python package."""

from pathlib import Path

import capturefile
import pytest
from capturefile import rotating


def test_path_and_writable_have_the_values_of_file_name_and_to_write(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    with capturefile.open(path, "w") as cf:
        assert cf.path == path
        assert isinstance(cf.path, Path)
        assert cf.writable
    assert cf.writable
    with capturefile.open(path) as cf:
        assert not cf.writable


def test_metadata_can_be_read_assigned_and_removed(tmp_path: Path) -> None:
    with capturefile.open(tmp_path / "log.capture", "w") as cf:
        assert cf.metadata is None
        cf.metadata = bytearray(b"here")
        assert (cf.metadata, cf.get_metadata()) == (b"here", b"here")
        cf.commit()
        cf.metadata = None
        assert cf.get_metadata() is None
        with pytest.raises(TypeError):
            cf.metadata = "text"  # type: ignore[assignment]
        cf.rollback()
        assert cf.metadata == b"here"
    with capturefile.open(cf.path) as reader, pytest.raises(capturefile.CaptureFileNotOpenForWriteError):
        reader.metadata = b"there"


def test_record_and_records_count_from_one(tmp_path: Path) -> None:
    with capturefile.open(tmp_path / "log.capture", "w") as cf:
        cf.add_records(["one", "two", "three"])
        assert cf.record(2) == "two"
        assert list(cf.records()) == ["one", "two", "three"]
        assert list(cf.records(start=3)) == ["three"]
        for wrong in (cf.record, cf.records):
            with pytest.raises(IndexError, match="record 0 does not exist"):
                wrong(0)
        cf.commit()


def test_exceptions_have_names_that_end_in_error() -> None:
    for module in (capturefile, rotating):
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, type) and issubclass(thing, Exception) and not issubclass(thing, Warning):
                assert name.endswith("Error") or getattr(module, f"{name}Error") is thing
