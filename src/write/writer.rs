//! The uncommitted state of a file: adding, committing in the order that makes commits durable, and
//! taking back.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::codec::frame;
use crate::codec::level::CompressionLevel;
use crate::error::{Error, Result};
use crate::format::master::MasterNode;
use crate::format::{Coordinates, LENGTH_SIZE, LONGEST_ENTRY, Slot, entries, image_index, in_memory};
use crate::lock::WriterLock;
use crate::mutants::{self, Mutant};
use crate::read::open_file::{OpenFile, check_length};
use crate::read::snapshot::Snapshot;
use crate::read::validity::new_epoch;
use crate::storage::write_all;
use crate::sync::backoff::SOON;
use crate::sync::pipeline::Pipeline;
use crate::sync::transaction::Transaction;
use crate::tree::MOST_RECORDS;
use crate::write::closed_block::ClosedBlock;
use crate::write::options::{SyncMode, Totals, WriterOptions};
use crate::write::repair::{SlotImages, repair};

/// A file that is too short is made longer by at most this much at a time.
const LARGEST_GROWTH: u64 = 5 * 1024 * 1024;

/// Closed blocks in flight are at most so many bytes before the next one has to wait.
const MOST_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// The one writer of a file.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Arc<OpenFile>,
    /// `None` where the bytes are in no file.
    lock: Option<WriterLock>,
    sync: SyncMode,
    /// The state so far, uncommitted entries included; its serial number is the last commit's.
    draft: MasterNode,
    /// Records so far, those included that the index does not hold yet.
    record_count: u64,
    /// The last commit's record count.
    committed_count: u64,
    /// Bytes of the records that were added since.
    uncommitted_bytes: u64,
    totals: Totals,
    /// When the last commit ended.
    last_commit: Option<Instant>,
    /// The last commit's file limit.
    committed_limit: u64,
    /// What stands in the two slots.
    images: SlotImages,
    /// Room for the next slot image, kept to save making it anew.
    spare_image: Vec<u8>,
    level: CompressionLevel,
    /// Closed blocks that are not in the file yet.
    pipeline: Pipeline<ClosedBlock>,
    /// Number of the open block, which is `draft.pending`; closed ones have lower numbers.
    open_block: u64,
    /// Entries whose block has no position yet, in the order in which they were made.
    unplaced: VecDeque<Unplaced>,
    transaction: Arc<Transaction>,
    dirty: bool,
    /// How often the state has changed, so that a batch sees whether it was alone.
    changes: u64,
    /// Whether somebody may be reading frames of a transaction that was taken back, whose room must then
    /// stay in the file: cutting off what is mapped and being read would end the process.
    lent_room: bool,
    /// Whether data or the length was written since the last sync.
    unsynced: bool,
    /// Length of the file in bytes.
    length: u64,
    health: Health,
}

#[derive(Debug)]
enum Health {
    Good,
    /// What happened; nothing is written any more.
    Failed(String),
}

/// An entry of a block whose frame's position is not known yet.
#[derive(Debug, Clone, Copy)]
struct Unplaced {
    block: u64,
    offset: u32,
    entry: Entry,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    /// A record (level 1) or a full index node: a child at the given level.
    Child(u8),
    Metadata,
    /// The end of the metadata; no bytes.
    NoMetadata,
}

/// A state of the open transaction to go back to.
#[derive(Debug)]
pub(crate) struct Savepoint {
    draft: MasterNode,
    record_count: u64,
    uncommitted_bytes: u64,
    dirty: bool,
}

impl Writer {
    /// A writer over a file whose lock the caller holds; repairs what an earlier writer left behind.
    pub(crate) fn open(
        file: Arc<OpenFile>,
        lock: Option<WriterLock>,
        options: WriterOptions,
    ) -> Result<Self> {
        let guard = lock.as_ref().and_then(|lock| lock.slots(&file.geometry));
        let (draft, images) = repair(&file, options.sync != SyncMode::Never)?;
        drop(guard);
        check_length(&file, &draft)?;
        let length = file.storage.length().map_err(file.failed("read the length of"))?;
        Ok(Self::new(file, lock, options, draft, images, length))
    }

