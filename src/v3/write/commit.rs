//! The steps of a commit that hold the writer; `flight` contains the step between them. A small commit is an
//! entry of the log, a large one is frames and an entry that refers to them.

use std::sync::Arc;
use std::time::Instant;

use super::cutter::Cutter;
use super::flight::Flight;
use super::part::Part;
use super::room::Checkpoint;
use super::writer::{RESERVE, Writer};
use crate::error::{Error, Result};
use crate::sync::backoff::RECENT_WINDOW;
use crate::sync::group_commit::CommitSteps;
use crate::v3::format::entry::Change;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::FrameArea;
use crate::v3::log::LogEntry;
use crate::v3::read::snapshot::Snapshot;
use crate::write::health::Failure;
use crate::write::options::{Commit, SyncMode};

/// The log is filled this far ahead while it is new.
const FILL: u64 = 64 << 10;

impl CommitSteps for Writer {
    type Flight = Flight;
    type Committed = Commit;

    #[inline]
    fn changes(&self) -> u64 {
        self.changes
    }

    fn begin_commit(&mut self) -> Result<Option<Flight>> {
        self.check_health()?;
        // A commit in progress contains the rest.
        if self.draft.is_empty() || self.draft.is_in_flight() {
            return Ok(None);
        }
        let was_marked = self.draft.is_marked();
        self.mark_all();
        let begun = self.begin_marked();
        // A commit that was started before must still be made, together with the rest.
        if begun.is_err() && !was_marked {
            self.forget_mark();
        }
        begun
    }

    fn mark(&mut self) -> Result<Option<u64>> {
        self.check_health()?;
        if !self.draft.open.is_empty() {
            self.mark_all();
        }
        Ok(self.draft.has_commit().then_some(self.marked_changes))
    }

    fn begin_marked(&mut self) -> Result<Option<Flight>> {
        self.check_health()?;
        let Some(marked) = self.draft.marked().filter(|_| !self.draft.is_in_flight()) else {
            return Ok(None);
        };
        let began = Instant::now();
        let fits = marked.total() <= self.file.header.max_entry()
            && marked.metadata_length() <= self.file.header.page as usize;
        let is_large = self.spill.is_some() || !fits;
        self.frames.check_standing()?;
        let (entry, checkpoint) = if is_large { (self.begin_large()?, None) } else { self.begin_small()? };
        self.draft.begin_commit((!is_large).then(|| entry.clone()));
        Ok(Some(Flight {
            file: Arc::clone(&self.file),
            sync: self.sync,
            entry,
            syncs_first: match self.sync {
                SyncMode::Full => is_large,
                SyncMode::Barrier => is_large || checkpoint.is_some(),
                SyncMode::None => false,
            },
            checkpoint,
            changes: self.marked_changes,
            began,
            synced: self.synced,
            outcome: Err(Failure::abandoned()),
        }))
    }

    fn forget_mark(&mut self) {
        if self.draft.is_marked() {
            self.draft.forget_mark(self.state.total);
            self.changes += 1;
        }
    }

    fn finish_commit(&mut self, flight: Flight) -> Result<Commit> {
        let Flight { entry, checkpoint, changes, began, synced, outcome, .. } = flight;
        self.synced = synced;
        if let Err(failure) = outcome {
            self.draft.keep_uncommitted();
            self.changes += 1;
            return Err(self.health.fail_commit(&self.file.path, changes, failure));
        }
        self.note_entry(&entry)?;
        if let Some(checkpoint) = checkpoint {
            // The commit has happened; writing the head will be retried.
            let _ = self.write_head(checkpoint);
        }
        let Part { records, bytes, .. } = self.draft.note_commit();
        self.renew_transaction();
        let commit = Commit { records, bytes, time: began.elapsed() };
        self.stats.count(&commit);
        self.tell_followers(entry.header.position, began + commit.time);
        Ok(commit)
    }

