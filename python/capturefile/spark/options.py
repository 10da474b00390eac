"""The options of a read or write, checked and with their types."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capturefile import _remote
from capturefile.spark.files import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("record_number", "record", "path")
"""All possible columns, in their default order."""
_LEVELS = {2: {"zlib": 12}, 3: {"zstd": 22, "lz4": 0, "none": 0}}
"""The compressions in each version of the format, the default first, with their highest levels; 0 for no levels."""


@dataclass(frozen=True)
class Options:
    """The options of a read or write; see docs/spark.md for their names and meanings."""

    paths: tuple[str, ...]
    first_record: int
    last_record: int | None
    records_per_partition: int | None
    max_records_per_batch: int | None
    columns: tuple[str, ...] | None
    encoding: str | None
    errors: str
    new_file: dict[str, Any]
    """The arguments of `CaptureFile` with which files are created."""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Options:
        """Parses the options that Spark passes, with names in any case.

        Raises:
            ValueError: An option is invalid.
        """
        return cls(
            paths=_paths(given),
            first_record=_number(given, "firstRecord") or 1,
            last_record=_number(given, "lastRecord"),
            records_per_partition=_number(given, "recordsPerPartition"),
            max_records_per_batch=_number(given, "maxRecordsPerBatch"),
            columns=_columns(given),
            encoding=_encoding(given),
            errors=_errors(given),
            new_file=_new_file(given),
        )

    def only_path(self) -> str:
        """Returns the path to write to.

        Raises:
            ValueError: There are several paths, or it is in an object store.
        """
        if len(self.paths) > 1:
            raise ValueError(f"only one path can be written to, not {len(self.paths)}: {', '.join(self.paths)}")
        if _remote.is_url(self.paths[0]):
            raise ValueError(
                f"{_remote.without_secrets(self.paths[0])!r} is in an object store, where files can only be read: "
                "write to a folder in a file system, and upload its files by `capturefile upload`"
            )
        return self.paths[0]


def _paths(given: Mapping[str, str]) -> tuple[str, ...]:
    # Spark gives one path as `path` and several as a JSON list.
    several: list[str] = json.loads(given.get("paths", "[]"))
    paths = [given["path"], *several] if "path" in given else several
    if not paths:
        raise ValueError("no path was given: use load(path), save(path), start(path) or the option path")
    return tuple(map(absolute, paths))


def _number(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    text = given[name].strip()
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"the option {name} must be a whole number from 1, not {given[name]!r}")
    return int(text)


def _columns(given: Mapping[str, str]) -> tuple[str, ...] | None:
    if "columns" not in given:
        return None
    names = tuple(name.strip() for name in given["columns"].split(","))
    if len(set(names)) < len(names) or not set(names) <= set(COLUMNS):
        raise ValueError(f"the option columns must name some of {', '.join(COLUMNS)}, not {given['columns']!r}")
    return names


def _encoding(given: Mapping[str, str]) -> str | None:
    if "encoding" not in given:
        return None
    try:
        return codecs.lookup(given["encoding"]).name
    except LookupError:
        raise ValueError(f"the option encoding must be an encoding of Python, not {given['encoding']!r}") from None


def _errors(given: Mapping[str, str]) -> str:
    errors = given.get("errors", "strict")
    if errors != "strict" and "encoding" not in given:
        raise ValueError("the option errors needs the option encoding: without it records are bytes")
    try:
        codecs.lookup_error(errors)
    except LookupError:
        raise ValueError(f"the option errors must be an error handler of Python, not {errors!r}") from None
    return errors


def _new_file(given: Mapping[str, str]) -> dict[str, Any]:
    # Checked here, where the caller sees the error, and not only in the tasks.
    version = _number(given, "fileFormat") or 2
    if version not in _LEVELS:
        raise ValueError(f"the option fileFormat must be 2 or 3, not {given['fileFormat']!r}")
    levels = _LEVELS[version]
    compression = given.get("compression", next(iter(levels))).strip().lower()
    if compression not in levels:
        raise ValueError(
            f"the option compression must be {' or '.join(levels)} in format {version}, not {given['compression']!r}"
        )
    level, highest = _number(given, "compressionLevel"), levels[compression]
    if level is not None and level > highest:
        possible = f"must be from 1 to {highest}" if highest else "cannot be combined"
        raise ValueError(f"the option compressionLevel {possible} with the compression {compression}, not {level}")
    return {"format": version, "compression": compression, "compression_level": level}