    /// Fills an empty file that nobody else can see yet: header, both slots, and the metadata.
    pub(crate) fn create(
        file: &Arc<OpenFile>,
        lock: Option<WriterLock>,
        metadata: Option<&[u8]>,
        options: WriterOptions,
    ) -> Result<Self> {
        let geometry = file.geometry;
        let length = geometry.initial_length();
        file.storage.set_length(length).map_err(file.failed("set the length of"))?;
        write_all(&*file.storage, &geometry.encode(), 0).map_err(file.failed("write the header of"))?;
        let draft = MasterNode::empty(&geometry);
        let mut writer = Self::new(Arc::clone(file), lock, options, draft, SlotImages::default(), length);
        writer.set_metadata(metadata)?;
        writer.settle()?;
        for serial in [1, 2] {
            writer.write_slot(serial).map_err(file.failed("write the master nodes of"))?;
            writer.draft.serial = serial;
        }
        if !mutants::on(Mutant::NewFileNotSynced) {
            file.storage.sync().map_err(file.failed("sync"))?;
        }
        writer.begin_transaction();
        Ok(writer)
    }

    fn new(
        file: Arc<OpenFile>,
        lock: Option<WriterLock>,
        options: WriterOptions,
        draft: MasterNode,
        images: SlotImages,
        length: u64,
    ) -> Self {
        let record_count = draft.path.record_count().unwrap_or(u64::MAX);
        let threads = file.threads;
        let committed_limit = draft.file_limit;
        Self {
            file,
            lock,
            sync: options.sync,
            draft,
            record_count,
            committed_count: record_count,
            uncommitted_bytes: 0,
            totals: Totals::default(),
            last_commit: None,
            committed_limit,
            images,
            spare_image: Vec::new(),
            level: options.level,
            pipeline: Pipeline::new(threads),
            open_block: 0,
            unplaced: VecDeque::new(),
            transaction: Transaction::new(new_epoch()),
            dirty: false,
            changes: 0,
            lent_room: false,
            unsynced: false,
            length,
            health: Health::Good,
        }
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Whether a close would lose anything.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.dirty
    }

    /// Records that a close would lose.
    pub(crate) fn uncommitted_records(&self) -> u64 {
        self.record_count - self.committed_count
    }

    /// Adds a record if that takes no more than copying it; returns the new count, or `None` if the
    /// record would close a block.
    pub(crate) fn add_quickly(&mut self, record: &[u8]) -> Result<Option<u64>> {
        if self.closes_block(record.len()) || !matches!(self.health, Health::Good) {
            return Ok(None);
        }
        self.add_record(record).map(Some)
    }

    /// Adds a record; returns the new count. An error leaves everything as it was.
    pub(crate) fn add_record(&mut self, record: &[u8]) -> Result<u64> {
        if self.record_count >= MOST_RECORDS {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        self.add_entry(record, Entry::Child(1))?;
        self.record_count += 1;
        self.uncommitted_bytes += record.len() as u64;
        self.note_change();
        Ok(self.record_count)
    }

    /// Replaces the metadata, from the next commit on.
    pub(crate) fn set_metadata(&mut self, metadata: Option<&[u8]>) -> Result<()> {
        if let Some(metadata) = metadata {
            self.add_entry(metadata, Entry::Metadata)?;
        } else {
            self.check_health()?;
            self.note(0, Entry::NoMetadata);
        }
        self.note_change();
        Ok(())
    }

    fn note_change(&mut self) {
        self.dirty = true;
        self.changes += 1;
    }

    /// How often the state has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    fn closes_block(&self, entry: usize) -> bool {
        self.draft.pending.len() + LENGTH_SIZE + entry >= self.file.geometry.block_size as usize
    }

    fn add_entry(&mut self, bytes: &[u8], entry: Entry) -> Result<()> {
        self.check_health()?;
        if bytes.len() as u64 > LONGEST_ENTRY {
            return Err(Error::TooLarge { length: bytes.len() as u64, limit: LONGEST_ENTRY });
        }
        if self.closes_block(bytes.len()) {
            self.make_room()?;
        }
        let offset = self.draft.pending.len();
        entries::push_entry(&mut self.draft.pending, bytes)?;
        if frame::may_not_fit(self.draft.pending.len()) {
            self.close_huge_block(offset, entry)
        } else {
            self.note(offset, entry);
            Ok(())
        }
    }

