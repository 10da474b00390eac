//! The writer of a file: adds records, commits in an order that makes commits durable, and rolls back.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::format::master::MasterNode;
use crate::lock::WriteRight;
use crate::read::open_file::{OpenFile, check_standing};
use crate::read::snapshot::Snapshot;
use crate::read::validity::new_epoch;
use crate::storage::{Standing, write_all};
use crate::sync::transaction::{Saved, Transaction};
use crate::write::draft::{Captured, Draft, Savepoint};
use crate::write::frame_writer::FrameWriter;
use crate::write::health::Health;
use crate::write::options::{FIRST_SERIALS, Making, Stats, SyncMode, WriterOptions};
use crate::write::repair::{SlotImages, repair};
use crate::write::slot_writer::{SlotError, SlotWriter};

/// Holds the open transaction over the last commit.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) file: Arc<OpenFile>,
    pub(super) sync: SyncMode,
    pub(super) draft: Draft,
    right: Arc<dyn WriteRight>,
    /// `None` while a commit in progress holds them.
    pub(super) slots: Option<SlotWriter>,
    /// The content of a started commit that waits for the one in progress.
    pub(super) marked: Option<Captured>,
    /// The count of changes at the last capture.
    pub(super) captured_changes: u64,
    /// The last commit.
    pub(super) committed: Arc<MasterNode>,
    /// Its record count.
    pub(super) committed_count: u64,
    transaction: Arc<Transaction>,
    /// Number of changes of the state, which is the version of the published state.
    pub(super) changes: u64,
    /// Whether frames of a transaction that was rolled back may still be read. Their space must then remain
    /// in the file: truncating mapped pages during a read would terminate the process.
    readers_may_map_tail: bool,
    pub(super) stats: Stats,
    /// When the last commit ended.
    pub(super) last_commit: Option<Instant>,
    pub(super) health: Health,
}

impl Writer {
    /// Opens a file whose lock the caller holds, and repairs its slots if an earlier writer left them incomplete.
    pub(crate) fn open(
        file: Arc<OpenFile>,
        right: Box<dyn WriteRight>,
        options: WriterOptions,
    ) -> Result<Self> {
        let guard = right.lock_slots(&file.geometry);
        let (node, images) = repair(&file, options.sync != SyncMode::None)?;
        drop(guard);
        let standing = check_standing(&file, node.file_limit)?;
        Ok(Self::new(file, right, options, node, images, standing))
    }

    /// Turns an empty file, whose lock the caller holds, into a capture file.
    pub(crate) fn create(
        file: &Arc<OpenFile>,
        right: Box<dyn WriteRight>,
        metadata: Option<&[u8]>,
        options: WriterOptions,
        making: Making,
    ) -> Result<Self> {
        let node = MasterNode::empty(&file.geometry);
        let standing = file.storage.standing().map_err(file.failed("read the length of"))?;
        let mut writer = Self::new(Arc::clone(file), right, options, node, SlotImages::default(), standing);
        let made = writer.make(metadata, making);
        if made.is_err() && making == Making::InPlace {
            // If this fails, too, the missing header is reported.
            let _ = file.storage.set_length(0);
        }
        made.map(|()| writer)
    }

    /// Writes the initial content of an empty file.
    fn make(&mut self, metadata: Option<&[u8]>, making: Making) -> Result<()> {
        let file = Arc::clone(&self.file);
        let length = file.geometry.initial_length();
        file.storage.set_length(length).map_err(file.failed("set the length of"))?;
        self.set_metadata(metadata)?;
        self.draft.drain()?;
        let captured = self.draft.capture();
        let mut slots = SlotWriter::new(Arc::clone(&file), Arc::clone(&self.right), SlotImages::default());
        for serial in FIRST_SERIALS {
            let written = slots.write(&captured.node, serial).map_err(SlotError::into_source);
            written.map_err(file.failed("write the master nodes of"))?;
            self.draft.note_commit(serial);
        }
        self.slots = Some(slots);
        if making == Making::InPlace {
            // Others see the file: its header guarantees that everything else exists.
            file.storage.sync().map_err(file.failed("sync"))?;
        }
        write_all(&*file.storage, &file.geometry.encode(), 0).map_err(file.failed("write the header of"))?;
        file.storage.sync().map_err(file.failed("sync"))?;
        self.committed = Arc::new(self.draft.node().clone());
        self.renew_transaction();
        Ok(())
    }

    fn new(
        file: Arc<OpenFile>,
        right: Box<dyn WriteRight>,
        options: WriterOptions,
        node: MasterNode,
        images: SlotImages,
        standing: Standing,
    ) -> Self {
        let committed = Arc::new(node.clone());
        let right: Arc<dyn WriteRight> = right.into();
        let frames = FrameWriter::new(Arc::clone(&file), options.level, standing);
        let draft = Draft::new(frames, node);
        Self {
            sync: options.sync,
            committed,
            committed_count: draft.record_count(),
            draft,
            slots: Some(SlotWriter::new(Arc::clone(&file), Arc::clone(&right), images)),
            marked: None,
            captured_changes: 0,
            right,
            file,
            transaction: Transaction::new(new_epoch()),
            changes: 0,
            readers_may_map_tail: false,
            stats: Stats::default(),
            last_commit: None,
            health: Health::Good,
        }
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.draft.record_count()
    }

