"""Adding records and metadata, committing them together, and rolling them back."""

from __future__ import annotations

import array
import ctypes
import mmap
import random
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import capturefile
import numpy
import pytest
from builder import Geometry, build_file, parse
from capturefile import CaptureFile
from files import MEBIBYTE, RefusedError, committed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")

# One record


def test_adding_a_record_gives_its_number(writer: Any, path: Path) -> None:  # noqa: ANN401
    assert [writer.add_record(b"%d" % number) for number in range(1, 101)] == list(range(1, 101))
    writer.commit()
    assert writer.add_record(b"101") == len(writer) == writer.record_count() == 101
    assert (writer[101], writer[-1], writer[100]) == (b"101", b"101", b"100")
    assert len(committed(path)) == 100


class Bytes(bytes):
    """A subclass of bytes."""


BUFFERS = {
    "bytes": b"record",
    "bytes of another class": Bytes(b"record"),
    "empty": b"",
    "bytearray": bytearray(b"record"),
    "memoryview": memoryview(b"record"),
    "memoryview of every other byte": memoryview(b"r-e-c-o-r-d")[::2],
    "memoryview backwards": memoryview(b"drocer")[::-1],
    "memoryview of two dimensions": memoryview(bytes(range(24))).cast("B", (4, 6)),
    "memoryview of no dimension": memoryview(b"12345678").cast("d", ()),
    "memoryview of two dimensions, in part": memoryview(bytes(range(24))).cast("B", (4, 6))[1:3],
    "array of bytes": array.array("B", b"record"),
    "array of numbers": array.array("i", [1, -2, 3]),
    "array of floats": array.array("d", [0.5, 1e300]),
    "ctypes": (ctypes.c_uint16 * 3)(1, 2, 3),
}


@pytest.mark.parametrize("record", BUFFERS.values(), ids=BUFFERS)
def test_a_record_is_anything_with_the_buffer_protocol(writer: Any, path: Path, record: Any) -> None:  # noqa: ANN401
    expected = memoryview(record).tobytes()
    writer.add_record(record)
    writer.add_records([record, record])
    writer.set_metadata(record)
    writer.commit()
    assert committed(path) == [expected] * 3
    assert writer.get_metadata() == expected


def test_a_record_is_read_from_mapped_memory(writer: Any, path: Path, tmp_path: Path) -> None:  # noqa: ANN401
    content = random.Random(0).randbytes(3 * MEBIBYTE)
    (tmp_path / "source").write_bytes(content)
    with (tmp_path / "source").open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        writer.add_record(mapped)
        writer.add_record(memoryview(mapped)[5:50])
        writer.commit()
    assert committed(path) == [content, content[5:50]]


def test_changing_a_buffer_after_adding_it_does_not_change_the_record(writer: Any, path: Path) -> None:  # noqa: ANN401
    changing = bytearray(b"one")
    writer.add_record(changing)
    changing[:] = b"two"
    writer.add_records(changing for _ in range(2))
    writer.set_metadata(changing)
    changing.clear()
    writer.commit()
    assert (committed(path), writer.get_metadata()) == ([b"one", b"two", b"two"], b"two")


@pytest.mark.parametrize("wrong", [None, 1, 1.5, ["a"], ("a",), {}, object(), True, range(3), iter(b"a")])
def test_anything_else_is_refused_and_leaves_nothing(writer: Any, path: Path, wrong: Any) -> None:  # noqa: ANN401
    kind = type(wrong).__name__
    writer.add_record(b"first")
    with pytest.raises(TypeError, match=f"a record must be bytes-like or str, not {kind}"):
        writer.add_record(wrong)
    with pytest.raises(TypeError, match=f"a record must be bytes-like or str, not {kind}"):
        writer.add_records([b"second", wrong])
    assert writer.add_record(b"third") == 2
    writer.commit()
    assert committed(path) == [b"first", b"third"]


def test_a_released_buffer_is_refused(writer: Any) -> None:  # noqa: ANN401
    view = memoryview(b"record")
    view.release()
    with pytest.raises((ValueError, TypeError)):
        writer.add_record(view)
    assert len(writer) == 0


@pytest.mark.parametrize("block_size", [0, 4096, 32768])
def test_records_of_any_size_are_read_back(path: Path, block_size: int, both_formats: int) -> None:
    block_size = max(block_size, 512) if both_formats == 3 else block_size
    source = random.Random(0)
    around = [block_size + more for more in range(-6, 3) if block_size + more >= 0]
    sizes = [0, 1, *around, 5, 2 * block_size, 100_000, 0, 8 * MEBIBYTE, 3, *around]
    records = [source.randbytes(size) for size in sizes]
    with CaptureFile(path, True, encoding=None, compression_block_size=block_size) as cf:
        for number, record in enumerate(records, start=1):
            assert cf.add_record(record) == number
            assert cf[number] == record
            if number % 7 == 0:
                cf.commit()
        cf.commit()
        assert list(cf) == records
    assert committed(path) == records


