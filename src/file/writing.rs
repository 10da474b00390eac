//! Adding, committing, rolling back and closing.

use super::capture_file::CaptureFile;
use super::role::{Role, WriterRole};
use crate::error::{Error, Result};
use crate::sync::forks::forks;
use crate::write::draft::Savepoint;
use crate::write::options::{Commit, Stats};
use crate::write::writer::Writer;

impl CaptureFile {
    /// Releases a snapshot of uncommitted frames before they are rolled back: they are saved in memory for all who
    /// still hold one, and that should only be somebody who reads them.
    fn release_uncommitted_snapshot(&self, writer: &Writer) {
        if self.published.load_guard().0.is_uncommitted() {
            self.published.retract(writer.committed_snapshot());
        }
    }

    /// What was committed through this object so far.
    pub fn stats(&self) -> Stats {
        match &self.role {
            Role::Writer(role) if role.forks == forks() => {
                let closed = || role.final_stats.get().copied().unwrap_or_default();
                role.lock().as_ref().map_or_else(closed, Writer::stats)
            }
            _ => Stats::default(),
        }
    }

    /// Adds a record, which becomes visible to others with the next commit; returns the new count. An
    /// error leaves everything as it was.
    pub fn add_record(&self, record: &[u8]) -> Result<u64> {
        self.write(|writer| writer.add_record(record))
    }

    /// Adds a record if that takes no waiting and no more than copying it; `None` if it would.
    pub fn try_add_record(&self, record: &[u8]) -> Result<Option<u64>> {
        self.try_write(|writer| writer.try_add(record))
    }

    /// Like [`write`](Self::write), but `None` if the writer is at work or gone.
    pub(super) fn try_write<T>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let role = self.writer_role()?;
        let Ok(mut guard) = role.writer.try_lock() else {
            return Ok(None);
        };
        let Some(writer) = guard.as_mut() else {
            return Ok(None);
        };
        let result = work(writer);
        self.published.invalidate(writer.changes());
        result
    }

    /// Replaces the metadata, from the next commit on.
    pub fn set_metadata(&self, metadata: Option<&[u8]>) -> Result<()> {
        self.write(|writer| writer.set_metadata(metadata))
    }

    /// Makes everything since the last commit visible to others and durable, together; returns what that was, or
    /// `None` if there was nothing to commit.
    pub fn commit(&self) -> Result<Option<Commit>> {
        self.write(Writer::commit)
    }

    /// Forgets everything since the last commit.
    pub fn rollback(&self) -> Result<()> {
        self.write(|writer| {
            self.release_uncommitted_snapshot(writer);
            writer.rollback()
        })
    }

    pub(super) fn restore(&self, writer: &mut Writer, savepoint: Savepoint) {
        self.release_uncommitted_snapshot(writer);
        writer.restore(savepoint);
    }

    /// Ends writing without a commit and releases the lock; returns how many records that loses. The
    /// object continues to show the last commit, and what snapshots hold stays readable. A file open for
    /// reading ends with its last user.
    pub fn close(&self) -> u64 {
        let Role::Writer(role) = &self.role else {
            return 0;
        };
        if role.forks != forks() {
            return 0;
        }
        let mut guard = role.lock();
        let Some(writer) = guard.take() else {
            return 0;
        };
        self.published.publish(writer.committed_snapshot());
        // There are none yet: it is closed once.
        let _ = role.final_stats.set(writer.stats());
        writer.uncommitted_records()
    }

    fn writer_role(&self) -> Result<&WriterRole> {
        let path = || self.file.path.clone();
        match &self.role {
            Role::Reader(_) => Err(Error::NotOpenForWrite { path: path() }),
            Role::Writer(role) if role.forks != forks() => Err(Error::Forked { path: path() }),
            Role::Writer(role) => Ok(role),
        }
    }

    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let role = self.writer_role()?;
        let mut guard = role.lock();
        let Some(writer) = guard.as_mut() else {
            return Err(Error::Closed { path: self.file.path.clone() });
        };
        let result = work(writer);
        self.published.invalidate(writer.changes());
        result
    }
}
