"""The columns in the words of Spark: what a read declares, and which column a write takes its records from."""

from __future__ import annotations

from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from capturefile.spark.files import is_one_file
from capturefile.spark.options import COLUMNS, Options

_TYPES = {"record_number": ("bigint",), "record": ("binary", "string"), "path": ("string",)}
"""As what each column can be read."""


def declared(options: Options) -> StructType:
    """The columns of a read for which no schema was given. None of them has nulls."""
    usual = COLUMNS[:2] if is_one_file(options.paths) else COLUMNS
    types = {
        "record_number": LongType(),
        "record": BinaryType() if options.encoding is None else StringType(),
        "path": StringType(),
    }
    return StructType([StructField(name, types[name], nullable=False) for name in options.columns or usual])


def check(schema: StructType) -> None:
    """Raises ValueError for a schema, given with the read, that capture files cannot be read as."""
    for field in schema.fields:
        kind = field.dataType.simpleString()
        if kind not in _TYPES.get(field.name, ()):
            possible = ", ".join(f"{name} {' or '.join(kinds)}" for name, kinds in _TYPES.items())
            raise ValueError(
                f"a capture file has no column {field.name!r} of the type {kind}; its columns are {possible}"
            )


def record_column(schema: StructType) -> str:
    """The name of the column that is written: `record`, or whatever the only column is called.

    `record_number` and `path` may stand beside it, as they do in what was read. Raises ValueError if there is no such
    column, another one, or one that is neither binary nor a string.
    """
    names = schema.fieldNames()
    name = names[0] if len(names) == 1 else "record"
    surplus = set(names) - {name, "record_number", "path"}
    if name not in names or surplus:
        raise ValueError(
            f"the columns to write must be one, or `record` and at most `record_number` and `path`, which are numbered "
            f"and named anew; not {', '.join(names)}"
        )
    if not isinstance(schema[name].dataType, BinaryType | StringType):
        raise ValueError(f"the column {name!r} must be binary or string, not {schema[name].dataType.simpleString()}")
    return name