def test_a_million_small_records_are_numbered_and_found(writer: Any, path: Path) -> None:  # noqa: ANN401
    assert writer.add_records(b"%d" % number for number in range(1, 1_000_001)) == 1_000_000
    writer.commit()
    with CaptureFile(path, encoding=None) as cf:
        assert len(cf) == 1_000_000
        assert all(record == b"%d" % number for number, record in enumerate(cf, start=1))
        for number in random.Random(0).sample(range(1, 1_000_001), 2000):
            assert cf[number] == b"%d" % number


# Commits


def test_others_see_nothing_before_the_commit_and_everything_after_it(writer: Any, path: Path) -> None:  # noqa: ANN401
    with CaptureFile(path, encoding=None) as reader:
        for turn in range(5):
            writer.add_records([b"%d" % turn * 20_000] * 3)
            writer.set_metadata(b"turn %d" % turn)
            assert (reader.refresh(), len(reader), len(writer)) == (False, 3 * turn, 3 * turn + 3)
            writer.commit()
            assert (reader.refresh(), len(reader), reader.get_metadata()) == (True, 3 * turn + 3, b"turn %d" % turn)
            assert reader[-1] == b"%d" % turn * 20_000


def test_a_commit_of_nothing_writes_nothing(writer: Any, path: Path) -> None:  # noqa: ANN401
    writer.add_record(b"record")
    writer.commit()
    before = path.read_bytes()
    for _ in range(3):
        writer.commit()
        writer.rollback()
    assert path.read_bytes() == before


def test_each_commit_has_the_next_serial_number(writer: Any, path: Path, both_formats: int) -> None:  # noqa: ANN401
    for serial in range(3, 10):
        before = writer.info().serial_number
        writer.add_record(b"record")
        writer.commit()
        if both_formats == 2:
            assert writer.info().serial_number == parse(path.read_bytes()).current.serial == serial
        else:
            assert writer.info().serial_number > before


@pytest.mark.only_format_2
def test_the_file_is_as_small_as_the_compression_makes_it(tmp_path: Path) -> None:
    records = [
        " ".join(random.Random(number).choices(["alpha", "beta", "gamma", "delta"], k=60)) for number in range(5000)
    ]
    sizes = {}
    for level in (1, 6, 12):
        with CaptureFile(tmp_path / str(level), True, compression_level=level) as cf:
            cf.add_records(records)
            cf.commit()
            sizes[level] = cf.info().file_limit
    assert sizes[12] < sizes[6] < sizes[1] < sum(map(len, records)) / 2


@pytest.mark.only_format_2
def test_the_number_of_threads_does_not_affect_the_file(tmp_path: Path) -> None:
    records = [random.Random(number).randbytes(number % 3000) for number in range(3000, 0, -4)]
    for threads in (1, 2, 5):
        with CaptureFile(tmp_path / str(threads), True, encoding=None, threads=threads) as cf:
            cf.add_records(records)
            cf.set_metadata(b"metadata")
            cf.commit()
        parsed = parse((tmp_path / str(threads)).read_bytes())
        assert (parsed.records(), parsed.metadata(), len(list(parsed.frames())) > 20) == (records, b"metadata", True)


# Rolling back


def test_a_rollback_discards_everything_since_the_commit(writer: Any, path: Path) -> None:  # noqa: ANN401
    writer.add_record(b"kept")
    writer.set_metadata(b"kept")
    writer.commit()
    for lost in (b"small", b"large" * 100_000):
        writer.add_records([lost] * 10)
        writer.set_metadata(lost)
        writer.rollback()
        assert (writer[:], len(writer), writer.get_metadata()) == ([b"kept"], 1, b"kept")
    assert writer.add_record(b"next") == 2
    writer.commit()
    assert committed(path) == [b"kept", b"next"]


def test_a_transaction_commits_at_its_end(writer: Any, path: Path) -> None:  # noqa: ANN401
    writer.add_record(b"before")
    with writer.transaction() as same:
        assert same is writer
        writer.add_record(b"inside")
        assert committed(path) == []
    assert committed(path) == [b"before", b"inside"]
    with writer.transaction():
        pass
    assert committed(path) == [b"before", b"inside"]


