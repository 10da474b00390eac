//! Python iterators: over the records there are, and over those that are still to come.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::{MutexExt, PyOnceLock};
use pyo3::types::PyType;

use super::convert::Encoding;
use super::errors::CaptureFileNotOpen;
use super::verify::range;
use crate::{Blocks, CaptureFile, Records, Waiter};

/// How long a follower waits at most before it looks for Ctrl-C.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A lock that threads wait for without holding the interpreter, and that a forked child does not wait
/// for when its holder did not come along.
struct Shared<T> {
    value: Mutex<T>,
    process: u32,
}

impl<T> Shared<T> {
    fn new(value: T) -> Self {
        Self { value: Mutex::new(value), process: std::process::id() }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if self.process != std::process::id() => {
                Err(CaptureFileNotOpen::new_err(
                    "this iterator was in use by another thread when this process was forked; make a new one",
                ))
            }
            Err(TryLockError::WouldBlock) => {
                Ok(self.value.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

/// Iterates over the records that there were when it was made; see `CaptureFile.record_generator`.
///
/// A record that cannot be read raises InvalidCaptureFile; the next call goes on behind it.
#[pyclass(frozen, generic, module = "capturefile")]
pub(super) struct RecordIterator {
    records: Shared<Records>,
    encoding: Encoding,
    reversed: bool,
}

impl RecordIterator {
    pub(super) fn new(records: Records, encoding: Encoding, reversed: bool) -> Self {
        Self { records: Shared::new(records), encoding, reversed }
    }
}

#[pymethods]
impl RecordIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut records = self.records.lock(py)?;
        let record = next_record(py, &self.encoding, &mut records, self.reversed)?;
        let left = records.numbers();
        drop(records);
        let number = if self.reversed { left.end } else { left.start - 1 };
        record.map(|record| self.encoding.finish(record, number)).transpose()
    }

    fn __length_hint__(&self, py: Python<'_>) -> PyResult<usize> {
        let remaining = self.records.lock(py)?.remaining();
        Ok(usize::try_from(remaining).unwrap_or(usize::MAX))
    }
}

/// Iterates over the blocks that there were when it was made; see `CaptureFile.blocks`.
///
/// A block that cannot be inflated raises InvalidCaptureFile; the next call goes on behind it if it can.
#[pyclass(frozen, module = "capturefile")]
pub(super) struct BlockIterator {
    blocks: Shared<Blocks>,
}

impl BlockIterator {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks: Shared::new(blocks) }
    }
}

#[pymethods]
impl BlockIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        static BLOCK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let mut guard = self.blocks.lock(py)?;
        let blocks: &mut Blocks = &mut guard;
        let block = py.detach(|| blocks.next()).transpose()?;
        drop(guard);
        let Some(block) = block else {
            return Ok(None);
        };
        let class = BLOCK.import(py, "capturefile._info", "Block")?;
        let (position, length) = block.frame.unzip();
        let records = block.records.map(|records| range(py, &records)).transpose()?;
        class.call1((position, length, block.size, records)).map(Some)
    }
}

/// The next record, for [`Encoding::finish`]; the interpreter is let go only where the record takes reading or
/// inflating.
pub(super) fn next_record<'py>(
    py: Python<'py>,
    encoding: &Encoding,
    records: &mut Records,
    reversed: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let record = if reversed {
        py.detach(|| records.next_back())
    } else if let Some(record) = records.next_in_memory() {
        return encoding.begin(py, record).map(Some);
    } else {
        py.detach(|| records.next())
    };
    record.transpose()?.map(|record| encoding.begin(py, &record)).transpose()
}

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
    waiter: Waiter,
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
            following: Shared::new(Following { waiter: Waiter::default(), records }),
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
            let most = left.map_or(LONGEST_WAIT, |left| left.min(LONGEST_WAIT));
            let pause = following.waiter.next_pause().min(most);
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
