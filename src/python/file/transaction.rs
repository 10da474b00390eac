//! The Python class `Transaction`.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::CaptureFile;

/// Commits at the end of its `with` block, or rolls back; see `CaptureFile.transaction`.
#[pyclass(frozen, generic, module = "capturefile")]
pub(in crate::python) struct Transaction {
    pub(super) file: Py<CaptureFile>,
}

#[pymethods]
impl Transaction {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<CaptureFile>> {
        let file = self.file.get().file()?;
        if !file.is_writer() {
            return Err(crate::Error::NotOpenForWrite { path: file.path().to_owned() }.into());
        }
        Ok(self.file.clone_ref(py))
    }

    #[pyo3(text_signature = "($self, exception_type, exception, traceback)")]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: Option<&Bound<'_, PyAny>>,
        _exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let file = self.file.get();
        if exception_type.is_none() {
            return file.commit(py);
        }
        // The exception in progress matters more than an error of rolling back.
        let _ = file.rollback(py);
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Transaction in {}>", self.file.get().__repr__(py))
    }

    /// An object of a subclass can hold its own transaction, so the garbage collector has to see the reference.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.file)
    }
}
