//! Commits: small ones are an entry of the log, large ones frames and an entry that refers to them.

use std::io;
use std::time::Instant;

use super::cutter::Cutter;
use super::draft::Draft;
use super::room::Checkpoint;
use super::writer::{RESERVE, Writer};
use crate::error::{Error, Result};
use crate::sync::backoff::RECENT_WINDOW;
use crate::v3::format::entry::Change;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::FrameArea;
use crate::v3::log::{LogEntry, seed_after};
use crate::v3::read::snapshot::Snapshot;
use crate::v3::steps::Step;
use crate::write::options::{Commit, SyncMode};

/// The log is filled this far ahead while it is new.
const FILL: u64 = 64 << 10;

impl Writer {
    /// Makes everything since the last commit visible and, depending on the sync mode, durable. Returns the commit, or
    /// `None` if there was nothing to commit.
    pub(crate) fn commit(&mut self) -> Result<Option<Commit>> {
        self.check_health()?;
        if self.draft.is_empty() {
            return Ok(None);
        }
        let began = Instant::now();
        let (records, bytes, end) = (self.draft.records, self.draft.bytes, self.state.end);
        self.frames.check_standing()?;
        let fits = self.draft.total() <= self.file.header.max_entry()
            && self.draft.metadata_length() <= self.file.header.page as usize;
        if self.spill.is_none() && fits {
            self.commit_small()?;
        } else {
            self.commit_large()?;
        }
        self.draft = Draft::default();
        self.renew_transaction();
        let commit = Commit { records, bytes, time: began.elapsed() };
        self.stats.count(&commit);
        self.tell_followers(end, began + commit.time);
        Ok(Some(commit))
    }

    /// Wakes readers that wait at the old end of the log. While commits follow each other closely, their pauses are
    /// short anyway, and waking them would only cost time.
    fn tell_followers(&mut self, end: u64, now: Instant) {
        let before = self.last_commit.replace(now);
        if before.is_none_or(|before| now - before > RECENT_WINDOW / 2) {
            self.file.storage.tell_change(self.ring().mark_of(end).0);
        }
    }

    fn commit_small(&mut self) -> Result<()> {
        let total = self.draft.total();
        self.make_room(total, RESERVE)?;
        // A full or failing disk is reported once the log is full.
        let _ = self.frames.write_ready();
        let checkpoint = self.checkpoint_before_commit()?;
        let builder = self.draft.take_records();
        let metadata = self.draft.metadata.take();
        let change = match &metadata {
            None => Change::None,
            Some(None) => Change::Cleared,
            Some(Some(_)) => Change::Here,
        };
        let fields = Fields {
            change,
            metadata: metadata.as_ref().and_then(Option::as_deref).unwrap_or_default(),
            ..Fields::default()
        };
        let time = self.time_of_commit();
        let (entry, written) = self.write_entry(builder, time, fields)?;
        if let Err(error) = written {
            // The entry does not count: its contents are committed next, or rolled back.
            let first = self.state.total + 1;
            self.draft.metadata = metadata;
            let mut again = Builder::default();
            let view = entry.view();
            (0..entry.header.records).for_each(|index| again.push(view.records(index..index + 1)));
            self.draft.open = again;
            debug_assert_eq!(entry.header.first, first);
            return Err(error);
        }
        self.finish_commit(&entry, checkpoint)
    }

    /// Writes an entry at the end of the log. If the disk has no space for it, nothing has been committed, and the
    /// entry is returned with the error; any other failure ends the writer.
    fn write_entry(
        &mut self,
        records: Builder,
        time: u64,
        fields: Fields<'_>,
    ) -> Result<(LogEntry, Result<()>)> {
        let fields = Fields {
            position: self.state.end,
            first: fields.base.map_or(self.state.total, FrameArea::count) + 1,
            seed: seed_after(&self.file, self.state.check),
            time,
            sure: self.synced,
            ..fields
        };
        let bytes = records.finish(&fields);
        if self.free() < bytes.len() as u64 {
            return Err(self.fail("an entry has no room in the log".into()));
        }
        self.fill_ahead(fields.position + bytes.len() as u64);
        let done = self.ring().write(fields.position, &bytes);
        let entry =
            LogEntry::of(bytes).ok_or_else(|| self.fail("an entry could not be put together".into()))?;
        match done {
            Ok(()) => Ok((entry, Ok(()))),
            Err(error) if is_full(&error) => Ok((entry, Err(Error::io(&self.file.path, "write to", error)))),
            Err(error) => Err(self.fail_uncertain(error)),
        }
    }

