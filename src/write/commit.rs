//! The steps of a commit that hold the writer; `flight` contains the step between them.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::Slot;
use crate::format::master::MasterNode;
use crate::sync::backoff::RECENT_WINDOW;
use crate::sync::group_commit::CommitSteps;
use crate::write::draft::Captured;
use crate::write::flight::Flight;
use crate::write::health::Failure;
use crate::write::options::Commit;
use crate::write::slot_writer::SlotWriter;
use crate::write::writer::Writer;

impl CommitSteps for Writer {
    type Flight = Flight;
    type Committed = Commit;

    fn changes(&self) -> u64 {
        self.changes
    }

    fn begin_commit(&mut self) -> Result<Option<Flight>> {
        self.check_health()?;
        if !self.draft.is_dirty() && self.marked.is_none() {
            return Ok(None);
        }
        let began = Instant::now();
        self.drain_for_commit()?;
        // One is in progress, so there is no other one to report.
        let Some(slots) = self.slots.take() else {
            return Ok(None);
        };
        let captured = self.capture();
        Ok(Some(self.begin(captured, slots, began)))
    }

    fn mark(&mut self) -> Result<Option<u64>> {
        self.check_health()?;
        if self.draft.is_dirty() {
            self.drain_for_commit()?;
            self.marked = Some(self.capture());
        }
        Ok((self.marked.is_some() || self.slots.is_none()).then_some(self.captured_changes))
    }

    fn begin_marked(&mut self) -> Result<Option<Flight>> {
        self.check_health()?;
        // Nothing begins while a commit in progress holds the slots.
        let Some(captured) = self.marked.take_if(|_| self.slots.is_some()) else {
            return Ok(None);
        };
        Ok(self.slots.take().map(|slots| self.begin(captured, slots, Instant::now())))
    }

    fn forget_mark(&mut self) {
        if let Some(captured) = self.marked.take() {
            self.draft.keep_uncommitted(&captured);
            self.changes += 1;
        }
    }

    fn finish_commit(&mut self, flight: Flight) -> Result<Commit> {
        let Flight { slots, captured, serial, changes, began, watch, outcome, .. } = flight;
        self.slots = Some(slots);
        self.draft.frames().note_watch(watch);
        match outcome {
            Ok(()) => Ok(self.note_commit(captured, serial, began)),
            Err(failure) => {
                self.draft.keep_uncommitted(&captured);
                self.changes += 1;
                Err(self.health.fail_commit(&self.file.path, changes, failure))
            }
        }
    }

    fn lost_commit(&self, changes: u64) -> Option<Error> {
        self.health.lost_commit(&self.file.path, changes)
    }
}

impl Writer {
    /// Completes the draft, so that it can be captured.
    fn drain_for_commit(&mut self) -> Result<()> {
        self.draft.drain()?;
        if !MasterNode::index_fits(&self.draft.node().path, &self.file.geometry) {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        Ok(())
    }

    /// Captures everything that is neither committed nor in progress, including what was marked before.
    fn capture(&mut self) -> Captured {
        if let Some(before) = self.marked.take() {
            self.draft.keep_uncommitted(&before);
        }
        self.changes += 1;
        self.captured_changes = self.changes;
        self.draft.capture()
    }

    fn begin(&mut self, captured: Captured, slots: SlotWriter, began: Instant) -> Flight {
        Flight {
            file: Arc::clone(&self.file),
            slots,
            sync: self.sync,
            serial: self.committed.serial.wrapping_add(1),
            has_unsynced_frames: self.draft.frames().take_unsynced(),
            watch: self.draft.frames().watch(),
            changes: self.captured_changes,
            captured,
            began,
            outcome: Err(Failure::abandoned()),
        }
    }

    fn note_commit(&mut self, captured: Captured, serial: u32, began: Instant) -> Commit {
        let Captured { mut node, record_count, bytes } = captured;
        let (records, time) = (record_count - self.committed_count, began.elapsed());
        node.serial = serial;
        self.draft.note_commit(serial);
        self.committed = Arc::new(node);
        self.committed_count = record_count;
        // Records that others have added and read meanwhile are still in the same transaction.
        if !self.draft.is_dirty() && self.marked.is_none() {
            self.renew_transaction();
        }
        self.changes += 1;
        let commit = Commit { records, bytes, time };
        self.stats.count(&commit);
        self.tell_followers(began + time);
        commit
    }

    /// Wakes those who wait for a commit, after one has ended. Their pauses are short while commits follow
    /// each other closely, and then waking would only cost time.
    fn tell_followers(&mut self, now: Instant) {
        let before = self.last_commit.replace(now);
        if before.is_none_or(|before| now - before > RECENT_WINDOW / 2) {
            let slot = Slot::of_serial(self.committed.serial);
            self.file.storage.tell_change(self.file.geometry.slot_position(slot));
        }
    }
}
