//! The Python class `Follower`: records as they are committed.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::{Backoff, Records};

use super::convert::Encoding;
use super::errors::{CaptureFileNotOpen, quoted};
use super::iterators::next_record;
use super::progress::RECORDS_PER_CHECK;
use super::shared::Shared;

/// How long a follower waits at most before it looks for Ctrl-C.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Iterates over records as they are committed, waiting for more; see `CaptureFile.follow`.
///
/// A signal handler that calls it while its own thread waits in it gets a ValueError, as with generators.
#[pyclass(frozen, weakref, generic, module = "capturefile")]
pub(super) struct Follower {
    /// `None` once closed.
    followed: ArcSwapOption<Followed>,
    following: Shared<Following>,
    /// Number of the next record to give.
    next: AtomicU64,
    path: PathBuf,
    encoding: Encoding,
    timeout: Option<Duration>,
}

/// What is followed.
struct Followed {
    observer: crate::CaptureFile,
    /// The open file of the object; gone once that is closed.
    owner: Weak<crate::CaptureFile>,
    /// The object, which lives as long as it is followed.
    object: Py<PyAny>,
}

struct Following {
    waiter: Backoff,
    /// Those available; `None` once there is nothing to follow any more.
    records: Option<Records>,
}

impl Follower {
    pub(super) fn new(
        object: &Bound<'_, PyAny>,
        file: &Arc<crate::CaptureFile>,
        start: u64,
        encoding: Encoding,
        timeout: Option<Duration>,
    ) -> PyResult<Self> {
        let (observer, records) = object.py().detach(|| {
            let observer = file.reader()?;
            let records = observer.snapshot()?.records(start);
            crate::Result::Ok((observer, records))
        })?;
        let path = observer.path().to_owned();
        let followed = Followed { observer, owner: Arc::downgrade(file), object: object.clone().unbind() };
        Ok(Self {
            followed: ArcSwapOption::from_pointee(followed),
            following: Shared::new(Following { waiter: Backoff::default(), records: Some(records) }),
            next: AtomicU64::new(start),
            path,
            encoding,
            timeout,
        })
    }

    /// Waits until there are records to give; false if there is no use in waiting longer.
    fn wait(&self, py: Python<'_>, followed: &Followed, following: &mut Following) -> PyResult<bool> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        following.waiter.restart();
        loop {
            if followed.owner.strong_count() == 0 {
                self.followed.store(None);
            }
            if self.followed.load().is_none() {
                following.records = None;
                return Ok(false);
            }
            if let Some(news) = py.detach(|| self.look(followed))? {
                following.records = Some(news);
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let most = left.map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
            let pause = following.waiter.next_delay().min(most);
            py.detach(|| followed.observer.wait_for_commit(pause));
            py.check_signals()?;
        }
    }

    /// Looks for records that were committed since.
    ///
    /// A file that was replaced still gives what was committed to it: nothing can come after that look.
    fn look(&self, followed: &Followed) -> crate::Result<Option<Records>> {
        let observer = &followed.observer;
        let replaced = observer.is_replaced()?;
        observer.check_length()?;
        // It may have been cut short between the two looks, and that says more.
        observer.refresh(false).or_else(|error| observer.check_length().and(Err(error)))?;
        let snapshot = observer.snapshot()?;
        let next = self.next.load(Ordering::Relaxed);
        if snapshot.record_count() >= next {
            return Ok(Some(snapshot.records(next)));
        }
        if replaced {
            return Err(crate::Error::Replaced { path: self.path.clone() });
        }
        Ok(None)
    }
}

#[pymethods]
impl Follower {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.next.load(Ordering::Relaxed).is_multiple_of(RECORDS_PER_CHECK as u64) {
            py.check_signals()?;
        }
        // Dropped behind the lock: that may close the object, which runs Python code.
        let Some(followed) = self.followed.load_full() else {
            return Ok(None);
        };
        let mut guard = self.following.lock(py)?;
        let following: &mut Following = &mut guard;
        while let Some(records) = &mut following.records {
            // One that cannot be read is passed over, here and by `records`.
            let record = next_record(py, &self.encoding, records, false).transpose();
            if let Some(record) = record {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                drop(guard);
                return self.encoding.finish(record?, number).map(Some);
            }
            if !self.wait(py, &followed, following)? {
                break;
            }
        }
        Ok(None)
    }

    /// Returns the number of records available without looking for more.
    fn __length_hint__(&self, py: Python<'_>) -> PyResult<usize> {
        let at_hand = self.following.lock(py)?.records.as_ref().map_or(0, Records::remaining);
        Ok(usize::try_from(at_hand).unwrap_or(usize::MAX))
    }

    fn __repr__(&self) -> String {
        let next = self.next.load(Ordering::Relaxed);
        format!("<Follower: record {next} of {} is next>", quoted(&self.path))
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
        drop(self.followed.swap(None));
        match self.following.lock(py) {
            Ok(mut following) => following.records = None,
            // This thread waits in it, and releases the rest when it finds it closed.
            Err(error) if error.is_instance_of::<PyValueError>(py) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reports, without waiting, whether the next step would return at once.
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
        self.followed.load_full().is_none_or(|followed| {
            followed.owner.strong_count() == 0 || py.detach(|| !matches!(self.look(&followed), Ok(None)))
        })
    }

    /// Returns the number of records that are committed now and have not been returned yet.
    ///
    /// It does not wait, even if another thread is waiting for the next record.
    ///
    /// Returns:
    ///     The number of records.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The file has been damaged, or replaced by something shorter.
    ///     CaptureFileNotOpen: The follower is closed.
    ///
    /// Examples:
    ///     >>> follower = cf.follow(1)
    ///     >>> next(follower), follower.lag()
    ///     ('first', 2)
    fn lag(&self, py: Python<'_>) -> PyResult<u64> {
        let Some(followed) = self.followed.load_full() else {
            let message = format!("this follower of {} is closed; make a new one", quoted(&self.path));
            return Err(CaptureFileNotOpen::new_err(message));
        };
        let count = py.detach(|| {
            followed.observer.refresh(false)?;
            followed.observer.record_count()
        })?;
        Ok((count + 1).saturating_sub(self.next.load(Ordering::Relaxed)))
    }

    /// The garbage collector has to see the object, which may hold its follower.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.followed.load().as_ref() {
            Some(followed) => visit.call(&followed.object),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.followed.store(None);
    }
}
