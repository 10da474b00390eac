//! A given set of records, block by block.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::Result;
use crate::read::gather::Batches;
use crate::read::record::Record;
use crate::read::snapshot::Snapshot as V2;
use crate::sync::progress::{Monitor, Progress};
use crate::v3::read::snapshot::Snapshot as V3;

/// Returns the records with given numbers, block by block, so that each block is inflated once.
///
/// Each item is a batch of records, each with its index among the given numbers. The iteration ends after
/// an error.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two", "three"])?;
/// let mut found = [const { Vec::new() }; 2];
/// for batch in log.snapshot()?.records_at(&[3, 1])? {
///     for (place, record) in batch? {
///         found[place] = record.into();
///     }
/// }
/// assert_eq!(found, [b"three".to_vec(), b"one".to_vec()]);
/// # Ok(()) }
/// ```
pub struct RecordsAt {
    snapshot: Arc<Snapshot>,
    inner: Inner,
}

enum Inner {
    V2(Batches<V2>),
    V3(Batches<V3>),
}

impl fmt::Debug for RecordsAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remaining = match &self.inner {
            Inner::V2(batches) => batches.remaining(),
            Inner::V3(batches) => batches.remaining(),
        };
        let mut out = out.debug_struct("RecordsAt");
        out.field("snapshot", &self.snapshot).field("remaining", &remaining).finish_non_exhaustive()
    }
}

impl RecordsAt {
    fn new(snapshot: &Arc<Snapshot>, numbers: &[u64], monitor: &Monitor<'_>) -> Result<Self> {
        let inner = match snapshot.state() {
            AnyState::V2(state) => Inner::V2(Batches::new(Arc::clone(state), numbers, monitor)?),
            AnyState::V3(state) => Inner::V3(Batches::new(Arc::clone(state), numbers, monitor)?),
        };
        Ok(Self { snapshot: Arc::clone(snapshot), inner })
    }
}

impl Iterator for RecordsAt {
    type Item = Result<Vec<(usize, Record)>>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.inner {
            Inner::V2(batches) => batches.next(),
            Inner::V3(batches) => batches.next(),
        }
    }
}

impl std::iter::FusedIterator for RecordsAt {}

impl Snapshot {
    /// Finds the records with these numbers, which may be in any order and repeated; see [`RecordsAt`].
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for a number that is 0 or more than
    /// [`record_count`](Self::record_count), [`Error::Corrupt`](crate::Error::Corrupt) if the index is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// let batches = log.snapshot()?.records_at(&[1, 3, 3])?;
    /// assert_eq!(batches.map(|batch| batch.map_or(0, |records| records.len())).sum::<usize>(), 3);
    /// # Ok(()) }
    /// ```
    pub fn records_at(self: &Arc<Self>, numbers: &[u64]) -> Result<RecordsAt> {
        RecordsAt::new(self, numbers, &Monitor::new(self.path(), None))
    }

    /// Finds the records as [`records_at`](Self::records_at) does, and calls `callback` from time to time
    /// with the number of index nodes read so far. If it returns [`ControlFlow::Break`], the error is an
    /// [`Error::Io`](crate::Error::Io) of the kind `Interrupted`.
    ///
    /// # Errors
    ///
    /// The errors of [`records_at`](Self::records_at), and `Interrupted` if the callback ends the work.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(vec!["record"; 10_000])?;
    /// let numbers: Vec<u64> = (1..=10_000).collect();
    /// let stop = |_| ControlFlow::Break(());
    /// assert!(log.snapshot()?.records_at_with_progress(&numbers, stop).is_err());
    /// # Ok(()) }
    /// ```
    pub fn records_at_with_progress(
        self: &Arc<Self>,
        numbers: &[u64],
        callback: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<RecordsAt> {
        RecordsAt::new(self, numbers, &Monitor::new(self.path(), Some(Box::new(callback))))
    }
}