    /// Compresses a block at once that may be too large for a frame, to refuse its last entry if it is.
    fn close_huge_block(&mut self, offset: usize, entry: Entry) -> Result<()> {
        match frame::deflate(&self.draft.pending, self.level) {
            Ok(frame) => {
                // Placed when the frame is written: an index node that it fills belongs in the next block.
                self.remember(offset, entry);
                self.draft.pending = Vec::new();
                let bytes = frame.len();
                self.pipeline.push_outcome(Arc::new(frame), bytes);
                self.open_block += 1;
                Ok(())
            }
            Err(error) => {
                self.draft.pending.truncate(offset);
                self.draft.pending.shrink_to_fit();
                Err(error)
            }
        }
    }

    /// Remembers an entry of the open block until its coordinates are known, or places it at once. Before
    /// that the block is closed if it is full: an index node that the entry fills belongs in the next one.
    fn note(&mut self, offset: usize, entry: Entry) {
        self.remember(offset, entry);
        self.close_block_if_full();
        if self.pipeline.is_empty() {
            self.place(self.open_block);
        }
    }

    fn remember(&mut self, offset: usize, entry: Entry) {
        // The open block is shorter than a block, whose size has 32 bits.
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.unplaced.push_back(Unplaced { block: self.open_block, offset, entry });
    }

    fn close_block_if_full(&mut self) {
        if self.draft.pending.len() >= self.file.geometry.block_size as usize
            && !self.draft.pending.is_empty()
        {
            let mut room = Vec::new();
            // Without memory for all of it now, there may be some as entries come; they tell of it.
            let _ = room.try_reserve_exact(self.file.geometry.block_size as usize);
            let bytes = std::mem::replace(&mut self.draft.pending, room);
            let size = bytes.len();
            self.pipeline.push(ClosedBlock { bytes, level: self.level }, size);
            self.open_block += 1;
        }
    }

    /// Gives the entries of block number `block` their coordinates: its frame stands, or will stand, at
    /// the file limit. Index nodes that fill up become entries of the open block.
    fn place(&mut self, block: u64) {
        while let Some(first) = self.unplaced.front().filter(|first| first.block == block) {
            let (entry, at) =
                (first.entry, Coordinates { frame: self.draft.file_limit, offset: first.offset });
            self.unplaced.pop_front();
            match entry {
                Entry::Metadata => self.draft.metadata = at,
                Entry::NoMetadata => self.draft.metadata = Coordinates::NONE,
                Entry::Child(level) => {
                    if let Some(full) = self.draft.path.add(level, at) {
                        self.store_node(level + 1, &full);
                    }
                }
            }
        }
    }

    fn store_node(&mut self, level: u8, children: &[Coordinates]) {
        let offset = u32::try_from(self.draft.pending.len()).unwrap_or(u32::MAX);
        entries::push_node(&mut self.draft.pending, children);
        self.unplaced.push_back(Unplaced { block: self.open_block, offset, entry: Entry::Child(level) });
        self.close_block_if_full();
    }

    /// Writes blocks that are compressed already, and waits for one if too many are on their way.
    fn make_room(&mut self) -> Result<()> {
        while self.pipeline_is_full() || self.pipeline.front_is_ready() {
            self.write_front()?;
        }
        Ok(())
    }

    /// Whether the oldest block should reach the file before another one is closed.
    fn pipeline_is_full(&self) -> bool {
        let threads = self.pipeline.threads();
        let for_threads = if threads == 1 { 1 } else { 2 * threads };
        self.pipeline.len() >= for_threads || self.pipeline.bytes() >= MOST_IN_FLIGHT
    }

    /// Writes the oldest closed block and places its entries.
    fn write_front(&mut self) -> Result<()> {
        let Some(frame) = self.pipeline.front()? else {
            return Ok(());
        };
        let block = self.open_block - self.pipeline.len() as u64;
        if mutants::on(Mutant::BlockDroppedEarly) {
            self.pipeline.pop();
            self.place(block);
        }
        let tail = self.write_frame(&frame)?;
        if !mutants::on(Mutant::BlockDroppedEarly) {
            self.pipeline.pop();
        }
        // The entries get the position at which the frame stands now; then the limit moves on.
        self.place(block);
        self.draft.tail = tail;
        self.draft.file_limit += frame.len() as u64;
        if self.pipeline.is_empty() {
            self.place(self.open_block);
        }
        Ok(())
    }

