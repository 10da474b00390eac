//! Recovering a damaged file from Python.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::convert::to_bytes;
use super::progress::watched;
use super::verify::{problems, ranges};
use crate::{LostRange, MetadataOutcome, RecoverOptions, Recovery};

/// Writes everything that can be read of a damaged file to a new, sound one.
///
/// The header, the master nodes, compressed blocks and index nodes may be destroyed, and the file may be
/// truncated: all records outside of destroyed blocks are found, in order. The source is only read. The target
/// appears under its name once it is complete and on the disk.
///
/// Args:
///     source: Path of the damaged file.
///     target: Path of the new file; with None, nothing is written, and the result describes what would be recovered.
///     overwrite: Replace a target that exists, keeping its mode and owner.
///     keep_numbers: Put an empty record in place of each lost one. Otherwise lost records are left out, so
///         that later ones get lower numbers.
///     progress: Called with the bytes of the source that are done and its total bytes: at the start, at most
///         ten times a second, and at the end with all of them. An exception that it raises stops the work and
///         leaves no target.
///
/// Returns:
///     A `Recovery`, which describes what was found and what was lost.
///
/// Raises:
///     FileExistsError: The target exists, and `overwrite` is false.
///     ValueError: The target is the source.
///     CaptureFileAlreadyOpen: The target is being written.
///     InvalidCaptureFile: The source is not a regular file, keeps being written, has a circular index, or has
///         neither a header nor anything to recover.
///     OSError: A file cannot be read or written.
///
/// Examples:
///     >>> recovery = capturefile.recover(cf.path, "rescued.capture")
///     >>> recovery.recovered, recovery.lost
///     (3, ())
#[pyfunction]
#[pyo3(signature = (source, target, *, overwrite = false, keep_numbers = false, progress = None))]
pub(super) fn recover(
    py: Python<'_>,
    source: PathBuf,
    target: Option<PathBuf>,
    overwrite: bool,
    keep_numbers: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyAny>> {
    let recovery = watched(py, progress, |callback| {
        let options =
            RecoverOptions::new().overwrite(overwrite).keep_numbers(keep_numbers).progress(callback);
        match target {
            Some(target) => options.recover(source, target),
            None => options.survey(source),
        }
    })?;
    report(py, &recovery)
}

fn report<'py>(py: Python<'py>, recovery: &Recovery) -> PyResult<Bound<'py, PyAny>> {
    static RECOVERY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let last_metadata = recovery.last_metadata.as_ref().map(|bytes| to_bytes(py, bytes)).transpose()?;
    RECOVERY.import(py, "capturefile._info", "Recovery")?.call1((
        recovery.record_count,
        recovery.recovered,
        recovery.expected,
        lost(py, &recovery.lost)?,
        ranges(py, &recovery.uncertain)?,
        match recovery.metadata {
            MetadataOutcome::None => "none",
            MetadataOutcome::Recovered => "recovered",
            MetadataOutcome::Lost => "lost",
        },
        last_metadata,
        recovery.later_commit_lost,
        problems(py, &recovery.problems)?,
    ))
}

fn lost<'py>(py: Python<'py>, ranges: &[LostRange]) -> PyResult<Bound<'py, PyTuple>> {
    static LOST: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = LOST.import(py, "capturefile._info", "LostRange")?;
    let ranges = ranges.iter().map(|lost| class.call1((lost.first, lost.last, lost.exact)));
    PyTuple::new(py, ranges.collect::<PyResult<Vec<_>>>()?)
}
