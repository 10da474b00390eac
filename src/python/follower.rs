//! The Python class `Follower`: records as they are committed.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::NewRecords;

use super::convert::Encoding;
use super::errors::{CaptureFileNotOpen, quoted, represented};
use super::progress::RECORDS_PER_CHECK;
use super::shared::Shared;

/// Iterates over records as they are committed, waiting for more; see `CaptureFile.follow`.
///
/// A signal handler that calls it while its own thread waits in it gets a ValueError, as with generators.
#[pyclass(frozen, weakref, generic, module = "capturefile")]
pub(super) struct Follower {
    /// `None` once closed.
    followed: ArcSwapOption<Followed>,
    /// The available records; `None` once there is nothing left to follow.
    records: Shared<Option<NewRecords>>,
    /// Number of the next record, for a closed follower.
    last: AtomicU64,
    path: PathBuf,
    encoding: Encoding,
    timeout: Option<Duration>,
}

/// The file that is followed.
struct Followed {
    follower: crate::Follower,
    /// The open file of the object, until the object is closed.
    owner: Weak<crate::CaptureFile>,
    /// The object, which is kept alive while it is followed.
    object: Py<PyAny>,
}

impl Followed {
    fn is_over(&self) -> bool {
        self.owner.strong_count() == 0
    }
}

impl Follower {
    pub(super) fn new(
        object: &Bound<'_, PyAny>,
        file: &Arc<crate::CaptureFile>,
        start: u64,
        encoding: Encoding,
        timeout: Option<Duration>,
    ) -> PyResult<Self> {
        let (following, records) = object.py().detach(|| {
            let following = file.follow(start)?;
            let records = following.at_hand()?;
            crate::Result::Ok((following, records))
        })?;
        let followed =
            Followed { follower: following, owner: Arc::downgrade(file), object: object.clone().unbind() };
        Ok(Self {
            followed: ArcSwapOption::from_pointee(followed),
            records: Shared::new(Some(records)),
            last: AtomicU64::new(start),
            path: file.path().to_owned(),
            encoding,
            timeout,
        })
    }

    /// Waits for records; `None` if waiting any longer is pointless.
    fn wait(&self, py: Python<'_>, followed: &Followed) -> PyResult<Option<NewRecords>> {
        if self.is_closed(followed) {
            return Ok(None);
        }
        let mut raised = Ok(());
        let news = py.detach(|| {
            followed.follower.next_batch_while(self.timeout, || {
                // At the end of the process, the interpreter may already be gone.
                let is_there = Python::try_attach(|py| raised = py.check_signals()).is_some();
                let continues = is_there && raised.is_ok() && !self.is_closed(followed);
                if continues { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        raised?;
        Ok(news?)
    }

    /// Whether the follower, or the object that it follows, was closed.
    fn is_closed(&self, followed: &Followed) -> bool {
        if followed.is_over() {
            self.release();
        }
        self.followed.load().is_none()
    }

    /// Ends the iteration.
    fn release(&self) {
        if let Some(followed) = self.followed.swap(None) {
            self.last.store(followed.follower.next_number(), Ordering::Relaxed);
        }
    }
}

#[pymethods]
impl Follower {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Dropped after unlocking, because it may close the object, which runs Python code.
        let Some(followed) = self.followed.load_full() else {
            return Ok(None);
        };
        if followed.follower.next_number().is_multiple_of(RECORDS_PER_CHECK as u64) {
            py.check_signals()?;
        }
        let mut guard = self.records.lock(py)?;
        while let Some(records) = guard.as_mut() {
            // A record that cannot be read is skipped, here and by `records`.
            let number = followed.follower.next_number();
            let record = match records.next_cached() {
                Some(record) => Some(self.encoding.begin(py, record)),
                None => py.detach(|| records.next()).map(|record| self.encoding.begin(py, &record?)),
            };
            if let Some(record) = record {
                drop(guard);
                return self.encoding.finish(record?, number).map(Some);
            }
            let news = self.wait(py, &followed)?;
            if news.is_none() && self.followed.load().is_some() {
                break;
            }
            *guard = news;
        }
        Ok(None)
    }

    /// Returns the number of records available without looking for more.
    fn __length_hint__(&self, py: Python<'_>) -> PyResult<usize> {
        let at_hand = self.records.lock(py)?.as_ref().map_or(0, NewRecords::remaining);
        Ok(usize::try_from(at_hand).unwrap_or(usize::MAX))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let followed = self.followed.load();
        let last = || self.last.load(Ordering::Relaxed);
        let next = followed.as_ref().map_or_else(last, |followed| followed.follower.next_number());
        format!("<Follower: record {next} of {} is next>", represented(py, &self.path))
    }

    /// The path that the file was opened with.
    #[getter]
    fn file_name(&self) -> &OsStr {
        self.path.as_os_str()
    }

    /// Ends the iteration and releases the file and the object that is followed.
    ///
    /// Another thread that waits for the next record stops waiting. Does nothing on a closed follower.
    ///
    /// Examples:
    ///     >>> follower = cf.follow(1)
    ///     >>> follower.close()
    ///     >>> list(follower)
    ///     []
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.release();
        match self.records.lock(py) {
            Ok(mut records) => *records = None,
            // This thread is waiting in it, and releases the rest when it finds it closed.
            Err(error) if error.is_instance_of::<PyValueError>(py) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reports, without waiting, whether the next step would return immediately.
    ///
    /// It does not wait even if another thread is waiting for the next record.
    ///
    /// Returns:
    ///     True if a record, an error or the end of the iteration is available.
    ///
    /// Examples:
    ///     >>> follower = cf.follow()
    ///     >>> follower.ready()
    ///     False
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> cf.commit()
    ///     >>> follower.ready()
    ///     True
    fn ready(&self, py: Python<'_>) -> bool {
        self.followed
            .load_full()
            .is_none_or(|followed| followed.is_over() || py.detach(|| followed.follower.is_ready()))
    }

    /// Returns the number of records that are committed now and have not been returned yet.
    ///
    /// It does not wait, even if another thread is waiting for the next record.
    ///
    /// Returns:
    ///     The number of records.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The file has been damaged or truncated.
    ///     CaptureFileNotOpen: The follower is closed.
    ///
    /// Examples:
    ///     >>> follower = cf.follow(1)
    ///     >>> next(follower), follower.lag()
    ///     ('first', 2)
    fn lag(&self, py: Python<'_>) -> PyResult<u64> {
        let Some(followed) = self.followed.load_full() else {
            let message = format!("this follower of {} is closed; create a new one", quoted(&self.path));
            return Err(CaptureFileNotOpen::new_err(message));
        };
        Ok(py.detach(|| followed.follower.lag())?)
    }

    /// The garbage collector has to see the object, which may refer to its follower.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.followed.load().as_ref() {
            Some(followed) => visit.call(&followed.object),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.release();
    }
}
