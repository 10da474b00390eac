//! Modern names, in addition to those of the pure-Python package.

#![expect(clippy::doc_link_with_quotes, reason = "docstrings are read in Python, without markup")]

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::python::convert::RecordNumber;
use crate::python::iterators::RecordIterator;

use super::CaptureFile;

#[pymethods]
impl CaptureFile {
    /// The path that the file was opened with, as `pathlib.Path`; `file_name` is the same path as `str`.
    #[getter]
    fn path(&self) -> PyResult<PathBuf> {
        Ok(self.settings()?.path.clone())
    }

    /// Whether the object is open for writing, or was when it was closed; an alias of `to_write`.
    #[getter]
    fn writable(&self) -> bool {
        self.to_write()
    }

    /// Returns whether the file is open for writing, in this process or in another one.
    ///
    /// A writer in another process is recognized by its lock, so one with `use_os_file_locking=False` goes unnoticed.
    ///
    /// Returns:
    ///     True while there is a writer, which may be this object.
    ///
    /// Raises:
    ///     CaptureFileNotOpen: The object is closed.
    ///     OSError: The file system has no locks.
    ///
    /// Examples:
    ///     >>> cf.is_being_written()
    ///     True
    fn is_being_written(&self, py: Python<'_>) -> PyResult<bool> {
        let file = self.file()?;
        Ok(py.detach(|| file.is_being_written())?)
    }

    /// The metadata, as returned by `get_metadata`; assigning calls `set_metadata`.
    #[getter(metadata)]
    fn current_metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.get_metadata(py)
    }

    #[setter(metadata)]
    fn assign_metadata(&self, py: Python<'_>, metadata: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.set_metadata(py, metadata)
    }

    /// Reads one record by its number; an alias of `record_at`.
    ///
    /// Args:
    ///     number: Number of the record, counted from 1.
    ///
    /// Returns:
    ///     The record, as `str`, or as `bytes` if the encoding is None.
    ///
    /// Raises:
    ///     IndexError: The number is below 1 or past the last record.
    ///     InvalidCaptureFile: The record is damaged.
    ///     UnicodeDecodeError: The record is not text in the file's encoding, and no `errors` were given.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.record(2)
    ///     'second'
    #[pyo3(name = "record")]
    fn record_with_number<'py>(&self, py: Python<'py>, number: RecordNumber) -> PyResult<Bound<'py, PyAny>> {
        self.record_at(py, number)
    }

    /// Iterates over the records that exist now, in order; an alias of `record_generator`.
    ///
    /// Args:
    ///     start: Number of the first record to return, counted from 1.
    ///
    /// Returns:
    ///     An iterator over the records.
    ///
    /// Raises:
    ///     IndexError: `start` is below 1.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> list(cf.records(2))
    ///     ['second', 'third']
    #[pyo3(signature = (start=RecordNumber(1)), text_signature = "($self, start=1)")]
    fn records(&self, py: Python<'_>, start: RecordNumber) -> PyResult<RecordIterator> {
        self.record_generator(py, start)
    }
}
