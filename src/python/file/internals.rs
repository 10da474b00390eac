//! Functions for the package's own Python modules, which users do not call.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::python::convert::RecordNumber;

use super::CaptureFile;

/// Returns a reader of the same open file, which refreshes independently. It may outlive `cf`.
#[pyfunction]
#[pyo3(signature = (cf, /))]
pub(in crate::python) fn reader_of(py: Python<'_>, cf: &CaptureFile) -> PyResult<CaptureFile> {
    let settings = cf.settings()?.clone();
    let file = cf.file()?;
    let reader = CaptureFile::unopened();
    reader.open.store(Some(Arc::new(py.detach(|| file.reader())?)));
    // A new cell is empty.
    let _ = reader.settings.set(settings);
    Ok(reader)
}

/// Returns the device, inode and creation time of the open file.
///
/// The time is in nanoseconds since the epoch, or None if the file system does not record it.
#[pyfunction]
#[pyo3(signature = (cf, /))]
pub(in crate::python) fn file_identity(
    py: Python<'_>,
    cf: &CaptureFile,
) -> PyResult<(u64, u64, Option<u64>)> {
    let file = cf.file()?;
    let identity = py.detach(|| file.identity())?;
    Ok((identity.device, identity.inode, identity.birth))
}

/// Returns whether the path still leads to the open file: it has not been renamed, removed or replaced.
///
/// Raises InvalidCaptureFile if the file has been truncated.
#[pyfunction]
#[pyo3(signature = (cf, /))]
pub(in crate::python) fn is_in_place(py: Python<'_>, cf: &CaptureFile) -> PyResult<bool> {
    let file = cf.file()?;
    Ok(py.detach(|| file.is_in_place())?)
}

/// Returns the numbers of the first and last record that are compressed together with record `record_number`.
#[pyfunction]
#[pyo3(signature = (cf, record_number, /))]
pub(in crate::python) fn block_range(
    py: Python<'_>,
    cf: &CaptureFile,
    record_number: RecordNumber,
) -> PyResult<(u64, u64)> {
    let Some(number) = record_number.positive() else {
        return Err(cf.below_the_first(py, record_number)?);
    };
    let snapshot = cf.snapshot(py)?;
    let block = py.detach(|| snapshot.block_of(number))?;
    Ok(block.into_inner())
}

/// Calls `hook` after each commit with its records, their bytes, and the seconds it took; None stops that.
#[pyfunction]
#[pyo3(signature = (cf, hook, /))]
pub(in crate::python) fn set_commit_hook(cf: &CaptureFile, hook: Option<Py<PyAny>>) {
    cf.commit_hook.store(hook.map(Arc::new));
}
