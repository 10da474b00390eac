//! Snapshots of an open transaction, and restoring an earlier state.

use std::sync::Arc;

use super::cutter::Cutter;
use super::draft::Draft;
use super::part::Part;
use super::writer::Writer;
use crate::error::Result;
use crate::format::in_memory;
use crate::read::validity::new_epoch;
use crate::storage::read_up_to;
use crate::sync::transaction::{Saved, Transaction};
use crate::v3::format::entry::Change;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::FrameArea;
use crate::v3::log::{LogEntry, Metadata};
use crate::v3::read::snapshot::Snapshot;

/// A state of the open transaction that can be restored.
#[derive(Debug)]
pub(crate) struct Savepoint {
    /// The content that was added since the last commit that was begun or started.
    open: Part,
    /// The frames, if some of them belong to the transaction.
    spilled: Option<(FrameArea, Cutter, u64)>,
}

impl Writer {
    /// Returns a snapshot of the last commit.
    pub(crate) fn committed_snapshot(&self) -> Snapshot {
        Snapshot::committed(self.frame_source(), self.state.clone())
    }

    /// Returns a snapshot of the current state; it remains readable whatever happens to the transaction.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        let mut snapshot = self.committed_snapshot();
        if self.draft.is_empty() {
            return Ok(snapshot);
        }
        self.check_health()?;
        self.draft.seal(self.state.total);
        if self.spill.is_some() {
            self.frames.settle()?;
            // Frames of earlier commits to which no head refers yet are not permanent either: the next writer makes new
            // ones.
            snapshot.frames.open = Some((Arc::clone(&self.transaction), self.state.frames.limit));
            snapshot.frames.limit = self.frames.frames.limit;
            snapshot.state.frames = Arc::new(self.frames.frames.clone());
        }
        snapshot.draft = self.draft.sealed();
        snapshot.is_uncommitted = true;
        snapshot.total = self.record_count();
        match self.draft.changed_metadata() {
            None => {}
            Some(None) => snapshot.metadata = Metadata::None,
            Some(Some(bytes)) => {
                let fields = Fields { change: Change::Here, metadata: bytes, ..Fields::default() };
                let entry = LogEntry::of(Builder::default().finish(&fields));
                snapshot.metadata = entry.map_or(Metadata::None, Metadata::Entry);
            }
        }
        Ok(snapshot)
    }

    /// Discards everything since the last commit. No commit may be in progress.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.check_health()?;
        self.save_pages_for_readers();
        if let Some(spill) = self.spill.take() {
            self.frames.restore(spill.frames, spill.cutter);
        }
        self.draft = Draft::default();
        self.renew_transaction();
        Ok(())
    }

    pub(super) fn renew_transaction(&mut self) {
        self.transaction = Transaction::new(new_epoch());
        self.changes += 1;
    }

    /// Saves the current state for [`restore`](Self::restore).
    pub(crate) fn savepoint(&mut self) -> Result<Savepoint> {
        self.check_health()?;
        self.draft.seal(self.state.total);
        let spilled = match &self.spill {
            Some(spill) if !self.draft.has_commit() => {
                self.frames.settle()?;
                Some((self.frames.frames.clone(), self.frames.cutter.clone(), spill.fed))
            }
            _ => None,
        };
        Ok(Savepoint { open: self.draft.open.sealed_copy(), spilled })
    }

    /// Discards everything since the savepoint, which was taken in this transaction. No commit may have begun
    /// or ended since.
    pub(crate) fn restore(&mut self, savepoint: Savepoint) {
        self.draft.open = savepoint.open;
        self.changes += 1;
        if self.draft.has_commit() {
            // The frames are those of the commit, which is not restored.
            return;
        }
        self.save_pages_for_readers();
        match savepoint.spilled {
            Some((frames, cutter, fed)) => {
                self.frames.restore(frames, cutter);
                self.spill.iter_mut().for_each(|spill| spill.fed = fed);
            }
            None => {
                if let Some(spill) = self.spill.take() {
                    self.frames.restore(spill.frames, spill.cutter);
                }
            }
        }
        self.renew_transaction();
    }

    /// Saves the frames that may be overwritten for the snapshots that read them.
    pub(super) fn save_pages_for_readers(&mut self) {
        if self.spill.is_none() || Arc::strong_count(&self.transaction) == 1 {
            return;
        }
        self.readers_may_map_tail = true;
        let (start, end) = (self.state.frames.limit, self.frames.frames.limit);
        let mut bytes = Vec::new();
        // If they cannot be saved, a reader that needs them reports them as missing.
        if bytes.try_reserve_exact(in_memory(end - start)).is_ok() {
            bytes.resize(in_memory(end - start), 0);
            let there = read_up_to(&*self.file.storage, &mut bytes, start).unwrap_or_default();
            bytes.truncate(there);
        }
        self.transaction.save(Saved { start, pages: bytes });
    }
}
