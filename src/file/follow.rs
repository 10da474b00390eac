//! Following a file: its records as they are committed.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::either::records::Records;
use crate::error::{Error, Result};
use crate::read::record::Record;
use crate::sync::backoff::Backoff;

use super::capture_file::CaptureFile;

/// Returns the records of a file as any process commits them.
///
/// It sees whole commits only, holds no lock, and is independent of the object that made it. Threads may share
/// one: while one of them takes records, others may ask for [`lag`](Self::lag) and [`is_ready`](Self::is_ready).
///
/// ```
/// use std::time::Duration;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let writer = capturefile::OpenOptions::new().write(true).open(&path)?;
/// # writer.add_record(b"one")?;
/// # writer.commit()?;
/// let follower = capturefile::CaptureFile::open(&path)?.follow(1)?;
/// # writer.add_record(b"two")?;
/// # writer.commit()?;
/// let mut lengths = Vec::new();
/// while let Some(records) = follower.next_batch(Some(Duration::from_millis(50)))? {
///     for record in records {
///         lengths.push(record?.len());
///     }
/// }
/// assert_eq!(lengths, [3, 3]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Follower {
    reader: CaptureFile,
    /// Number of the first record that has not been taken.
    next: Arc<AtomicU64>,
}

impl CaptureFile {
    /// Follows the file from record `first` on, which need not exist yet.
    ///
    /// # Errors
    ///
    /// The errors of [`reader`](Self::reader); [`Error::Io`](crate::Error::Io) for an object in a store, of
    /// which only one version is read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert_eq!(follower.at_hand()?.count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn follow(&self, first: u64) -> Result<Follower> {
        if self.file.storage.as_object().is_some() {
            let message =
                "only one version of an object in a store is read; look for a newer version instead";
            let error = io::Error::new(io::ErrorKind::Unsupported, message);
            return Err(Error::io(&self.file.path, "follow", error));
        }
        Ok(Follower { reader: self.reader()?, next: Arc::new(AtomicU64::new(first.max(1))) })
    }
}

impl Follower {
    /// Waits for committed records that have not been taken yet; returns `None` if there are none before
    /// `timeout` expires. A timeout of `None` waits for ever.
    ///
    /// Records left in a dropped batch come again with the next one.
    ///
    /// # Errors
    ///
    /// [`Error::Replaced`] once all records were taken, if the file has been removed or replaced;
    /// [`Error::Corrupt`] if the file was truncated; and what [`CaptureFile::refresh`] returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// while let Some(records) = follower.next_batch(Some(std::time::Duration::ZERO))? {
    ///     for record in records {
    ///         assert_eq!(record?, *b"one");
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn next_batch(&self, timeout: Option<Duration>) -> Result<Option<NewRecords>> {
        self.next_batch_while(timeout, || ControlFlow::Continue(()))
    }

    /// Waits like [`next_batch`](Self::next_batch), and calls `paused` after each pause of at most 20 ms;
    /// returns `None` if it breaks.
    ///
    /// # Errors
    ///
    /// The errors of [`next_batch`](Self::next_batch).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// drop(follower.at_hand()?.last());
    /// let stop = || std::ops::ControlFlow::Break(());
    /// assert!(follower.next_batch_while(None, stop)?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn next_batch_while(
        &self,
        timeout: Option<Duration>,
        mut paused: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<NewRecords>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut backoff = Backoff::default();
        loop {
            let news = self.look()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if news.is_some() || left == Some(Duration::ZERO) {
                return Ok(news);
            }
            let pause = backoff.next_delay();
            self.reader.wait_for_commit(left.map_or(pause, |left| left.min(pause)));
            if paused().is_break() {
                return Ok(None);
            }
        }
    }

    /// Checks for newly committed records.
    ///
    /// A replaced file still returns what was committed to it: nothing can be added after this look.
    fn look(&self) -> Result<Option<NewRecords>> {
        let is_replaced = !self.reader.is_in_place()?;
        // It may have been truncated between the two looks, which is the more informative error.
        self.reader.refresh(false).or_else(|error| self.reader.check_length().and(Err(error)))?;
        let records = self.at_hand()?;
        if records.remaining() > 0 {
            return Ok(Some(records));
        }
        if is_replaced {
            return Err(Error::Replaced { path: self.reader.path().to_owned() });
        }
        Ok(None)
    }

    /// Returns the records that are already known, from the last check or the creation of the follower, and
    /// have not been taken yet.
    ///
    /// # Errors
    ///
    /// The errors of [`CaptureFile::snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert_eq!(follower.at_hand()?.remaining(), 1);
    /// # Ok(()) }
    /// ```
    pub fn at_hand(&self) -> Result<NewRecords> {
        let records = self.reader.snapshot()?.records(self.next_number());
        Ok(NewRecords { records, next: Arc::clone(&self.next) })
    }

    /// Returns the number of the first record that has not been taken yet.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert_eq!(follower.next_number(), 1);
    /// assert_eq!(follower.at_hand()?.count(), 1);
    /// assert_eq!(follower.next_number(), 2);
    /// # Ok(()) }
    /// ```
    pub fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Returns whether [`next_batch`](Self::next_batch) would return immediately, with records or an error.
    /// Does not wait.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert!(follower.is_ready());
    /// assert_eq!(follower.at_hand()?.count(), 1);
    /// assert!(!follower.is_ready());
    /// # Ok(()) }
    /// ```
    pub fn is_ready(&self) -> bool {
        !matches!(self.look(), Ok(None))
    }

    /// Returns the number of records that are committed now and have not been taken. Does not wait.
    ///
    /// # Errors
    ///
    /// The errors of [`CaptureFile::refresh`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert_eq!(follower.lag()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn lag(&self) -> Result<u64> {
        self.reader.refresh(false)?;
        Ok((self.reader.record_count()? + 1).saturating_sub(self.next_number()))
    }
}

/// Iterates over the records that a [`Follower`] has found, in order. Those that are not taken come again
/// with its next batch.
///
/// A record that cannot be read is an error; the next call continues after it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let follower = log.follow(1)?;
/// let mut records = follower.at_hand()?;
/// assert_eq!(records.next().transpose()?.expect("there is one"), *b"one");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NewRecords {
    records: Records,
    next: Arc<AtomicU64>,
}

impl NewRecords {
    /// Returns the number of records left.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// assert_eq!(follower.at_hand()?.remaining(), 1);
    /// # Ok(()) }
    /// ```
    pub fn remaining(&self) -> u64 {
        self.records.remaining()
    }

    /// Takes the next record if it is known to be in the current block; never waits for the disk or
    /// inflates.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let follower = log.follow(1)?;
    /// let mut records = follower.at_hand()?;
    /// assert!(records.next_cached().is_none());
    /// assert!(records.next().is_some());
    /// # Ok(()) }
    /// ```
    pub fn next_cached(&mut self) -> Option<&[u8]> {
        let number = self.records.numbers().start;
        let record = self.records.next_cached()?;
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        Some(record)
    }
}

impl Iterator for NewRecords {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.records.numbers().start;
        let record = self.records.next()?;
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
