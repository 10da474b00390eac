"""Records in the table formats Lance, Delta Lake and Iceberg, and in Daft: `make test-tables` runs this.

Each writes all records once. docs/arrow.md says which of them keep the order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import daft
import lance
import pyarrow
import pytest
from capturefile import CaptureFile
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile import ArrowRecords

COUNT = 300_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several batches of records."""
    path = tmp_path_factory.mktemp("filled") / "log.capture"
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(f"record {number}" for number in range(1, COUNT + 1))
        cf.commit()
    return path


@pytest.fixture
def records(filled: Path) -> Iterator[ArrowRecords]:
    """The records of the file."""
    with CaptureFile(filled) as cf:
        yield cf.as_arrow(text=True)


def check(table: pyarrow.Table, *, in_order: bool = True) -> None:
    """Checks that a table has all records, each once."""
    if not in_order:
        table = table.sort_by("record_number")
    assert table["record_number"].to_pylist() == list(range(1, COUNT + 1))
    assert table["record"].to_pylist() == [f"record {number}" for number in range(1, COUNT + 1)]


def test_lance_takes_a_reader_and_keeps_the_order(records: ArrowRecords, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Unknown data type"):
        lance.write_dataset(records, str(tmp_path / "refused.lance"))
    batches = pyarrow.RecordBatchReader.from_stream(records)
    dataset = lance.write_dataset(batches, str(tmp_path / "log.lance"), max_rows_per_file=50_000)
    assert len(dataset.get_fragments()) > 1
    check(dataset.to_table())


def test_iceberg_takes_a_reader_and_keeps_the_order(records: ArrowRecords, tmp_path: Path) -> None:
    catalog = SqlCatalog("tests", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    try:
        catalog.create_namespace("logs")
        table = catalog.create_table("logs.log", schema=pyarrow.schema(records))
        with pytest.raises(ValueError, match="Expected pa"):
            table.append(records)
        table.append(pyarrow.RecordBatchReader.from_stream(records))
        check(table.scan().to_arrow())
    finally:
        catalog.close()


def test_delta_lake_takes_the_object_and_keeps_all_records(records: ArrowRecords, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "log.delta", records)
    check(DeltaTable(tmp_path / "log.delta").to_pyarrow_table(), in_order=False)


def test_daft_takes_the_object_and_keeps_the_order(records: ArrowRecords) -> None:
    frame = daft.from_arrow(records)
    for _ in range(2):
        check(frame.to_arrow().cast(pyarrow.schema(records)))