@pytest.mark.parametrize("error", [RefusedError, KeyboardInterrupt, GeneratorExit])
def test_a_transaction_that_raises_is_rolled_back_and_propagates_the_error(
    writer: Any,  # noqa: ANN401
    path: Path,
    error: type[BaseException],
) -> None:
    writer.add_record(b"kept")
    writer.commit()
    raised = error()

    def transact() -> None:
        with writer.transaction():
            writer.add_record(b"lost")
            writer.set_metadata(b"lost")
            raise raised

    with pytest.raises(error) as caught:
        transact()
    assert caught.value is raised
    assert (writer[:], writer.get_metadata(), committed(path)) == ([b"kept"], None, [b"kept"])


def test_a_transaction_that_could_not_commit_is_refused_before_it_begins(writer: Any, path: Path) -> None:  # noqa: ANN401
    with CaptureFile(path) as reader:
        for _ in range(2):
            with pytest.raises(capturefile.CaptureFileError, match=path.name), reader.transaction():
                pytest.fail("the block was begun")
            reader.close()
    writer.close()
    with pytest.raises(capturefile.CaptureFileNotOpen, match=path.name), writer.transaction():
        pytest.fail("the block was begun")


def test_a_full_index_fails_the_commit_and_work_continues_after_a_rollback(path: Path) -> None:
    path.write_bytes(build_file([b"%d" % number for number in range(1, 31)], None, Geometry(512, 512, 100)))
    with CaptureFile(path, True, encoding=None) as cf:
        cf.add_records([b"%d" % number for number in range(31, 101)])
        cf.commit()
        assert cf.info().tree_height == 2
        cf.add_records([b"too many"] * 40)
        with pytest.raises(ValueError, match=rf"{path.name}.*full"):
            cf.commit()
        cf.rollback()
        assert cf.add_record(b"101") == 101
        cf.commit()
    assert committed(path) == [b"%d" % number for number in range(1, 102)]


# Metadata


@pytest.mark.parametrize("metadata", [b"", b"a", bytes(range(256)), b"large" * MEBIBYTE, None])
def test_metadata_is_visible_to_others_after_the_commit(writer: Any, path: Path, metadata: Any) -> None:  # noqa: ANN401
    writer.set_metadata(b"before")
    writer.commit()
    assert writer.set_metadata(new_metadata=metadata) is None
    assert writer.get_metadata() == metadata
    with CaptureFile(path) as reader:
        assert reader.get_metadata() == b"before"
        writer.commit()
        reader.refresh()
        assert reader.get_metadata() == metadata


def test_if_metadata_is_set_twice_the_last_value_counts(writer: Any, path: Path) -> None:  # noqa: ANN401
    for metadata in (b"one", None, b"large" * 50_000, b"two"):
        writer.set_metadata(metadata)
        writer.add_record(b"record" * 3000)
    writer.commit()
    with CaptureFile(path, encoding=None) as reader:
        assert (reader.get_metadata(), reader[:]) == (b"two", [b"record" * 3000] * 4)


@pytest.mark.parametrize("wrong", ["text", 5, 1.0, [b"a"], object()])
def test_metadata_is_bytes(writer: Any, wrong: object) -> None:  # noqa: ANN401
    writer.set_metadata(b"kept")
    with pytest.raises(TypeError, match=f"metadata must be bytes-like, not {type(wrong).__name__}"):
        writer.set_metadata(wrong)
    with pytest.raises(TypeError):
        writer.set_metadata()
    assert writer.get_metadata() == b"kept"


# Not records


