"""Columns in Spark's terms: the schema that a read declares, and the column from which a write takes records."""

from __future__ import annotations

from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from capturefile.spark.files import is_one_file
from capturefile.spark.options import COLUMNS, Options

_TYPES = {"record_number": ("bigint",), "record": ("binary", "string"), "path": ("string",)}
"""The types that each column can be read as."""


def declared(options: Options) -> StructType:
    """Returns the schema of a read without a given schema. No column has nulls."""
    usual = COLUMNS[:2] if is_one_file(options.paths) else COLUMNS
    types = {
        "record_number": LongType(),
        "record": BinaryType() if options.encoding is None else StringType(),
        "path": StringType(),
    }
    return StructType([StructField(name, types[name], nullable=False) for name in options.columns or usual])


def check(schema: StructType) -> None:
    """Checks the schema that was given for a read.

    Raises:
        ValueError: Capture files cannot be read with it.
    """
    for field in schema.fields:
        kind = field.dataType.simpleString()
        if kind not in _TYPES.get(field.name, ()):
            possible = ", ".join(f"{name} {' or '.join(kinds)}" for name, kinds in _TYPES.items())
            raise ValueError(
                f"a capture file has no column {field.name!r} of the type {kind}; its columns are {possible}"
            )


def record_column(schema: StructType) -> str:
    """Returns the name of the column with the records to write: `record`, or the name of the only column.

    The columns `record_number` and `path`, which a read adds, are ignored.

    Raises:
        ValueError: There is no such column, there is another one, or it is neither binary nor a string.
    """
    names = schema.fieldNames()
    name = names[0] if len(names) == 1 else "record"
    surplus = set(names) - {name, "record_number", "path"}
    if name not in names or surplus:
        raise ValueError(
            f"the columns to write must be one, or `record` and at most `record_number` and `path`, which are "
            f"assigned again when they are read; not {', '.join(names)}"
        )
    if not isinstance(schema[name].dataType, BinaryType | StringType):
        raise ValueError(f"the column {name!r} must be binary or string, not {schema[name].dataType.simpleString()}")
    return name
