//! Adding, committing, rolling back and closing.

use super::capture_file::CaptureFile;
use super::role::{Role, WriterRole};
use crate::either::writer::{AnyWriter, Savepoint};
use crate::error::{Error, Result};
use crate::sync::forks::forks;
use crate::sync::group_commit::{CommitSteps, Shared};
use crate::write::options::{Commit, Stats};

impl CaptureFile {
    /// Releases the published snapshot of uncommitted frames before these are rolled back. They are saved in
    /// memory while any snapshot refers to them, which should happen only for snapshots in use.
    fn release_uncommitted_snapshot(&self, writer: &AnyWriter) {
        if self.published.load_guard().0.is_uncommitted() {
            self.published.retract(writer.committed_snapshot());
        }
    }

    /// Returns totals of what was committed through this object; all zero for an object that reads.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.stats().commits, 0);
    /// log.commit()?;
    /// assert_eq!((log.stats().commits, log.stats().records), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn stats(&self) -> Stats {
        match &self.role {
            Role::Writer(role) if role.forks == forks() => {
                let closed = || role.final_stats.get().copied().unwrap_or_default();
                role.group.lock().writer.as_ref().map_or_else(closed, AnyWriter::stats)
            }
            _ => Stats::default(),
        }
    }

    /// Adds a record, which becomes visible to others with the next commit; returns the new count. An error
    /// leaves everything unchanged.
    ///
    /// # Errors
    ///
    /// [`Error::NotOpenForWrite`] on an object that reads, [`Error::Closed`] after [`close`](Self::close),
    /// [`Error::Forked`] in a forked process, and [`Error::WriterFailed`] after a failure from which the writer
    /// cannot continue. [`Error::TooLarge`] for a record of 2^32 bytes or more, [`Error::OutOfMemory`], and
    /// [`Error::Io`] if blocks before it cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.add_record(b"one")?, 1);
    /// assert_eq!(log.add_record(b"two")?, 2);
    /// log.commit()?;
    /// # Ok(()) }
    /// ```
    pub fn add_record(&self, record: &[u8]) -> Result<u64> {
        self.add(record.len(), |writer| writer.add_record(record))
    }

    /// Adds a record if that requires neither waiting nor more than copying it; otherwise returns `None`.
    ///
    /// # Errors
    ///
    /// The errors of [`add_record`](Self::add_record).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let count = match log.try_add_record(b"one")? {
    ///     Some(count) => count,
    ///     None => log.add_record(b"one")?,
    /// };
    /// assert_eq!(count, 1);
    /// # Ok(()) }
    /// ```
    pub fn try_add_record(&self, record: &[u8]) -> Result<Option<u64>> {
        self.try_write(|writer| writer.try_add(record))
    }

    /// Passes the writer to `work` and publishes what changed, as [`write`](Self::write) does; returns `None` if the
    /// writer is busy or closed.
    pub(super) fn try_write<T>(
        &self,
        work: impl FnOnce(&mut AnyWriter) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let role = self.writer_role()?;
        let Some(mut shared) = role.group.try_lock() else {
            return Ok(None);
        };
        let Some(writer) = shared.writer.as_mut() else {
            return Ok(None);
        };
        let result = work(writer);
        self.published.invalidate(writer.changes());
        result
    }

    /// Replaces the metadata, from the next commit on.
    ///
    /// # Errors
    ///
    /// The errors of [`add_record`](Self::add_record).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.set_metadata(Some(b"read up to here"))?;
    /// log.commit()?;
    /// assert_eq!(log.snapshot()?.metadata()?.expect("it is set"), *b"read up to here");
    /// # Ok(()) }
    /// ```
    pub fn set_metadata(&self, metadata: Option<&[u8]>) -> Result<()> {
        self.write(|writer| writer.set_metadata(metadata))
    }

    /// Makes everything since the last commit visible to others and durable, atomically. Returns what was
    /// committed, or `None` if there was nothing to commit. [`OpenOptions::sync`](crate::OpenOptions::sync)
    /// determines how durable it is.
    ///
    /// Records that several threads have added become one commit, whichever of them calls. Others can add
    /// records while a commit waits for the disk, and calls that arrive in the meantime share the next
    /// commit: each returns once everything that was added before it is committed, or with the error of the
    /// commit that contained it. Only the call that performed the commit returns what was committed.
    ///
    /// # Errors
    ///
    /// [`Error::NotOpenForWrite`] on an object that reads, [`Error::Closed`] after [`close`](Self::close),
    /// [`Error::Forked`] in a forked process, and [`Error::WriterFailed`] after a failure from which the writer
    /// cannot continue. [`Error::Io`] if the disk is full or fails: then nothing of the transaction is
    /// visible, and after a full disk the commit can be retried. [`Error::CommitUncertain`] if it is unknown
    /// whether it happened, [`Error::Corrupt`] if the file was truncated, [`Error::Removed`] if it was
    /// removed or replaced, and [`Error::IndexFull`] if the file has as many records as its sizes allow.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.commit()?.map(|commit| commit.records), Some(1));
    /// assert!(log.commit()?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn commit(&self) -> Result<Option<Commit>> {
        let role = self.writer_role()?;
        role.group.commit(|writer| self.published.invalidate(writer.changes()), || self.closed())
    }

    pub(super) fn closed(&self) -> Error {
        Error::Closed { path: self.file.path.clone() }
    }

    /// Discards everything since the last commit.
    ///
    /// # Errors
    ///
    /// [`Error::NotOpenForWrite`] on an object that reads, [`Error::Closed`] after [`close`](Self::close),
    /// [`Error::Forked`] in a forked process, and [`Error::WriterFailed`] after a failure from which the writer
    /// cannot continue.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.rollback()?;
    /// assert_eq!(log.record_count()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn rollback(&self) -> Result<()> {
        let role = self.writer_role()?;
        self.visit(&mut role.group.lock_alone(), |writer| {
            self.release_uncommitted_snapshot(writer);
            writer.rollback()
        })
    }

    pub(super) fn restore(&self, writer: &mut AnyWriter, savepoint: Savepoint) {
        self.release_uncommitted_snapshot(writer);
        writer.restore(savepoint);
    }

    /// Ends writing without a commit and releases the lock; returns the number of records that this discards.
    /// The object continues to show the last commit, and snapshots stay readable.
    /// [Started](Self::start_commit) commits are finished first; [`finish_commits`](Self::finish_commits)
    /// reports whether one failed. A reader's file is closed when its last user is dropped.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"never committed")?;
    /// assert_eq!(log.close(), 1);
    /// assert!(log.add_record(b"too late").is_err());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> u64 {
        let Role::Writer(role) = &self.role else {
            return 0;
        };
        if role.forks != forks() {
            return 0;
        }
        let last = |writer: &AnyWriter| {
            self.published.publish(writer.committed_snapshot());
            // They are not set yet: the writer is closed only once.
            let _ = role.final_stats.set(writer.stats());
            writer.uncommitted_records()
        };
        role.group.close(last).unwrap_or_default()
    }

    pub(super) fn writer_role(&self) -> Result<&WriterRole> {
        let path = || self.file.path.clone();
        match &self.role {
            Role::Reader(_) => Err(Error::NotOpenForWrite { path: path() }),
            Role::Writer(role) if role.forks != forks() => Err(Error::Forked { path: path() }),
            Role::Writer(role) => Ok(role),
        }
    }

    /// Returns whether any thread, perhaps the calling one, holds the writer now.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        self.writer_role().is_ok_and(|role| role.group.try_lock().is_none())
    }

    pub(super) fn write<T>(&self, work: impl FnOnce(&mut AnyWriter) -> Result<T>) -> Result<T> {
        let role = self.writer_role()?;
        self.visit(&mut role.group.lock(), work)
    }

    /// Acts like [`write`](Self::write), once there is room in memory for the bytes that `work` adds.
    pub(super) fn add<T>(&self, bytes: usize, work: impl FnOnce(&mut AnyWriter) -> Result<T>) -> Result<T> {
        let role = self.writer_role()?;
        let mut shared = role.group.lock();
        if shared.writer.as_ref().is_some_and(|writer| writer.waits_for_commit(bytes)) {
            drop(shared);
            shared = role.group.lock_alone();
        }
        self.visit(&mut shared, work)
    }

    fn visit<T>(
        &self,
        shared: &mut Shared<AnyWriter>,
        work: impl FnOnce(&mut AnyWriter) -> Result<T>,
    ) -> Result<T> {
        let writer = shared.writer.as_mut().ok_or_else(|| self.closed())?;
        let result = work(writer);
        self.published.invalidate(writer.changes());
        result
    }
}
