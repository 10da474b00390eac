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

/// Makes a new sound file at `target` of all that can be read of the damaged one at `source`.
///
/// The header, the master nodes, compressed blocks and index nodes may be destroyed, and the file cut short:
/// all records outside of destroyed blocks are found, in order. Lost records are left out, so that those
/// behind them get lower numbers; with `keep_numbers` an empty record stands in the place of each. The source
/// is only read. The target appears under its name when it is whole and on the disk; one that exists is
/// refused unless `overwrite` is true, and then keeps its mode and owner. Returns a `Recovery`. Where `target` is
/// None, nothing is written, and the `Recovery` says what would be recovered.
///
/// `progress` is called with the bytes of the source that are done and those that it has: at the start, at most
/// ten times a second, and at the end with all. An error that it raises stops the work, and no target is left.
///
/// Raises FileExistsError if the target exists, ValueError if it is the source, CaptureFileAlreadyOpen if somebody
/// writes it, InvalidCaptureFile if it is no regular file, the source keeps being written, or its index leads in
/// circles, and OSError if a file cannot be read or written.
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
    let options = RecoverOptions::new().overwrite(overwrite).keep_numbers(keep_numbers);
    let recovery = watched(py, progress, |go_on| match target {
        Some(target) => options.recover_while(source, target, go_on),
        None => options.survey_while(source, go_on),
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
