//! Python names as new programs expect them, beside those of the pure-Python package.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::python::convert::RecordNumber;
use crate::python::iterators::RecordIterator;

use super::CaptureFile;

#[pymethods]
impl CaptureFile {
    /// The path that the file was opened with, as `pathlib.Path`; `file_name` is the same as `str`.
    #[getter]
    fn path(&self) -> PyResult<PathBuf> {
        Ok(self.settings()?.path.clone())
    }

    /// Whether the object is, or was when it was closed, open for writing; `to_write` is the same.
    #[getter]
    fn writable(&self) -> bool {
        self.to_write()
    }

    /// The metadata, as `get_metadata` gives it; assigning does what `set_metadata` does.
    #[getter(metadata)]
    fn current_metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.get_metadata(py)
    }

    #[setter(metadata)]
    fn assign_metadata(&self, py: Python<'_>, metadata: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.set_metadata(py, metadata)
    }

    /// Record `number`, counted from 1; `record_at` is the same.
    ///
    /// Raises what `record_at` raises.
    #[pyo3(name = "record")]
    fn record_with_number<'py>(&self, py: Python<'py>, number: RecordNumber) -> PyResult<Bound<'py, PyAny>> {
        self.record_at(py, number)
    }

    /// Iterates over the records there are now, from number `start` to the last; `record_generator` is the same.
    ///
    /// Raises what `record_generator` raises.
    #[pyo3(signature = (start=RecordNumber(1)), text_signature = "($self, start=1)")]
    fn records(&self, py: Python<'_>, start: RecordNumber) -> PyResult<RecordIterator> {
        self.record_generator(py, start)
    }
}
