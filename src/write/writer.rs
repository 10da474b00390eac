//! The writer of a file: it adds records, commits in an order that makes commits durable, and rolls back.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::Slot;
use crate::format::master::MasterNode;
use crate::lock::WriteRight;
use crate::read::open_file::{OpenFile, check_standing};
use crate::read::snapshot::Snapshot;
use crate::read::validity::new_epoch;
use crate::storage::{Standing, write_all};
use crate::sync::backoff::RECENT_WINDOW;
use crate::sync::transaction::Transaction;
use crate::write::draft::{Draft, Savepoint};
use crate::write::frame_writer::FrameWriter;
use crate::write::options::{Commit, FIRST_SERIALS, Making, Stats, SyncMode, WriterOptions};
use crate::write::repair::{SlotImages, repair};
use crate::write::slot_writer::{SlotError, SlotWriter};

/// Holds the open transaction over the last commit.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Arc<OpenFile>,
    sync: SyncMode,
    draft: Draft,
    slots: SlotWriter,
    /// The last commit.
    committed: Arc<MasterNode>,
    /// Its record count.
    committed_count: u64,
    transaction: Arc<Transaction>,
    /// Number of changes of the state, which is the version of the published state.
    changes: u64,
    /// Whether frames of a transaction that was rolled back may still be read. Their space must then remain
    /// in the file: truncating mapped pages during a read would terminate the process.
    readers_may_map_tail: bool,
    stats: Stats,
    /// When the last commit ended.
    last_commit: Option<Instant>,
    health: Health,
}

#[derive(Debug)]
enum Health {
    Good,
    /// The failure, after which nothing is written.
    Failed(String),
}

impl Writer {
    /// Opens a file whose lock the caller holds, and repairs what an earlier writer left behind.
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

    /// Fills an empty file.
    fn make(&mut self, metadata: Option<&[u8]>, making: Making) -> Result<()> {
        let file = Arc::clone(&self.file);
        let length = file.geometry.initial_length();
        file.storage.set_length(length).map_err(file.failed("set the length of"))?;
        self.set_metadata(metadata)?;
        self.draft.drain()?;
        for serial in FIRST_SERIALS {
            let written = self.slots.write(self.draft.node(), serial).map_err(SlotError::into_source);
            written.map_err(file.failed("write the master nodes of"))?;
            self.draft.commit(serial);
        }
        if making == Making::InPlace {
            // Others see the file: its header guarantees that everything else exists.
            file.storage.sync().map_err(file.failed("sync"))?;
        }
        write_all(&*file.storage, &file.geometry.encode(), 0).map_err(file.failed("write the header of"))?;
        file.storage.sync().map_err(file.failed("sync"))?;
        self.begin_transaction();
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
        let frames = FrameWriter::new(Arc::clone(&file), options.level, standing);
        let draft = Draft::new(frames, node);
        Self {
            sync: options.sync,
            committed,
            committed_count: draft.record_count(),
            draft,
            slots: SlotWriter::new(Arc::clone(&file), right, images),
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

    /// Whether a close would lose anything.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.draft.is_dirty()
    }

    /// Counts the records that a close would lose.
    pub(crate) fn uncommitted_records(&self) -> u64 {
        self.record_count() - self.committed_count
    }

    /// Counts how often the state has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
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

    /// Makes everything since the last commit visible and, depending on the sync mode, durable. Returns
    /// what was committed; `None` if there was nothing.
    pub(crate) fn commit(&mut self) -> Result<Option<Commit>> {
        self.check_health()?;
        if !self.draft.is_dirty() {
            return Ok(None);
        }
        let began = Instant::now();
        let bytes = self.draft.uncommitted_bytes();
        self.commit_changes()?;
        let commit = Commit { records: self.uncommitted_records(), bytes, time: began.elapsed() };
        self.stats.count(&commit);
        self.begin_transaction();
        self.tell_followers(began + commit.time);
        Ok(Some(commit))
    }

    /// Wakes waiters after a commit. While commits follow each other closely, their pauses are short, and
    /// waking them would only cost time.
    fn tell_followers(&mut self, now: Instant) {
        let before = self.last_commit.replace(now);
        if before.is_none_or(|before| now - before > RECENT_WINDOW / 2) {
            let slot = Slot::of_serial(self.committed.serial);
            self.file.storage.tell_change(self.file.geometry.slot_position(slot));
        }
    }

    fn commit_changes(&mut self) -> Result<()> {
        self.draft.drain()?;
        if !MasterNode::index_fits(&self.draft.node().path, &self.file.geometry) {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        self.sync_frames()?;
        let serial = self.committed.serial.wrapping_add(1);
        self.draft.check_standing()?;
        self.write_slot(serial).map_err(|error| match error {
            SlotError::Untouched(source) => Error::io(&self.file.path, "write to", source),
            SlotError::Begun(source) => self.fail_uncertain(source),
        })?;
        self.draft.commit(serial);
        Ok(())
    }

    /// Syncs the frames before a master node refers to them.
    fn sync_frames(&mut self) -> Result<()> {
        let needed = match self.sync {
            SyncMode::Full => self.draft.frames().is_unsynced(),
            // Even without frames: the last slot must be durable before the other one is changed.
            SyncMode::Barrier => true,
            SyncMode::None => false,
        };
        if !needed {
            return Ok(());
        }
        match self.draft.frames().sync() {
            Ok(()) => {
                self.draft.frames().note_sync();
                Ok(())
            }
            Err(error) => {
                self.fail(format!("a sync failed ({error})"));
                Err(Error::io(&self.file.path, "sync", error))
            }
        }
    }

    fn write_slot(&mut self, serial: u32) -> std::result::Result<(), SlotError> {
        self.slots.write(self.draft.node(), serial)?;
        if self.sync == SyncMode::Full {
            self.draft.frames().sync().map_err(SlotError::Begun)?;
        }
        Ok(())
    }

    fn fail_uncertain(&mut self, source: io::Error) -> Error {
        self.fail(format!("a commit failed ({source})"));
        Error::CommitUncertain { path: self.file.path.clone(), source }
    }

    fn fail(&mut self, reason: String) {
        self.health = Health::Failed(reason);
        // The published state has to be requested again, which reports the failure.
        self.changes += 1;
    }

    fn begin_transaction(&mut self) {
        self.committed = Arc::new(self.draft.node().clone());
        self.committed_count = self.record_count();
        self.transaction = Transaction::new(new_epoch());
        self.changes += 1;
    }

    /// Returns the current state, which remains readable whatever happens to the transaction.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        if !self.draft.is_dirty() {
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

    /// Discards everything since the last commit.
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

    fn renew_transaction(&mut self) {
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
        self.transaction.save(self.draft.frames().pages_between(start, end));
    }

    pub(crate) fn check_health(&self) -> Result<()> {
        if self.slots.is_forked() {
            return Err(Error::Forked { path: self.file.path.clone() });
        }
        let reason = match &self.health {
            Health::Failed(reason) => Some(reason.as_str()),
            Health::Good => self.draft.harm(),
        };
        match reason {
            Some(reason) => {
                Err(Error::WriterFailed { path: self.file.path.clone(), reason: reason.to_owned() })
            }
            None => Ok(()),
        }
    }

    #[inline]
    fn is_good(&self) -> bool {
        matches!(self.health, Health::Good) && self.draft.harm().is_none()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.slots.is_forked() {
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
