"""The settings of an object: valid and invalid ones, and error messages."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

CREATES = [
    pytest.param(lambda path, **options: CaptureFile(path, True, **options), id="to_write"),
    pytest.param(lambda path, **options: CaptureFile(path, force_new_empty_file=True, **options), id="force_new"),
    *[
        pytest.param(lambda path, mode=mode, **options: capturefile.open(path, mode, **options), id=mode)
        for mode in ("a", "x", "w")
    ],
]


def names(folder: Path) -> list[str]:
    """The names in a folder."""
    return [each.name for each in folder.iterdir()]


@pytest.mark.parametrize("encoding", ["no-such-encoding", " ", "rot13", "hex"])
def test_an_unknown_encoding_is_an_immediate_error(full: Path, encoding: str) -> None:
    for call in (CaptureFile, capturefile.open):
        with pytest.raises(LookupError, match=encoding):
            call(full, encoding=encoding)
    with pytest.raises(LookupError, match=encoding):
        CaptureFile(full.parent / "new", True, encoding=encoding)
    assert names(full.parent) == [full.name]


@pytest.mark.parametrize("creates", CREATES)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[("compression_block_size", size) for size in (1, 100, 4095, 4097, -1, -4096, 2**32, 2**70)],
        *[("compression_level", level) for level in (0, 13, -1, 2**32, 2**70)],
        *[("threads", 0), ("threads", -1), ("threads", -(2**70)), ("threads", 2**70)],
        *[("cache_size", -1), ("cache_size", 2**70)],
        *[("format", version) for version in (0, 1, 4, -1, 2**70)],
        *[("compression", name) for name in ("", "gzip", "ZLIB", "zstd", "lz4", "none", 6)],
        *[("sync", sync) for sync in ("", "FULL", "always", None, 2, b"full")],
    ],
)
def test_the_error_for_an_invalid_value_names_the_setting(path: Path, creates: Any, setting: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=f"{setting} .*{value}"):
        creates(path, **{setting: value})
    assert names(path.parent) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("compression_block_size", 4096.0),
        ("compression_level", "6"),
        ("format", "3"),
        ("threads", "2"),
        ("cache_size", None),
        ("encoding", b"utf-8"),
        ("encoding", 8),
        ("initial_metadata", "text"),
        ("initial_metadata", 5),
        ("to_write", "yes"),
        ("no_such_setting", 1),
    ],
)
def test_a_setting_of_the_wrong_type_is_a_type_error(path: Path, setting: str, value: object) -> None:
    options: dict[str, Any] = {"to_write": True, setting: value}
    with pytest.raises(TypeError, match=setting.removeprefix("initial_")):
        CaptureFile(path, **options)
    assert names(path.parent) == []


@pytest.mark.parametrize(
    "options",
    [
        *[{"sync": sync} for sync in (True, False, "full", "barrier", "none")],
        *[{"compression_level": level} for level in range(1, 13)],
        *[{"threads": threads} for threads in (None, 1, 2, 3, 8)],
        *[{"cache_size": size} for size in (0, 1, 100_000, 2**40)],
        *[{"compression_block_size": size} for size in (0, 4096, 2**20)],
        {"use_os_file_locking": False},
    ],
    ids=str,
)
def test_every_valid_setting_gives_the_same_log(path: Path, options: dict[str, Any]) -> None:
    records = [f"record {number} " * (number % 100) for number in range(3000)]
    with CaptureFile(path, True, **options) as cf:
        cf.add_records(records)
        cf.commit()
        assert list(cf) == records
    reading = {name: value for name, value in options.items() if name != "compression_block_size"}
    with CaptureFile(path, **reading) as cf:
        assert [cf[number] for number in range(1, 3001)] == list(cf) == records
    assert capturefile.verify(path).sound


@pytest.mark.parametrize("creates", CREATES)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[("compression_block_size", size) for size in (0, 1, 511, 2**28)],
        *[("compression_level", level) for level in (0, 23)],
        ("compression", "zlib"),
    ],
)
def test_the_error_for_a_value_that_format_3_does_not_allow_names_the_setting(
    path: Path,
    creates: Any,  # noqa: ANN401
    setting: str,
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=f"{setting} .*{value}"):
        creates(path, format=3, **{setting: value})
    assert names(path.parent) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        *[{"sync": sync} for sync in ("full", "barrier", "none")],
        *[{"compression_level": level} for level in (1, 3, 9, 22)],
        *[{"compression": compression} for compression in ("zstd", "lz4", "none")],
        *[{"threads": threads} for threads in (1, 2, 3)],
        {"cache_size": 0},
        *[{"compression_block_size": size} for size in (512, 4096, 2**20)],
    ],
    ids=str,
)
def test_every_setting_of_format_3_gives_the_same_log(path: Path, options: dict[str, Any]) -> None:
    records = [f"record {number} " * (number % 100) for number in range(20_000)]
    with CaptureFile(path, True, format=3, **options) as cf:
        cf.add_records(records[:100])
        cf.commit()
        cf.add_records(records[100:])
        cf.commit()
        assert list(cf) == records
        assert (cf.info().version, cf.info().compression) == (3, options.get("compression", "zstd"))
    with CaptureFile(path, cache_size=options.get("cache_size", 2**25)) as cf:
        assert [cf[number] for number in range(1, 20_001)] == list(cf) == records


def test_each_commit_of_format_3_has_a_time_by_which_its_records_are_found(path: Path) -> None:
    before = datetime.now(UTC)
    with CaptureFile(path, True, format=3) as cf:
        for number in range(1, 4):
            cf.add_records(f"record {number}" for _ in range(1000))
            cf.commit()
            time.sleep(0.001)
        cf.add_record("not committed")
        assert cf.commit_time(3001) is None
        assert cf.record_number_at(datetime.now(UTC)) is None
        assert cf.record_number_at(before) == 1
        with pytest.raises(IndexError):
            cf.commit_time(3002)
        assert cf.record_number_at(datetime.min.replace(tzinfo=UTC)) == 1
        for time_given, said in ((datetime(2020, 1, 1), "one without a time zone"), (0, "int"), (None, "NoneType")):
            with pytest.raises(TypeError, match=f"time must be an aware datetime, not {said}"):
                cf.record_number_at(time_given)  # type: ignore[arg-type]
        cf.rollback()
    with CaptureFile(path) as cf:
        times = [cf.commit_time(number) for number in (1, 1000, 1001, 2001, 3000)]
        assert [cf.record_number_at(found) for found in times if found] == [1, 1, 1001, 2001, 2001]
        assert before <= times[0] <= times[-1] <= datetime.now(UTC)  # type: ignore[operator]


def test_a_file_in_format_2_has_no_times(full: Path) -> None:
    with CaptureFile(full) as cf:
        for ask in (lambda: cf.commit_time(1), lambda: cf.record_number_at(datetime.now(UTC))):
            with pytest.raises(capturefile.CaptureFileError, match="it is in format 2"):
                ask()


def test_settings_that_the_reference_does_not_have_are_keyword_only(path: Path) -> None:
    with pytest.raises(TypeError):
        CaptureFile(path, True, None, False, "utf-8", True, 4096, True)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        capturefile.open(path, "a", None)  # type: ignore[call-overload]
    assert not path.exists()
