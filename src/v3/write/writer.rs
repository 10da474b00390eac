//! The writer: its state, adding data, and failures.

use std::sync::Arc;
use std::time::Instant;

use super::cutter::Cutter;
use super::draft::Draft;
use super::frames::FrameWriter;
use super::part::Part;
use crate::error::{Error, Result, reserve};
use crate::lock::WriteRight;
use crate::read::validity::new_epoch;
use crate::storage::Standing;
use crate::sync::transaction::Transaction;
use crate::v3::codec::Level;
use crate::v3::format::head::FrameArea;
use crate::v3::log::{LogState, Ring};
use crate::v3::read::frames::FrameSource;
use crate::v3::shared::Shared;
use crate::write::health::{Failure, Health};
use crate::write::options::{Stats, SyncMode};

/// Maximum length of a record or metadata: with its overhead in a block or an entry, it must fit in 32 bits.
pub(super) const MAX_RECORD: u64 = u32::MAX as u64 - 4096;
/// Space for the entries of writers that open and do nothing.
pub(super) const RESERVE: u64 = 160;

/// The options of a writer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WriterOptions {
    pub(crate) sync: SyncMode,
    pub(crate) level: Level,
}

/// The one writer of a file.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) file: Arc<Shared>,
    pub(super) right: Box<dyn WriteRight>,
    pub(super) sync: SyncMode,
    /// The last commit.
    pub(super) state: LogState,
    /// The start of the log according to the head in each slot. Bytes of the ring before both are free.
    pub(super) begins: [u64; 2],
    /// The position up to which the log is on the disk.
    pub(super) synced: u64,
    /// The position up to which the log has been written at least once, as far as this writer knows.
    pub(super) filled: u64,
    pub(super) frames: FrameWriter,
    pub(super) draft: Draft,
    /// The part of a large open transaction that is in frames. While the draft has a commit, it is that commit's.
    pub(super) spill: Option<Spill>,
    pub(super) transaction: Arc<Transaction>,
    /// When the last commit ended.
    pub(super) last_commit: Option<Instant>,
    /// The version of the state, which each change increases.
    pub(super) changes: u64,
    /// The version that was marked last.
    pub(super) marked_changes: u64,
    pub(super) stats: Stats,
    pub(super) health: Health,
    /// Whether a snapshot may be reading frames of a transaction that was rolled back, so that the file must not be
    /// truncated.
    pub(super) readers_may_map_tail: bool,
}

/// The state before a transaction began to be written as frames.
#[derive(Debug, Clone)]
pub(super) struct Spill {
    pub(super) frames: FrameArea,
    pub(super) cutter: Cutter,
    /// The time of the transaction.
    pub(super) time: u64,
    /// The number of the last record that is in frames or will be.
    pub(super) fed: u64,
}

impl Writer {
    pub(super) fn new(
        file: Arc<Shared>,
        right: Box<dyn WriteRight>,
        options: WriterOptions,
        state: LogState,
        begins: [u64; 2],
        standing: Standing,
    ) -> Self {
        let frames = FrameArea::clone(&state.frames);
        let mut frames = FrameWriter::new(Arc::clone(&file), options.level, frames, standing);
        for entry in state.entries.iter() {
            frames.feed(entry, state.frames.count() + 1, entry.header.time);
        }
        Self {
            file,
            right,
            sync: options.sync,
            begins,
            synced: 0,
            filled: state.end,
            frames,
            draft: Draft::default(),
            spill: None,
            transaction: Transaction::new(new_epoch()),
            last_commit: None,
            changes: 0,
            marked_changes: 0,
            stats: Stats::default(),
            health: Health::Good,
            readers_may_map_tail: false,
            state,
        }
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.state.total + self.draft.records()
    }

