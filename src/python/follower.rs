//! The Python class `Follower`: records as they are committed.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{Backoff, CaptureFile, Records};

use super::convert::Encoding;
use super::errors::quoted;
use super::iterators::next_record;
use super::shared::Shared;

/// How long a follower waits at most before it looks for Ctrl-C.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Iterates over records as they are committed, waiting for more; see `CaptureFile.follow`.
#[pyclass(frozen, weakref, generic, module = "capturefile")]
pub(super) struct Follower {
    observer: CaptureFile,
    following: Shared<Following>,
    /// Number of the next record to give.
    next: AtomicU64,
    /// The object that is followed; gone once it is closed.
    owner: Weak<CaptureFile>,
    encoding: Encoding,
    timeout: Option<Duration>,
}

struct Following {
    waiter: Backoff,
    records: Records,
}

impl Follower {
    pub(super) fn new(
        owner: &Arc<CaptureFile>,
        start: u64,
        encoding: Encoding,
        timeout: Option<Duration>,
    ) -> crate::Result<Self> {
        let observer = owner.observer()?;
        let records = observer.snapshot()?.records(start);
        Ok(Self {
            observer,
            following: Shared::new(Following { waiter: Backoff::default(), records }),
            next: AtomicU64::new(start),
            owner: Arc::downgrade(owner),
            encoding,
            timeout,
        })
    }

    /// Waits until there are records to give; false if there is no use in waiting longer.
    fn wait(&self, py: Python<'_>, following: &mut Following) -> PyResult<bool> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        following.waiter.restart();
        loop {
            if self.owner.strong_count() == 0 {
                return Ok(false);
            }
            if let Some(news) = py.detach(|| self.look())? {
                following.records = news;
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let most = left.map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
            let pause = following.waiter.next_delay().min(most);
            py.detach(|| self.observer.wait_for_commit(pause));
            py.check_signals()?;
        }
    }

    /// Looks for records that were committed since.
    ///
    /// A file that was replaced still gives what was committed to it: nothing can come after that look.
    fn look(&self) -> crate::Result<Option<Records>> {
        let replaced = self.observer.is_replaced()?;
        self.observer.check_length()?;
        // It may have been cut short between the two looks, and that says more.
        self.observer.refresh(false).or_else(|error| self.observer.check_length().and(Err(error)))?;
        let snapshot = self.observer.snapshot()?;
        let next = self.next.load(Ordering::Relaxed);
        if snapshot.record_count() >= next {
            return Ok(Some(snapshot.records(next)));
        }
        if replaced {
            return Err(crate::Error::Replaced { path: self.observer.path().to_owned() });
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
        let mut following = self.following.lock(py)?;
        loop {
            // One that cannot be read is passed over, here and by `records`.
            let record = next_record(py, &self.encoding, &mut following.records, false).transpose();
            if let Some(record) = record {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                drop(following);
                return self.encoding.finish(record?, number).map(Some);
            }
            if !self.wait(py, &mut following)? {
                return Ok(None);
            }
        }
    }

    /// How many records it can give without looking for more.
    fn __length_hint__(&self, py: Python<'_>) -> PyResult<usize> {
        let at_hand = self.following.lock(py)?.records.remaining();
        Ok(usize::try_from(at_hand).unwrap_or(usize::MAX))
    }

    fn __repr__(&self) -> String {
        let next = self.next.load(Ordering::Relaxed);
        format!("<Follower: record {next} of {} is next>", quoted(self.observer.path()))
    }

    /// The path that the file was opened with.
    #[getter]
    fn file_name(&self) -> &OsStr {
        self.observer.path().as_os_str()
    }

    /// Whether the next call would not wait: there is a record to give, or an error or the end to tell. It does
    /// not wait itself, also while another thread waits for the next record.
    fn ready(&self, py: Python<'_>) -> bool {
        self.owner.strong_count() == 0 || py.detach(|| !matches!(self.look(), Ok(None)))
    }

    /// How many records are committed now and were not given yet. It does not wait, also while another
    /// thread waits for the next record. Raises what `refresh` raises.
    fn lag(&self, py: Python<'_>) -> PyResult<u64> {
        let count = py.detach(|| {
            self.observer.refresh(false)?;
            self.observer.record_count()
        })?;
        Ok((count + 1).saturating_sub(self.next.load(Ordering::Relaxed)))
    }
}
