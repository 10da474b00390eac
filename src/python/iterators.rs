//! Python iterators over records and blocks.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::{Blocks, Records};

use super::convert::Encoding;
use super::errors::represented;
use super::progress::RECORDS_PER_CHECK;
use super::shared::Shared;
use super::verify::range;

/// Iterates over the records that existed when it was created; see `CaptureFile.record_generator`.
///
/// A step raises InvalidCaptureFile for a record that cannot be read; the next step continues after it.
#[pyclass(frozen, generic, module = "capturefile")]
pub(super) struct RecordIterator {
    records: Shared<Records>,
    encoding: Encoding,
    reversed: bool,
}

impl RecordIterator {
    pub(super) fn new(records: Records, encoding: Encoding, reversed: bool) -> Self {
        Self { records: Shared::new(records), encoding, reversed }
    }
}

#[pymethods]
impl RecordIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut records = self.records.lock(py)?;
        if records.remaining().is_multiple_of(RECORDS_PER_CHECK as u64) {
            drop(records);
            // Loops in C do not check for signals.
            py.check_signals()?;
            records = self.records.lock(py)?;
        }
        let record = next_record(py, &self.encoding, &mut records, self.reversed)?;
        let left = records.numbers();
        drop(records);
        let number = if self.reversed { left.end } else { left.start - 1 };
        record.map(|record| self.encoding.finish(record, number)).transpose()
    }

    fn __length_hint__(&self, py: Python<'_>) -> PyResult<usize> {
        let remaining = self.records.lock(py)?.remaining();
        Ok(usize::try_from(remaining).unwrap_or(usize::MAX))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<RecordIterator: records of {}>", represented(py, self.encoding.path()))
    }
}

/// Iterates over the blocks that existed when it was created; see `CaptureFile.blocks`.
///
/// A step raises InvalidCaptureFile for a block that cannot be inflated, or an index that cannot be read; the
/// next step continues after it if possible.
#[pyclass(frozen, module = "capturefile")]
pub(super) struct BlockIterator {
    blocks: Shared<Blocks>,
    path: Arc<Path>,
}

impl BlockIterator {
    pub(super) fn new(blocks: Blocks, path: Arc<Path>) -> Self {
        Self { blocks: Shared::new(blocks), path }
    }
}

#[pymethods]
impl BlockIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        static BLOCK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        py.check_signals()?;
        let mut guard = self.blocks.lock(py)?;
        let blocks: &mut Blocks = &mut guard;
        let block = py.detach(|| blocks.next()).transpose()?;
        drop(guard);
        let Some(block) = block else {
            return Ok(None);
        };
        let class = BLOCK.import(py, "capturefile._info", "BlockInfo")?;
        let (position, compressed_size) =
            block.frame.map(|frame| (frame.position, frame.compressed_size)).unzip();
        let records = block.records.map(|records| range(py, &records)).transpose()?;
        class.call1((position, compressed_size, block.size, records, block.record_count)).map(Some)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<BlockIterator: blocks of {}>", represented(py, &self.path))
    }
}

/// Returns the next record, for [`Encoding::finish`]; releases the interpreter only if the record has to be
/// read or inflated.
pub(super) fn next_record<'py>(
    py: Python<'py>,
    encoding: &Encoding,
    records: &mut Records,
    reversed: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let record = if reversed {
        py.detach(|| records.next_back())
    } else if let Some(record) = records.next_cached() {
        return encoding.begin(py, record).map(Some);
    } else {
        py.detach(|| records.next())
    };
    record.transpose()?.map(|record| encoding.begin(py, &record)).transpose()
}