    fn lost_commit(&self, changes: u64) -> Option<Error> {
        self.health.lost_commit(&self.file.path, changes)
    }
}

impl Writer {
    /// Marks everything for the next commit.
    fn mark_all(&mut self) {
        self.draft.mark(self.state.total);
        self.changes += 1;
        self.marked_changes = self.changes;
    }

    /// Wakes followers that wait at the previous end of the log. While commits are frequent, their pauses are short,
    /// and waking them would only cost time.
    fn tell_followers(&mut self, end: u64, now: Instant) {
        let before = self.last_commit.replace(now);
        if before.is_none_or(|before| now - before > RECENT_WINDOW / 2) {
            self.file.storage.tell_change(self.ring().mark_of(end).0);
        }
    }

    /// Moves the records to the entry of a commit that fits in the log; returns it with the checkpoint for a
    /// head to write once it is committed.
    fn begin_small(&mut self) -> Result<(LogEntry, Option<Checkpoint>)> {
        let needed = self.draft.next_commit().total();
        self.make_room(needed, RESERVE)?;
        // A full or failing disk is reported once the log is full.
        let _ = self.frames.write_ready();
        let checkpoint = self.checkpoint_before_commit();
        let part = self.draft.next_commit();
        let records = part.take_records();
        let change = match &part.metadata {
            None => Change::None,
            Some(None) => Change::Cleared,
            Some(Some(_)) => Change::Here,
        };
        let metadata = part.metadata.clone().flatten().unwrap_or_default();
        let fields = Fields { change, metadata: &metadata, ..Fields::default() };
        Ok((self.entry_of(records, self.time_of_commit(), fields)?, checkpoint))
    }

    /// Builds the entry that continues the log.
    fn entry_of(&mut self, records: Builder, time: u64, fields: Fields<'_>) -> Result<LogEntry> {
        let fields = Fields {
            position: self.state.end,
            first: fields.base.map_or(self.state.total, FrameArea::count) + 1,
            seed: self.state.check,
            time,
            sure: self.synced,
            ..fields
        };
        let bytes = records.finish(&fields);
        if self.free() < bytes.len() as u64 {
            return Err(self.fail("an entry does not fit in the log".into()));
        }
        self.fill_ahead(fields.position + bytes.len() as u64);
        LogEntry::of(bytes).ok_or_else(|| self.fail("an entry could not be built".into()))
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

    /// Counts an entry as committed.
    fn note_entry(&mut self, entry: &LogEntry) -> Result<()> {
        if !self.state.add(entry.clone(), &self.file.header) {
            return Err(self.fail("an entry does not continue the log".into()));
        }
        if entry.header.has_base() {
            self.frames.restore(FrameArea::clone(&self.state.frames), Cutter::default());
            self.spill = None;
        }
        self.frames.feed(entry, 0, entry.header.time);
        self.frames.help_if_alone(self.is_checkpoint_due());
        Ok(())
    }

    /// Writes data that does not fit in the log as frames; returns the entry that refers to them.
    fn begin_large(&mut self) -> Result<LogEntry> {
        self.spill()?;
        self.frames.settle()?;
        let kept = match &self.draft.next_commit().metadata {
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
        let mut tail = Builder::default();
        self.frames.cutter.copy_to(&mut tail);
        let base = self.frames.frames.clone();
        let change = if inline.is_some() { Change::Here } else { Change::None };
        let metadata = inline.as_deref().unwrap_or_default();
        let time = self.spill.as_ref().map_or_else(|| self.time_of_commit(), |spill| spill.time);
        let fields = Fields { base: Some(&base), change, metadata, ..Fields::default() };
        self.entry_of(tail, time, fields)
    }

    /// Returns the current metadata.
    fn committed_metadata(&self) -> Result<Option<Vec<u8>>> {
        let snapshot = Snapshot::committed(self.frame_source(), self.state.clone());
        Ok(snapshot.metadata()?.map(|metadata| metadata.to_vec()))
    }
}