@pytest.mark.parametrize("one", ["text", b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_a_single_record_is_refused_where_many_are_expected(writer: Any, one: object) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=f"not a single {type(one).__name__}: put it into a list, or use add_record"):
        writer.add_records(one)
    assert writer.add_records([one]) == 1


class Structure(ctypes.Structure):
    """A structure of a pointer and an integer whose name is a format code for objects."""

    _fields_ = (("O", ctypes.c_int32), ("pointer", ctypes.c_void_p))


MEMORY = {
    "objects": (ctypes.py_object * 1)(),
    "pointers": (ctypes.c_void_p * 2)(),
    "pointers to numbers": (ctypes.POINTER(ctypes.c_int) * 2)(),
    "pointers to text": (ctypes.c_char_p * 2)(),
    "functions": (ctypes.CFUNCTYPE(None) * 1)(),
    "a structure": Structure(),
    "characters": array.array("w" if sys.version_info >= (3, 13) else "u", "text"),
    "characters of C": (ctypes.c_wchar * 2)(),
    "numpy objects": numpy.array(["a", 1], dtype=object),
    "numpy text": numpy.array(["text", "b"]),
    "numpy text of any length": numpy.array(["text", "b"], dtype=numpy.dtypes.StringDType()),
    "numpy dates": numpy.array(["2020-01-01"], dtype="datetime64[s]"),
    "a numpy date": numpy.datetime64("2020-01-01"),
    "a numpy duration": numpy.timedelta64(1, "s"),
    "a numpy structure": numpy.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
}


@pytest.mark.parametrize("what", MEMORY)
def test_memory_of_the_interpreter_is_not_accepted_as_data(writer: Any, what: str) -> None:  # noqa: ANN401
    for add in (writer.add_record, lambda record: writer.add_records([record])):
        with pytest.raises(TypeError, match=r"must be bytes-like or str, not .*: pass each element as str or bytes"):
            add(MEMORY[what])
    with pytest.raises(TypeError, match="pass each element"):
        writer.set_metadata(MEMORY[what])
    assert len(writer) == 0


def test_numbers_and_structures_of_numbers_are_data(writer: Any) -> None:  # noqa: ANN401
    structure = numpy.zeros(2, dtype=[("O", "i4"), ("w", "f8"), ("z", "c16")])
    for data in (
        numpy.arange(3),
        numpy.ones(2, dtype="c16"),
        structure,
        numpy.array([b"ab", b"c"]),
        array.array("d", [1]),
    ):
        writer.add_record(data)
        assert writer[-1] == data.tobytes()
    assert writer.add_records(numpy.array(["text", "b"])) == 7
    assert writer[-2:8] == [b"text", b"b"]


def test_the_error_of_an_unreadable_buffer_is_propagated(writer: Any) -> None:  # noqa: ANN401
    released = memoryview(b"gone")
    released.release()
    closed = mmap.mmap(-1, 10)
    closed.close()
    for gone in (released, closed):
        with pytest.raises(ValueError, match=r"released|closed"):
            writer.add_record(gone)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="buffers in Python came with 3.12")
@pytest.mark.parametrize("error", [ValueError, TypeError, KeyboardInterrupt, RefusedError])
def test_an_exception_of_a_buffer_written_in_python_is_propagated(writer: Any, error: type[BaseException]) -> None:  # noqa: ANN401
    class Refusing:
        def __buffer__(self, flags: int) -> memoryview:
            raise error("my own words")

    with pytest.raises(error, match="my own words"):
        writer.add_record(Refusing())


# Closing


@pytest.mark.parametrize("lost", [1, 2, 5000])
def test_closing_warns_about_the_records_that_it_loses(path: Path, lost: int) -> None:
    cf = CaptureFile(path, True)
    cf.add_record("kept")
    cf.commit()
    cf.add_records(["lost"] * lost)
    with pytest.warns(
        capturefile.UncommittedWarning, match=rf"{path.name}.* {lost} uncommitted record{'s' * (lost > 1)},"
    ) as caught:
        cf.close()
    assert (len(caught), caught[0].filename) == (1, __file__)
    cf.close()
    assert committed(path) == [b"kept"]


def test_leaving_a_with_block_closes_without_a_commit(path: Path) -> None:
    with pytest.warns(capturefile.UncommittedWarning, match="3 uncommitted"), CaptureFile(path, True) as cf:
        cf.add_records(["a", "b", "c"])
    assert committed(path) == []


def test_the_default_warning_about_lost_records_says_what_to_do(path: Path) -> None:
    """This includes objects that are not closed before the process exits."""
    for end in ("cf.close()", "with cf: pass", "del cf", "pass", "sys.exit()"):
        program = (
            f"import sys, capturefile; cf = capturefile.open({str(path)!r}, 'w'); cf.add_records(['a', 'b'])\n{end}"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert "UncommittedWarning: " in done.stderr
        assert f'"{path}" was closed with 2 uncommitted records, now lost; call commit()' in done.stderr


def test_closing_warns_about_lost_metadata(path: Path) -> None:
    with pytest.warns(capturefile.UncommittedWarning, match="uncommitted metadata"), CaptureFile(path, True) as cf:
        cf.set_metadata(b"lost")


def test_an_exception_that_ends_a_with_block_is_raised_without_a_warning(path: Path) -> None:
    def fail(cf: CaptureFile[str]) -> None:
        with cf:
            cf.add_record("not wanted any more")
            raise RefusedError

    with pytest.raises(RefusedError):
        fail(CaptureFile(path, True))
    assert committed(path) == []


def test_a_warning_that_is_an_error_leaves_the_file_closed(path: Path) -> None:
    cf = CaptureFile(path, True)
    cf.add_record("lost")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(capturefile.UncommittedWarning):
            cf.close()
    assert cf.closed
    CaptureFile(path, True).close()