    /// Writes a frame at the file limit, in whole pages; returns what is left for the partial page.
    fn write_frame(&mut self, frame: &[u8]) -> Result<Vec<u8>> {
        let geometry = self.file.geometry;
        let start = geometry.whole_pages(self.draft.file_limit);
        let end = geometry.whole_pages(self.draft.file_limit + frame.len() as u64);
        if start == end {
            return Ok([&self.draft.tail, frame].concat());
        }
        self.unsynced = true;
        self.grow(end)?;
        let (first, rest) = frame.split_at(geometry.page_size as usize - self.draft.tail.len());
        let first_page = [&self.draft.tail, first].concat();
        let (pages, tail) = rest.split_at(rest.len() - rest.len() % geometry.page_size as usize);
        write_all(&*self.file.storage, &first_page, start)
            .and_then(|()| write_all(&*self.file.storage, pages, start + geometry.page()))
            .map_err(self.file.failed("write to"))?;
        Ok(tail.to_vec())
    }

    /// Makes the file at least `needed` bytes long, and a good deal longer to do so seldom.
    fn grow(&mut self, needed: u64) -> Result<()> {
        if needed <= self.length {
            return Ok(());
        }
        let step = self.file.geometry.whole_pages(self.draft.file_limit.min(LARGEST_GROWTH));
        let length = needed.max(self.length + step);
        let set_length = |length| self.file.storage.set_length(length).map(|()| length);
        // Where there is no room for the future there may be some for now.
        self.length =
            set_length(length).or_else(|_| set_length(needed)).map_err(self.file.failed("enlarge"))?;
        Ok(())
    }

    /// Writes all closed blocks, after which every entry has its coordinates.
    fn settle(&mut self) -> Result<()> {
        while !self.pipeline.is_empty() {
            self.write_front()?;
        }
        Ok(())
    }

    /// Makes everything since the last commit visible and, as the sync mode says, durable. Returns what that
    /// was; `None` if there was nothing to commit.
    pub(crate) fn commit(&mut self) -> Result<Option<Totals>> {
        self.check_health()?;
        if !self.dirty {
            return Ok(None);
        }
        let began = Instant::now();
        self.commit_changes()?;
        let committed = Totals {
            commits: 1,
            records: self.record_count - self.committed_count,
            bytes: self.uncommitted_bytes,
            time: began.elapsed(),
        };
        self.totals += committed;
        self.begin_transaction();
        self.tell_followers(began + committed.time);
        Ok(Some(committed))
    }

