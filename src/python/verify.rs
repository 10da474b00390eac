//! Checking a whole file from Python.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// Reads everything in a capture file and says what is damaged.
///
/// Both master nodes, every frame, every index node, the bounds of every record, and the metadata are
/// looked at. Nothing is written, and a writer may go on meanwhile. Returns a `Report`.
///
/// Raises InvalidCaptureFile if the file cannot be opened as a capture file at all, and OSError if it
/// cannot be read.
#[pyfunction]
pub(super) fn verify(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    static PROBLEM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static REPORT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let report = py.detach(|| crate::verify(path))?;
    let problem = PROBLEM.import(py, "capturefile._info", "Problem")?;
    let problems = report
        .problems
        .iter()
        .map(|damage| {
            problem.call1((damage.position, format!("found {}, expected {}", damage.found, damage.expected)))
        })
        .collect::<PyResult<Vec<_>>>()?;
    REPORT.import(py, "capturefile._info", "Report")?.call1((
        report.record_count,
        report.records_checked,
        report.frames,
        report.index_nodes,
        PyTuple::new(py, problems)?,
    ))
}
