//! The records of a snapshot in order.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::Result;
use crate::read::record::Record;
use crate::read::record_buffer::RecordBuffer;
use crate::read::record_run::RecordRun;
use crate::read::walk::Walk as V2;
use crate::v3::read::walk::Walk as V3;

/// Iterates over the records of a snapshot in order, or in reverse order with
/// [`next_back`](Records::next_back).
///
/// A record that cannot be read is an error, and the next call continues after it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two", "three"])?;
/// let mut records = log.snapshot()?.records(1);
/// assert_eq!(records.next().transpose()?.expect("there are three"), *b"one");
/// assert_eq!(records.next_back().transpose()?.expect("there are two more"), *b"three");
/// # Ok(()) }
/// ```
pub struct Records {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// One past the last record to return.
    end: u64,
    walk: AnyWalk,
}

enum AnyWalk {
    V2(V2),
    V3(V3),
}

impl fmt::Debug for Records {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Records");
        out.field("snapshot", &self.snapshot).field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

impl Records {
    fn new(snapshot: Arc<Snapshot>, first: u64, last: u64) -> Self {
        let end = snapshot.record_count().min(last).saturating_add(1);
        let walk = match snapshot.state() {
            AnyState::V2(state) => AnyWalk::V2(V2::new(Arc::clone(state))),
            AnyState::V3(state) => AnyWalk::V3(V3::new(Arc::clone(state))),
        };
        Self { snapshot, next: first.clamp(1, end), end, walk }
    }

    /// Returns the number of remaining records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).remaining(), 2);
    /// # Ok(()) }
    /// ```
    pub fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// Returns the numbers of the remaining records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).numbers(), 2..4);
    /// # Ok(()) }
    /// ```
    pub fn numbers(&self) -> Range<u64> {
        self.next..self.end
    }

    /// Returns the next record if it is known to be in the current block; never waits for the disk or
    /// inflates.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// let mut records = log.snapshot()?.records(1);
    /// let mut bytes = 0;
    /// loop {
    ///     bytes += match records.next_cached() {
    ///         Some(record) => record.len(),
    ///         None => match records.next() {
    ///             Some(record) => record?.len(),
    ///             None => break,
    ///         },
    ///     };
    /// }
    /// assert_eq!(bytes, 11);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn next_cached(&mut self) -> Option<&[u8]> {
        if self.next >= self.end {
            return None;
        }
        let record = match &mut self.walk {
            AnyWalk::V2(walk) => walk.next_cached()?,
            AnyWalk::V3(walk) => walk.next_cached(self.next)?,
        };
        self.next += 1;
        Some(record)
    }

    fn take(&mut self, number: u64) -> Result<Record> {
        let last = self.end - 1;
        match &mut self.walk {
            AnyWalk::V2(walk) => walk.take(number, last),
            AnyWalk::V3(walk) => walk.take(number, last),
        }
    }

    /// Returns the next records, at most `max_records`, as one range of memory, if they have at least
    /// `min_bytes` and at most 2^31 - 1 bytes. `None` if there are none, or if they are not adjacent in
    /// memory: records are adjacent in the blocks of format 3, and never in format 2.
    ///
    /// # Errors
    ///
    /// The errors of reading the next record, which the next call returns again.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
    /// log.add_records(std::iter::repeat_n("a line of a log", 100_000))?;
    /// log.commit()?;
    /// let mut records = log.snapshot()?.records(1);
    /// let mut side_by_side = 0;
    /// while let Some(run) = records.next_run(65_536, 10_000).transpose()? {
    ///     side_by_side += run.ends().len();
    /// }
    /// assert_eq!(side_by_side + records.count(), 100_000);
    /// # Ok(()) }
    /// ```
    pub fn next_run(&mut self, min_bytes: usize, max_records: usize) -> Option<Result<RecordRun>> {
        if self.next >= self.end {
            return None;
        }
        let AnyWalk::V3(walk) = &mut self.walk else {
            return None;
        };
        let last = (self.end - 1).min(self.next.saturating_add(max_records as u64 - 1));
        let run = walk.next_run(self.next, last, self.end - 1, min_bytes).transpose()?;
        if let Ok(run) = &run {
            self.next += run.ends().len() as u64;
        }
        Some(run)
    }

    /// Appends the next records to `packed` until it has `max_records`, or at least `max_bytes`; returns false once
    /// there are no more.
    ///
    /// # Errors
    ///
    /// The error of a record that cannot be read, which the next call skips, and
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::RecordBuffer;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// let mut packed = RecordBuffer::default();
    /// log.snapshot()?.records(1).pack(&mut packed, usize::MAX, usize::MAX)?;
    /// assert_eq!(packed.record_count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn pack(&mut self, packed: &mut RecordBuffer, max_records: usize, max_bytes: usize) -> Result<bool> {
        while packed.record_count() < max_records && packed.bytes().len() < max_bytes {
            // No memory exceeds 64 bits.
            let _fits = match self.next_cached() {
                Some(record) => packed.push(record)?,
                None => match self.next() {
                    Some(record) => packed.push(&record?)?,
                    None => return Ok(false),
                },
            };
        }
        Ok(self.remaining() > 0)
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        let record = self.take(number);
        // A record that cannot be read is skipped, so that the next call continues after it.
        self.next += 1;
        if record.is_ok()
            && let AnyWalk::V2(walk) = &mut self.walk
        {
            walk.look_behind(number);
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.remaining());
        (remaining.unwrap_or(usize::MAX), remaining.ok())
    }
}

impl DoubleEndedIterator for Records {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let last = self.end - 1;
        let record = self.take(last);
        self.end = last;
        Some(record)
    }
}

impl Snapshot {
    /// Iterates over the records from number `first` on, in order.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn records(self: &Arc<Self>, first: u64) -> Records {
        Records::new(Arc::clone(self), first, u64::MAX)
    }

    /// Iterates over the existing records from number `first` to `last`, in order.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records_between(2, 2).count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn records_between(self: &Arc<Self>, first: u64, last: u64) -> Records {
        Records::new(Arc::clone(self), first, last)
    }
}