    /// Ends the pauses of those who wait for a commit, of which one has just ended. They are short as long as
    /// commits follow each other closely, and then this would only take time.
    fn tell_followers(&mut self, now: Instant) {
        let before = self.last_commit.replace(now);
        if before.is_none_or(|before| now - before > SOON / 2) {
            let slot = Slot::of_serial(self.draft.serial);
            self.file.storage.tell_change(self.file.geometry.slot_position(slot));
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    fn commit_changes(&mut self) -> Result<()> {
        if mutants::on(Mutant::SerialMovedEarly) {
            self.draft.serial = self.draft.serial.wrapping_add(1);
        }
        self.settle()?;
        if !MasterNode::index_fits(&self.draft.path, &self.file.geometry) {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        self.sync_before_slot()?;
        let serial = self.draft.serial.wrapping_add(u32::from(!mutants::on(Mutant::SerialMovedEarly)));
        self.draft.serial = match self.write_slot_durably(serial) {
            Err(_) if mutants::on(Mutant::RetryInOtherSlot) => {
                self.write_slot_durably(serial.wrapping_add(1)).map(|()| serial.wrapping_add(1))
            }
            done => done.map(|()| serial),
        }
        .map_err(|source| self.fail_uncertain(source))?;
        Ok(())
    }

    fn write_slot_durably(&mut self, serial: u32) -> io::Result<()> {
        self.write_slot(serial)?;
        if self.sync == SyncMode::Full && !mutants::on(Mutant::SecondSyncLeftOut) {
            self.sync_storage()?;
        }
        Ok(())
    }

    fn sync_storage(&self) -> io::Result<()> {
        match self.file.storage.sync() {
            Err(_) if mutants::on(Mutant::SyncRetried) => self.file.storage.sync(),
            done => done,
        }
    }

    /// Brings the frames to the disk before a master node points at them.
    fn sync_before_slot(&mut self) -> Result<()> {
        let needed = match self.sync {
            SyncMode::Full => self.unsynced && !mutants::on(Mutant::FirstSyncLeftOut),
            // Also when there are no frames: the last slot must be there before the other one is touched.
            SyncMode::Barrier => self.unsynced || !mutants::on(Mutant::BarrierOnlyWithData),
            SyncMode::Never => false,
        };
        if !needed {
            return Ok(());
        }
        match self.sync_storage() {
            Ok(()) => {
                self.unsynced = false;
                Ok(())
            }
            Err(error) => {
                self.health = Health::Failed(format!("a sync failed ({error})"));
                Err(Error::io(&self.file.path, "sync", error))
            }
        }
    }

    /// Writes those pages of a slot that differ from what stands there.
    fn write_slot(&mut self, serial: u32) -> io::Result<()> {
        let geometry = self.file.geometry;
        let mut image = std::mem::take(&mut self.spare_image);
        image.clear();
        image.try_reserve_exact(in_memory(geometry.slot_size())).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.draft.encode(serial, &geometry, &mut image);
        let standing = &mut self.images[image_index(serial)];
        let position = geometry.slot_position(Slot::of_serial(serial));
        let page = geometry.page_size as usize;
        let readers_kept_out = self.lock.as_ref().and_then(|lock| lock.slots(&geometry));
        for range in changed_pages(standing.as_deref().unwrap_or_default(), &image, page) {
            let at = position + range.start as u64;
            write_all(&*self.file.storage, &image[range], at)?;
        }
        drop(readers_kept_out);
        self.spare_image = standing.replace(image).unwrap_or_default();
        Ok(())
    }

    fn fail_uncertain(&mut self, source: io::Error) -> Error {
        self.health = Health::Failed(format!("a commit failed ({source})"));
        Error::CommitUncertain { path: self.file.path.clone(), source }
    }

    fn begin_transaction(&mut self) {
        self.committed_count = self.record_count;
        self.uncommitted_bytes = 0;
        self.committed_limit = self.draft.file_limit;
        self.transaction = Transaction::new(new_epoch());
        self.dirty = false;
        self.changes += 1;
    }

    /// The state so far; it stays readable whatever happens to the transaction.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        let file = Arc::clone(&self.file);
        if !self.dirty {
            return Ok(Snapshot::committed(file, self.draft.clone()));
        }
        self.check_health()?;
        self.settle()?;
        let transaction = Arc::clone(&self.transaction);
        Ok(Snapshot::uncommitted(file, self.draft.clone(), self.committed_limit, transaction))
    }

    /// The last commit.
    pub(crate) fn committed_snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::committed(Arc::clone(&self.file), self.committed()?))
    }

    fn committed(&self) -> Result<MasterNode> {
        let slot = Slot::of_serial(self.draft.serial);
        let image = self.images[image_index(self.draft.serial)].as_deref();
        MasterNode::decode(&self.file.geometry, slot, image.unwrap_or_default())
            .map_err(|bad| Error::invalid(&self.file.path, bad.damage))
    }

    /// Forgets everything since the last commit.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.check_health()?;
        let committed = self.committed()?;
        self.uncommitted_bytes = 0;
        self.go_back(committed, self.committed_count, false);
        Ok(())
    }

    /// Remembers the state so far, to go back to with [`restore`](Self::restore).
    pub(crate) fn savepoint(&mut self) -> Result<Savepoint> {
        self.check_health()?;
        self.settle()?;
        Ok(Savepoint {
            draft: self.draft.clone(),
            record_count: self.record_count,
            uncommitted_bytes: self.uncommitted_bytes,
            dirty: self.dirty,
        })
    }

    /// Forgets everything since the savepoint, which was taken in this transaction.
    pub(crate) fn restore(&mut self, savepoint: Savepoint) {
        self.uncommitted_bytes = savepoint.uncommitted_bytes;
        self.go_back(savepoint.draft, savepoint.record_count, savepoint.dirty);
    }

    fn go_back(&mut self, draft: MasterNode, record_count: u64, dirty: bool) {
        self.keep_for_readers();
        self.pipeline.clear();
        self.unplaced.clear();
        self.draft = draft;
        self.record_count = record_count;
        self.dirty = dirty;
        self.changes += 1;
        self.transaction = Transaction::new(new_epoch());
    }

    /// Saves the frames of the transaction for the snapshots that read them, before they are written
    /// over.
    fn keep_for_readers(&mut self) {
        if Arc::strong_count(&self.transaction) == 1 {
            return;
        }
        self.lent_room = true;
        let geometry = &self.file.geometry;
        let start = geometry.whole_pages(self.committed_limit);
        let end = geometry.whole_pages(self.draft.file_limit);
        let mut pages = Vec::new();
        // A reader finds its pages missing, and says so, if they cannot be saved.
        if let Ok(map) = self.file.storage.map(end)
            && pages.try_reserve_exact(in_memory(end - start)).is_ok()
        {
            pages.extend_from_slice(&map[in_memory(start)..in_memory(end)]);
        }
        self.transaction.save(pages);
    }

    pub(crate) fn check_health(&self) -> Result<()> {
        if self.lock.as_ref().is_some_and(WriterLock::is_inherited) {
            return Err(Error::Forked { path: self.file.path.clone() });
        }
        match &self.health {
            Health::Good => Ok(()),
            Health::Failed(reason) => {
                Err(Error::WriterFailed { path: self.file.path.clone(), reason: reason.clone() })
            }
        }
    }

    /// Gives back the room that the file was grown by and that no commit uses.
    fn trim(&self) {
        let geometry = &self.file.geometry;
        let used = self.committed_limit.next_multiple_of(geometry.page());
        let length = used.max(geometry.initial_length());
        if length < self.length {
            // The room is only room: a file that keeps it is as good.
            let _ = self.file.storage.set_length(length);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let inherited = self.lock.as_ref().is_some_and(WriterLock::is_inherited);
        if !inherited {
            self.keep_for_readers();
            if matches!(self.health, Health::Good) && !self.lent_room {
                self.trim();
            }
        }
    }
}

