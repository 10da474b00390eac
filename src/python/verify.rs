//! Checking a whole file from Python.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ops::RangeInclusive;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::object::Remote;
use super::progress::watched;
use crate::{Damage, OpenOptions, VerifyOptions};

/// Reads a whole capture file and reports all damage.
///
/// It checks the header, both master nodes, every frame, every index node, the bounds of every record, and the
/// metadata. Nothing is written, and a writer may continue meanwhile.
///
/// Args:
///     path: Path of the file, or URL of one in an object store.
///     quick: Check only what takes little time in a file of any size: the header, the master nodes, the
///         edges of the index tree and the records there, the last frames, and the metadata.
///     progress: Called with the bytes of the file that are done and its total bytes: at the start, at most ten
///         times a second, and at the end with all of them; not called with `quick`. An exception that it
///         raises stops the work.
///     store: As for `CaptureFile`.
///
/// Returns:
///     A `Report`, whose `sound` is true if nothing is damaged.
///
/// Raises:
///     InvalidCaptureFile: The file cannot be opened as a capture file at all.
///     OSError: The file cannot be read.
///
/// Examples:
///     >>> report = capturefile.verify(cf.path)
///     >>> report.sound, report.records_checked
///     (True, 3)
#[pyfunction]
#[pyo3(signature = (path, *, quick = false, progress = None, store = None))]
pub(super) fn verify<'py>(
    py: Python<'py>,
    path: PathBuf,
    quick: bool,
    progress: Option<Py<PyAny>>,
    store: Option<&Bound<'_, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static REPORT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let (path, remote) = Remote::find(py, path, store)?;
    let report = watched(py, progress, |callback| {
        let options = VerifyOptions::new().quick(quick).progress(callback);
        let file = Remote::open(remote.as_ref(), &path, &OpenOptions::new())?;
        options.verify_file(&file)
    })?;
    REPORT.import(py, "capturefile._info", "Report")?.call1((
        report.record_count,
        report.records_checked,
        report.frames,
        report.index_nodes,
        problems(py, &report.problems)?,
        problems(py, &report.repairable)?,
        ranges(py, &report.unreadable)?,
    ))
}

/// Returns damage as a tuple of `Damage`.
pub(super) fn problems<'py>(py: Python<'py>, damage: &[Damage]) -> PyResult<Bound<'py, PyTuple>> {
    static DAMAGE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = DAMAGE.import(py, "capturefile._info", "Damage")?;
    let problems =
        damage.iter().map(|damage| class.call1((damage.position, &damage.found, &damage.expected)));
    PyTuple::new(py, problems.collect::<PyResult<Vec<_>>>()?)
}

/// Returns numbers of records as a tuple of `RecordRange`.
pub(super) fn ranges<'py>(py: Python<'py>, ranges: &[RangeInclusive<u64>]) -> PyResult<Bound<'py, PyTuple>> {
    let ranges = ranges.iter().map(|numbers| range(py, numbers));
    PyTuple::new(py, ranges.collect::<PyResult<Vec<_>>>()?)
}

/// Returns numbers of records as a `RecordRange`.
pub(super) fn range<'py>(py: Python<'py>, numbers: &RangeInclusive<u64>) -> PyResult<Bound<'py, PyAny>> {
    static RANGE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    RANGE.import(py, "capturefile._info", "RecordRange")?.call1((*numbers.start(), *numbers.end()))
}
