//! The Python class `CommitTicket`.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::time::{Duration, Instant};

use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::read::waiting_time;

/// Maximum time between two checks for signals while waiting.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// A commit in progress, started by `CaptureFile.start_commit`. It continues if the ticket is dropped.
#[pyclass(frozen, module = "capturefile")]
pub(in crate::python) struct CommitTicket {
    pub(super) ticket: crate::CommitTicket,
}

#[pymethods]
impl CommitTicket {
    /// Waits until the commit is done, and as durable as the setting `sync` demands.
    ///
    /// Any thread may call it, any number of times.
    ///
    /// Args:
    ///     timeout: Maximum time to wait, in seconds; by default there is no limit.
    ///
    /// Returns:
    ///     The number of records in the file after this commit, which is the number of the last one.
    ///
    /// Raises:
    ///     TimeoutError: The commit is still in progress.
    ///     ValueError: `timeout` is negative or not a number.
    ///     CaptureFileNotOpenForWrite: This process is a forked child of the writer.
    ///     OSError: As for `CaptureFile.commit`; this commit has failed, or one that was started before it.
    ///     CaptureFileError: Likewise.
    ///
    /// Examples:
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> cf.start_commit().result()
    ///     4
    #[pyo3(signature = (timeout=None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<u64> {
        let timeout = timeout.map(waiting_time).transpose()?.flatten();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wait = left.map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
            if let Some(record_count) = py.detach(|| self.ticket.wait_for(wait))? {
                return Ok(record_count);
            }
            py.check_signals()?;
            if left.is_some_and(|left| left.is_zero()) {
                let message =
                    "the commit is still in progress; wait longer, or leave it to the end of the file";
                return Err(PyTimeoutError::new_err(message));
            }
        }
    }

    /// Returns whether the commit is done, or has failed, so that `result` returns immediately.
    ///
    /// Returns:
    ///     True once it is.
    ///
    /// Examples:
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> ticket = cf.start_commit()
    ///     >>> ticket.result()
    ///     4
    ///     >>> ticket.done()
    ///     True
    fn done(&self) -> bool {
        self.ticket.is_done()
    }

    /// The number of records in the file after this commit.
    #[getter]
    fn record_count(&self) -> u64 {
        self.ticket.record_count()
    }

    fn __repr__(&self) -> String {
        let state = if self.ticket.is_done() { "done" } else { "in progress" };
        format!("<CommitTicket: up to record {}, {state}>", self.ticket.record_count())
    }
}