    /// Returns whether closing would lose anything.
    pub(crate) fn has_uncommitted(&self) -> bool {
        !self.draft.is_empty()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns the number of records that closing would lose.
    pub(crate) fn uncommitted_records(&self) -> u64 {
        self.draft.records()
    }

    /// Adds a record if it only has to be copied. Returns the new count, or `None` if more work is necessary.
    #[inline]
    pub(crate) fn try_add(&mut self, record: &[u8]) -> Result<Option<u64>> {
        if self.spill.is_some()
            || self.draft.open.total() + record.len() as u64 + 4 > self.file.header.max_entry()
            || !self.is_good()
        {
            return Ok(None);
        }
        self.add_record(record).map(Some)
    }

    /// Adds a record. Returns the new count. An error leaves the state unchanged.
    pub(crate) fn add_record(&mut self, record: &[u8]) -> Result<u64> {
        self.check_health()?;
        let length = record.len() as u64;
        if length > MAX_RECORD {
            return Err(Error::TooLarge { length, limit: MAX_RECORD });
        }
        let longest = self.file.header.max_entry();
        let part = &self.draft.open;
        if part.open.total(0, 0) + length + 4 > longest
            || self.spill.is_none() && part.total() + length + 4 > longest
        {
            self.make_room_in_memory()?;
            let mut room = Vec::<u8>::new();
            // A lack of memory is reported before anything has changed.
            reserve(&mut room, record.len(), "a record")?;
        }
        self.draft.open.push(record);
        self.changes += 1;
        Ok(self.record_count())
    }

    /// Adds all of the records or none; `ends` contains the end of each. Returns the new count.
    pub(crate) fn add_records(&mut self, records: &[u8], ends: &[usize]) -> Result<u64> {
        self.check_health()?;
        let more = (records.len() + 4 * ends.len()) as u64;
        let fits = self.spill.is_none() && self.draft.open.total() + more <= self.file.header.max_entry();
        // Records that fit into the log are only copied.
        let savepoint = if fits { None } else { Some(self.savepoint()?) };
        let mut start = 0;
        for end in ends {
            if let Err(error) = self.add_record(&records[start..*end]) {
                if let Some(savepoint) = savepoint {
                    self.restore(savepoint);
                }
                return Err(error);
            }
            start = *end;
        }
        Ok(self.record_count())
    }

    /// Replaces the metadata, from the next commit on.
    pub(crate) fn set_metadata(&mut self, metadata: Option<&[u8]>) -> Result<()> {
        self.check_health()?;
        let length = metadata.map_or(0, <[u8]>::len) as u64;
        if length > MAX_RECORD {
            return Err(Error::TooLarge { length, limit: MAX_RECORD });
        }
        let copy = |bytes: &[u8]| {
            let mut copy = Vec::new();
            reserve(&mut copy, bytes.len(), "metadata")?;
            copy.extend_from_slice(bytes);
            Ok(copy)
        };
        self.draft.open.metadata = Some(metadata.map(copy).transpose()?);
        self.changes += 1;
        Ok(())
    }

    /// Returns the time of a commit that is made now: the current time, but never before that of the last commit.
    pub(super) fn time_of_commit(&self) -> u64 {
        self.file.environment.now().max(self.state.time)
    }

    /// Returns whether this many bytes should be added only once the commits in progress are done: until then they are
    /// kept in memory, because only one commit can have frames that nothing refers to yet.
    pub(crate) fn waits_for_commit(&self, bytes: usize) -> bool {
        // The frames of a large transaction that was marked are not in memory.
        let marked = if self.spill.is_none() { self.draft.marked().map_or(0, Part::total) } else { 0 };
        let in_memory = marked + self.draft.open.total() + bytes as u64;
        self.draft.has_commit() && in_memory > u64::from(self.file.header.log)
    }

    /// Makes room in memory by writing records that do not fit in an entry as frames.
    fn make_room_in_memory(&mut self) -> Result<()> {
        if self.draft.has_commit() {
            self.draft.seal(self.state.total);
            return Ok(());
        }
        self.spill()
    }

    /// Writes the content of the next commit so far as frames, to which nothing refers before the commit is done.
    pub(super) fn spill(&mut self) -> Result<()> {
        self.draft.seal(self.state.total);
        if self.spill.is_none() {
            self.make_room(self.base_room(), RESERVE)?;
            self.frames.settle()?;
            let (frames, cutter) = (self.frames.frames.clone(), self.frames.cutter.clone());
            self.spill = Some(Spill { frames, cutter, time: self.time_of_commit(), fed: self.state.total });
        }
        let part = self.draft.next_commit();
        if let Some(spill) = &mut self.spill {
            for entry in part.sealed.iter().filter(|entry| entry.header.last() > spill.fed) {
                self.frames.feed(entry, spill.fed + 1, spill.time);
            }
            spill.fed = self.state.total + part.records;
        }
        self.frames.write_surplus()?;
        let count = self.frames.frames.count();
        let written = part.sealed.partition_point(|entry| entry.last() <= count);
        part.sealed.drop_first(written);
        Ok(())
    }

    pub(super) fn ring(&self) -> Ring<'_> {
        Ring::new(&*self.file.storage, &self.file.header)
    }

    /// Syncs written data, in the modes that sync. A failure ends the writer.
    pub(super) fn sync_storage(&mut self) -> Result<()> {
        if self.sync == SyncMode::None {
            return Ok(());
        }
        match self.file.storage.sync() {
            Ok(()) => {
                self.synced = self.state.end;
                Ok(())
            }
            Err(error) => {
                let changes = self.changes;
                // The published state has to be requested again, which reports the failure.
                self.changes += 1;
                Err(self.health.fail_commit(&self.file.path, changes, Failure::sync(error)))
            }
        }
    }

    /// Ends all writing because of a defect of this library.
    pub(super) fn fail(&mut self, reason: String) -> Error {
        self.changes += 1;
        self.health.fail(&self.file.path, reason)
    }

    pub(super) fn frame_source(&self) -> FrameSource {
        FrameSource { file: Arc::clone(&self.file), limit: self.state.frames.limit, open: None }
    }

    pub(crate) fn check_health(&self) -> Result<()> {
        self.health.check(&self.file.path, &*self.right, self.frames.harm())
    }

    #[inline]
    fn is_good(&self) -> bool {
        self.health.is_good() && self.frames.harm().is_none()
    }

    /// Truncates preallocated space that no commit uses.
    fn trim(&self) {
        let page = u64::from(self.file.header.page);
        let length = self.state.frames.limit.next_multiple_of(page).max(self.file.header.initial_length());
        // A file that was truncated further is left alone.
        if self.file.storage.length().is_ok_and(|now| length < now) {
            // A failure is harmless: the space may remain.
            let _ = self.file.storage.set_length(length);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.right.is_forked() {
            return;
        }
        self.save_pages_for_readers();
        if self.is_good() && !self.readers_may_map_tail {
            self.trim();
        }
    }
}
