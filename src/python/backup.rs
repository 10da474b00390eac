//! Copying a file from Python while it may be being written.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::progress::watched;
use crate::BackupOptions;

/// Copies one commit of a capture file; see `capturefile.backup`. Returns the record count of the copy.
#[pyfunction]
#[pyo3(name = "_backup", signature = (source, target, *, overwrite, progress = None))]
pub(super) fn backup(
    py: Python<'_>,
    source: PathBuf,
    target: PathBuf,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<u64> {
    watched(py, progress, |callback| {
        BackupOptions::new().overwrite(overwrite).progress(callback).backup(source, target)
    })
}
