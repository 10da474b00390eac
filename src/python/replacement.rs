//! Putting new files in the place of others from Python.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::Replacement as Core;

/// Syncs a file to the disk, or the names in a folder if its file system supports that.
#[pyfunction]
#[pyo3(name = "_sync_path", signature = (path, /))]
pub(super) fn sync_path(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    py.detach(move || crate::sync_path(path))?;
    Ok(())
}

/// A new file, written beside the one that it will replace; see `capturefile._files.replacing`.
#[pyclass(frozen, name = "_Replacement", module = "capturefile._capturefile")]
pub(super) struct Replacement {
    #[pyo3(get)]
    temporary: OsString,
    /// `None` once it is finished or discarded.
    core: Mutex<Option<Core>>,
}

impl Replacement {
    fn take(&self) -> Option<Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Replacement {
    #[new]
    #[pyo3(signature = (path, *, overwrite))]
    fn new(py: Python<'_>, path: PathBuf, overwrite: bool) -> PyResult<Self> {
        let core = py.detach(|| Core::new(path, overwrite))?;
        Ok(Self { temporary: core.temporary().into(), core: Mutex::new(Some(core)) })
    }

    /// Moves the file to its final name. With `sync`, both are on the disk when this returns.
    #[pyo3(signature = (*, sync))]
    fn finish(&self, py: Python<'_>, sync: bool) -> PyResult<()> {
        py.detach(|| self.take().map_or(Ok(()), |core| core.finish(sync)))?;
        Ok(())
    }

    /// Deletes the file, unless it has its final name already.
    fn discard(&self, py: Python<'_>) {
        py.detach(|| drop(self.take()));
    }
}
