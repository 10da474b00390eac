"""The attributes and representation of an object, and how it is pickled, subclassed and documented."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import pydoc
import weakref
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile
from files import write

if TYPE_CHECKING:
    from pathlib import Path


def test_an_object_has_the_arguments_it_was_opened_with(full: Path) -> None:
    cf = CaptureFile(str(full), True, encoding="UTF-16", use_os_file_locking=False)
    for _ in range(2):
        assert (cf.file_name, cf.to_write, cf.encoding, cf.use_os_file_locking) == (str(full), True, "UTF-16", False)
        cf.close()
    with CaptureFile(full) as reader:
        assert (reader.to_write, reader.encoding, reader.use_os_file_locking) == (False, "utf_8", True)
        for name in ("file_name", "to_write", "encoding", "use_os_file_locking", "closed", "other"):
            with pytest.raises(AttributeError):
                setattr(reader, name, None)


def test_a_representation_shows_path_mode_and_record_count(full: Path) -> None:
    cf = CaptureFile(full, True)
    cf.add_record("three")
    for text in (str(cf), repr(cf)):
        assert all(part in text for part in (full.name, "open for writing", "3 records"))
    assert repr(cf).startswith(f"<CaptureFile {str(full)!r}, ")
    with pytest.warns(capturefile.UncommittedWarning):
        cf.close()
    for text in (str(cf), repr(cf)):
        assert all(part in text for part in (full.name, "closed", "2 records"))
    cf.open()
    assert "open for reading" in str(cf)
    cf.close()


def test_a_reader_is_pickled_and_copied_with_all_its_settings(full: Path) -> None:
    with CaptureFile(full, encoding=None, cache_size=0, sync="none", compression_level=1, threads=1) as cf:
        for other in (pickle.loads(pickle.dumps(cf)), copy.copy(cf), copy.deepcopy(cf)):
            assert other is not cf
            assert (type(other), other.to_write, other.encoding) == (CaptureFile, False, None)
            assert list(other) == [b"one", b"two"]
            assert other.__reduce__() == cf.__reduce__()
            other.close()


def test_an_unpickled_object_sees_the_current_commit(full: Path) -> None:
    with CaptureFile(full) as cf:
        pickled = pickle.dumps(cf)
    write(full, "three")
    assert list(pickle.loads(pickled)) == ["one", "two", "three"]
    full.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled)


def test_a_pickle_identifies_the_visible_state_for_use_as_a_cache_key(full: Path) -> None:
    with CaptureFile(full) as cf, CaptureFile(full) as same:
        before = pickle.dumps(cf)
        write(full, "three")
        assert pickle.dumps(cf) == pickle.dumps(same) == before
        cf.refresh()
        assert pickle.dumps(cf) != before
        assert pickle.dumps(CaptureFile(full)) == pickle.dumps(cf)
        sequence = pickle.dumps(cf.as_sequence())
        assert sequence != pickle.dumps(same.as_sequence())
        after = pickle.dumps(cf)
    full.unlink()
    for text in ("one", "two", "three"):
        write(full, text)
    with CaptureFile(full) as other:
        assert other[:] == ["one", "two", "three"]
        assert pickle.dumps(other) != after


def test_writers_and_closed_objects_cannot_be_pickled(full: Path) -> None:
    with CaptureFile(full, True) as cf, pytest.raises(TypeError, match="open for writing"):
        pickle.dumps(cf)
    with pytest.raises(capturefile.CaptureFileNotOpen):
        pickle.dumps(cf)


def test_an_object_is_always_true_and_keeps_its_record_count_when_closed(path: Path) -> None:
    cf = CaptureFile(path, True)
    assert (bool(cf), len(cf)) == (True, 0)
    cf.add_records(["one", "two"])
    cf.commit()
    cf.close()
    assert (bool(cf), len(cf), cf.record_count()) == (True, 2, 2)


class Labelled(CaptureFile[Any]):
    """A subclass with its own constructor and state."""

    def __init__(self, label: str, path: Path, **options: Any) -> None:  # noqa: ANN401
        super().__init__(path, **options)
        self.label = label

    def first(self) -> Any:  # noqa: ANN401
        """The first record."""
        return self.record_at(1)


def test_the_class_can_be_subclassed(full: Path) -> None:
    with Labelled("mine", full, encoding=None) as cf:
        assert (cf.label, cf.first(), isinstance(cf, CaptureFile)) == ("mine", b"one", True)
        other = pickle.loads(pickle.dumps(cf))
        assert (type(other), other.label, other.first()) == (Labelled, "mine", b"one")
        other.close()


def test_a_subclass_that_does_not_call_the_constructor_gets_a_clear_error(full: Path) -> None:
    class Forgetful(CaptureFile[str]):
        def __init__(self, path: Path) -> None:
            pass

    cf = Forgetful(full)
    for call in (cf.record_count, cf.refresh, cf.__str__, cf.open, lambda: cf.file_name):
        with pytest.raises(RuntimeError, match="__init__"):
            call()
    assert "not opened" in repr(cf)
    cf.close()


def test_an_object_can_be_weakly_referenced(full: Path) -> None:
    cf = CaptureFile(full)
    reference = weakref.ref(cf)
    assert reference() is cf
    del cf
    gc.collect()
    assert reference() is None


def test_all_public_names_have_docstrings() -> None:
    for name in capturefile.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(capturefile, name)), name
    for name, member in vars(CaptureFile).items():
        assert name.startswith("_") or inspect.getdoc(member), name
    text = pydoc.plain(pydoc.render_doc(CaptureFile))
    for word in ("initial_metadata", "encoding", "sync", "cache_size", "record_generator", "follow", "transaction"):
        assert word in text
