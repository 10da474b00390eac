//! The Python class `_LogTransaction`.

use pyo3::exceptions::PyOSError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use super::errors::CaptureFileError;

/// The `Transaction` of a `RotatingWriter`.
///
/// In a generator or a class in Python, a signal handler could raise after the block and before the commit or
/// rollback.
#[pyclass(frozen, generic, name = "_LogTransaction", module = "capturefile._capturefile")]
pub(super) struct LogTransaction {
    log: Py<PyAny>,
}

impl LogTransaction {
    /// Rolls back, and again if a signal handler raises meanwhile. The error that led here matters more than
    /// one of the log's.
    fn roll_back(&self, py: Python<'_>) -> PyResult<()> {
        let roll_back = || match self.log.call_method0(py, intern!(py, "rollback")) {
            Err(error) if !error.matches(py, py.get_type::<CaptureFileError>())? => Err(error),
            _ => Ok(()),
        };
        roll_back().or_else(|raised| roll_back().and(Err(raised)))
    }
}

#[pymethods]
impl LogTransaction {
    #[new]
    #[pyo3(signature = (log, /))]
    fn new(log: Py<PyAny>) -> Self {
        Self { log }
    }

    fn __enter__(&self, py: Python<'_>) -> Py<PyAny> {
        self.log.clone_ref(py)
    }

    #[pyo3(text_signature = "($self, exception_type, exception, traceback)")]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: Option<&Bound<'_, PyAny>>,
        _exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if exception_type.is_some() {
            return self.roll_back(py);
        }
        let Err(error) = self.log.call_method0(py, intern!(py, "commit")) else { return Ok(()) };
        // The records of a failed commit can still be committed.
        if !error.matches(py, (py.get_type::<CaptureFileError>(), py.get_type::<PyOSError>()))? {
            self.roll_back(py)?;
        }
        Err(error)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.log)
    }
}