    /// Fills the log with zeros a little beyond `end`, if it has never been written there: syncing blocks that the file
    /// system has already allocated is faster.
    fn fill_ahead(&mut self, end: u64) {
        let whole = self.file.header.first_position() + self.ring().size();
        if self.sync != SyncMode::Full || end <= self.filled || end > whole {
            return;
        }
        let from = self.filled.max(self.state.end);
        let to = (end + FILL).min(whole);
        let zeros = vec![0; usize::try_from(to - from).unwrap_or_default()];
        // If this fails, there is no space, and writing the entry will report it.
        if self.ring().write(from, &zeros).is_ok() {
            self.filled = to;
        }
    }

    /// Syncs an entry that was written, if the mode requires it, and counts it as committed.
    fn finish_commit(&mut self, entry: &LogEntry, checkpoint: Option<Checkpoint>) -> Result<()> {
        let end = entry.header.end();
        if self.sync == SyncMode::Full {
            self.file.storage.sync().map_err(|error| self.fail_uncertain(error))?;
            self.synced = end;
        }
        let base = entry.header.has_base();
        if !self.state.add(entry.clone(), &self.file.header) {
            return Err(self.fail("an entry does not continue the log".into()));
        }
        if base {
            self.frames.restore(FrameArea::clone(&self.state.frames), Cutter::default());
            self.spill = None;
        }
        self.frames.feed(entry, 0, entry.header.time);
        self.frames.help_if_alone(self.is_checkpoint_due());
        if let Some(checkpoint) = checkpoint {
            // The commit has happened; a head that could not be written is retried later.
            let _ = self.write_head(checkpoint);
        }
        Ok(())
    }

    /// Commits data for which the log has no space: first the frames, then an entry that refers to them.
    fn commit_large(&mut self) -> Result<()> {
        self.spill()?;
        self.frames.settle()?;
        let kept = match &self.draft.metadata {
            Some(change) => change.clone(),
            None => self.committed_metadata()?,
        };
        let inline = match kept {
            Some(metadata) if metadata.len() > self.file.header.page as usize => {
                self.frames.write_metadata(&metadata)?;
                None
            }
            Some(metadata) => {
                self.frames.frames.metadata = 0;
                Some(metadata)
            }
            None => {
                self.frames.frames.metadata = 0;
                None
            }
        };
        if self.file.steps.include(Step::SyncBeforeBase) {
            self.sync_storage()?;
        }
        let mut tail = Builder::default();
        self.frames.cutter.copy_to(&mut tail);
        let base = self.frames.frames.clone();
        let change = if inline.is_some() { Change::Here } else { Change::None };
        let metadata = inline.as_deref().unwrap_or_default();
        let time = self.spill.as_ref().map_or_else(|| self.time_of_commit(), |spill| spill.time);
        let fields = Fields { base: Some(&base), change, metadata, ..Fields::default() };
        let (entry, written) = self.write_entry(tail, time, fields)?;
        written?;
        self.finish_commit(&entry, None)
    }

    /// Returns the current metadata.
    fn committed_metadata(&self) -> Result<Option<Vec<u8>>> {
        let snapshot = Snapshot::committed(self.frame_source(), self.state.clone());
        Ok(snapshot.metadata()?.map(|metadata| metadata.to_vec()))
    }
}

/// Returns whether a write failed for lack of space, before its last byte.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
