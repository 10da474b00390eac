//! Replacing files with new ones from Python.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::Replacement as Core;

/// Syncs a file to the disk, or the names in a folder if its file system supports that.
#[pyfunction]
#[pyo3(name = "_sync_path", signature = (path, /))]
pub(super) fn sync_path(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    py.detach(move || crate::sync_path(path))?;
    Ok(())
}

/// A new file next to the one that it will replace: a context manager, whose value is the new file's name.
///
/// The file takes its final name at the end of the block, or is deleted; no signal handler runs in between.
#[pyclass(frozen, name = "_Replacement", module = "capturefile._capturefile")]
pub(super) struct Replacement {
    target: PathBuf,
    overwrite: bool,
    sync: bool,
    /// Set within the block.
    core: Mutex<Option<Core>>,
}

impl Replacement {
    fn core(&self) -> MutexGuard<'_, Option<Core>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a system error name the target, if it names no file or one that the user does not know.
    fn name_target(&self, error: &Bound<'_, PyAny>, temporary: &Path) -> PyResult<()> {
        if !error.is_instance_of::<PyOSError>() {
            return Ok(());
        }
        let name = error.getattr(intern!(error.py(), "filename"))?;
        if name.is_none() || name.eq(temporary.as_os_str())? {
            error.setattr(intern!(error.py(), "filename"), self.target.as_os_str())?;
            error.setattr(intern!(error.py(), "filename2"), error.py().None())?;
        }
        Ok(())
    }
}

#[pymethods]
impl Replacement {
    #[new]
    #[pyo3(signature = (target, *, overwrite=true, sync=true))]
    fn new(target: PathBuf, overwrite: bool, sync: bool) -> Self {
        Self { target, overwrite, sync, core: Mutex::new(None) }
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<OsString> {
        let core = py.detach(|| Core::new(self.target.clone(), self.overwrite))?;
        let temporary = core.temporary().into();
        *self.core() = Some(core);
        Ok(temporary)
    }

    #[pyo3(text_signature = "($self, exception_type, exception, traceback)")]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception_type: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let Some(core) = self.core().take() else { return Ok(()) };
        let temporary = core.temporary().to_owned();
        if let Some(exception) = exception {
            py.detach(|| drop(core));
            return self.name_target(exception, &temporary);
        }
        let Err(error) = py.detach(|| core.finish(self.sync)) else { return Ok(()) };
        let error = PyErr::from(error);
        self.name_target(error.value(py), &temporary)?;
        Err(error)
    }
}