    /// Returns whether a close would lose anything.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.draft.is_dirty() || self.slots.is_none() || self.marked.is_some()
    }

    /// Counts the records that a close would lose.
    pub(crate) fn uncommitted_records(&self) -> u64 {
        self.record_count() - self.committed_count
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    /// Adds a record if that takes no more than copying it; returns the new count, or `None` if the record would close
    /// a block.
    #[inline]
    pub(crate) fn try_add(&mut self, record: &[u8]) -> Result<Option<u64>> {
        if self.draft.closes_block(record.len()) || !self.is_good() {
            return Ok(None);
        }
        self.draft.add_record(record)?;
        self.changes += 1;
        Ok(Some(self.record_count()))
    }

    /// Adds a record; returns the new count. An error leaves everything unchanged.
    pub(crate) fn add_record(&mut self, record: &[u8]) -> Result<u64> {
        self.make_room_for(record.len())?;
        self.draft.add_record(record)?;
        self.changes += 1;
        Ok(self.record_count())
    }

    /// Adds all or none of the records in `records`, whose ends are in `ends`; returns the new count.
    pub(crate) fn add_records(&mut self, records: &[u8], ends: &[usize]) -> Result<u64> {
        self.make_room_for(records.len())?;
        self.draft.add_records(records, ends)?;
        self.changes += u64::from(!ends.is_empty());
        Ok(self.record_count())
    }

    /// Replaces the metadata, from the next commit on.
    pub(crate) fn set_metadata(&mut self, metadata: Option<&[u8]>) -> Result<()> {
        self.make_room_for(metadata.map_or(0, <[u8]>::len))?;
        self.draft.set_metadata(metadata)?;
        self.changes += 1;
        Ok(())
    }

    /// Writes closed blocks to the file if this many bytes close another one.
    fn make_room_for(&mut self, bytes: usize) -> Result<()> {
        self.check_health()?;
        if self.draft.closes_block(bytes) { self.draft.drain_ready() } else { Ok(()) }
    }

    /// Returns the current state, which remains readable whatever happens to the transaction.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        if !self.has_uncommitted() {
            return Ok(self.committed_snapshot());
        }
        self.check_health()?;
        self.draft.drain()?;
        let (file, transaction) = (Arc::clone(&self.file), Arc::clone(&self.transaction));
        Ok(Snapshot::uncommitted(file, self.draft.node().clone(), self.committed.file_limit, transaction))
    }

    /// Returns the last commit.
    pub(crate) fn committed_snapshot(&self) -> Snapshot {
        Snapshot::committed(Arc::clone(&self.file), MasterNode::clone(&self.committed))
    }

    /// Discards everything since the last commit. No commit may be in progress.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.check_health()?;
        if self.draft.is_dirty() {
            self.save_pages_for_readers();
            self.draft.roll_back(&self.committed);
            self.renew_transaction();
        }
        Ok(())
    }

    /// Creates a savepoint of the current state for [`restore`](Self::restore) in this transaction.
    pub(crate) fn savepoint(&mut self) -> Result<Savepoint> {
        self.check_health()?;
        self.draft.lasting_savepoint()
    }

    /// Discards everything since the savepoint.
    pub(crate) fn restore(&mut self, savepoint: Savepoint) {
        self.save_pages_for_readers();
        self.draft.restore(savepoint);
        self.renew_transaction();
    }

    pub(super) fn renew_transaction(&mut self) {
        self.transaction = Transaction::new(new_epoch());
        self.changes += 1;
    }

    /// Saves the frames of the transaction for the snapshots that use them, before they are overwritten.
    fn save_pages_for_readers(&mut self) {
        if Arc::strong_count(&self.transaction) == 1 {
            return;
        }
        self.readers_may_map_tail = true;
        let (start, end) = (self.committed.file_limit, self.draft.node().file_limit);
        let pages = self.draft.frames().pages_between(start, end);
        self.transaction.save(Saved { start: self.file.geometry.whole_pages(start), pages });
    }

    pub(crate) fn check_health(&self) -> Result<()> {
        self.health.check(&self.file.path, &*self.right, self.draft.harm())
    }

    #[inline]
    fn is_good(&self) -> bool {
        self.health.is_good() && self.draft.harm().is_none()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.right.is_forked() {
            self.save_pages_for_readers();
            if self.is_good() && !self.readers_may_map_tail {
                self.draft.frames().trim(self.committed.file_limit);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
