//! Snapshots of an open transaction, and restoring an earlier state.

use std::sync::Arc;

use super::cutter::Cutter;
use super::draft::Draft;
use super::writer::Writer;
use crate::error::Result;
use crate::format::in_memory;
use crate::read::validity::new_epoch;
use crate::storage::read_up_to;
use crate::sync::transaction::{Saved, Transaction};
use crate::v3::format::entry::Change;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::FrameArea;
use crate::v3::log::{Entries, LogEntry, Metadata};
use crate::v3::read::snapshot::Snapshot;

/// A state of the open transaction that can be restored.
#[derive(Debug)]
pub(crate) struct Savepoint {
    sealed: Entries,
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    metadata: Option<Option<Vec<u8>>>,
    records: u64,
    bytes: u64,
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
        self.draft.seal(self.record_count());
        if let Some(spill) = &self.spill {
            self.frames.settle()?;
            snapshot.frames.limit = self.frames.frames.limit;
            snapshot.frames.open = Some((Arc::clone(&self.transaction), spill.frames.limit));
            snapshot.state.frames = Arc::new(self.frames.frames.clone());
        }
        snapshot.draft = self.draft.all_sealed();
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
        self.draft.seal(self.record_count());
        let spilled = match &self.spill {
            Some(spill) => {
                self.frames.settle()?;
                Some((self.frames.frames.clone(), self.frames.cutter.clone(), spill.fed))
            }
            None => None,
        };
        Ok(Savepoint {
            sealed: self.draft.sealed.clone(),
            metadata: self.draft.metadata.clone(),
            records: self.draft.records,
            bytes: self.draft.bytes,
            spilled,
        })
    }

    /// Discards everything since the savepoint, which was taken in this transaction. No commit may have begun
    /// or ended since.
    pub(crate) fn restore(&mut self, savepoint: Savepoint) {
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
        self.draft.sealed = savepoint.sealed;
        self.draft.open = Builder::default();
        self.draft.metadata = savepoint.metadata;
        self.draft.records = savepoint.records;
        self.draft.bytes = savepoint.bytes;
        self.renew_transaction();
    }

    /// Saves the frames of the transaction for the snapshots that read them, before they are overwritten.
    pub(super) fn save_pages_for_readers(&mut self) {
        let Some(spill) = &self.spill else { return };
        if Arc::strong_count(&self.transaction) == 1 {
            return;
        }
        self.readers_may_map_tail = true;
        let (start, end) = (spill.frames.limit, self.frames.frames.limit);
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