/// The runs of pages in which `new` differs from `old`, as ranges of bytes.
fn changed_pages<'a>(
    old: &'a [u8],
    new: &'a [u8],
    page: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let differs = move |start: &usize| {
        let range = *start..(*start + page).min(new.len());
        old.get(range.clone()) != Some(&new[range])
    };
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = (next..new.len()).step_by(page).find(differs)?;
        let end = (start..new.len()).step_by(page).find(|at| !differs(at)).unwrap_or(new.len());
        next = end;
        Some(start..end)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::format::Geometry;
    use crate::read::cache::Cache;
    use crate::storage::FileStorage;

    fn new_writer() -> Writer {
        let storage = Box::new(FileStorage::new(tempfile::tempfile().unwrap()));
        let geometry = Geometry::default();
        let file = OpenFile::new(Path::new("log.capture"), storage, geometry, Cache::new(0), 1);
        let options = WriterOptions { sync: SyncMode::Never, level: CompressionLevel::default() };
        Writer::create(&Arc::new(file), None, None, options).unwrap()
    }

    #[test]
    fn a_huge_record_that_fills_an_index_node_is_written_once() {
        let mut writer = new_writer();
        let fan_out = writer.file.geometry.fan_out;
        for _ in 1..fan_out {
            writer.add_record(b"small").unwrap();
        }
        let offset = writer.draft.pending.len();
        let huge = vec![7; 100_000];
        entries::push_entry(&mut writer.draft.pending, &huge).unwrap();
        writer.close_huge_block(offset, Entry::Child(1)).unwrap();
        assert_eq!(writer.pipeline.len(), 1);
        writer.record_count += 1;
        writer.add_record(b"after").unwrap();
        writer.commit().unwrap();
        let snapshot = writer.snapshot().unwrap();
        assert_eq!(&*snapshot.record(1).unwrap(), b"small");
        assert_eq!(&*snapshot.record(u64::from(fan_out)).unwrap(), huge);
        assert_eq!(&*snapshot.record(u64::from(fan_out) + 1).unwrap(), b"after");
    }

    #[test]
    fn a_file_with_all_the_records_that_can_be_counted_takes_no_more() {
        let mut writer = new_writer();
        writer.record_count = MOST_RECORDS - 1;
        writer.add_record(b"last").unwrap();
        assert!(matches!(writer.add_record(b"one more"), Err(Error::IndexFull { .. })));
        assert_eq!(writer.record_count(), MOST_RECORDS);
    }

    #[test]
    fn only_pages_that_changed_are_written() {
        let runs = |old: &[u8], new: &[u8]| changed_pages(old, new, 2).collect::<Vec<_>>();
        assert_eq!(runs(b"aabbcc", b"aabbcc"), []);
        assert_eq!(runs(b"aabbcc", b"axbbxc"), [0..2, 4..6]);
        assert_eq!(runs(b"aabbcc", b"aaxxxx"), std::slice::from_ref(&(2..6)));
        assert_eq!(runs(b"", b"aabbcc"), std::slice::from_ref(&(0..6)));
    }
}
