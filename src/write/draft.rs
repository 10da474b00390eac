//! The uncommitted state of a file: its open block, the closed ones that are not in the file yet, and the index over all.

mod nodes;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::frame;
use crate::error::{Error, Result};
use crate::format::master::MasterNode;
use crate::format::{Coordinates, LENGTH_SIZE, entries};
use crate::tree::MAX_RECORDS;
use crate::write::frame_writer::FrameWriter;

/// The state that the next commit would make visible.
#[derive(Debug)]
pub(super) struct Draft {
    frames: FrameWriter,
    /// The master node, including uncommitted entries; the serial number is that of the last commit.
    pub(super) node: MasterNode,
    /// Number of records, including those that are not in the index yet.
    pub(super) record_count: u64,
    /// Bytes of the records added since the last commit, or since the commit in progress was captured.
    uncommitted_bytes: u64,
    /// Whether anything has changed since then.
    dirty: bool,
    /// The number of the open block, which is `node.pending`; closed ones have lower numbers.
    open_block: u64,
    /// Whether the position of the open block is fixed at the file limit because the index refers to it. No
    /// other frame may be written there.
    open_is_placed: bool,
    /// Records and metadata whose block has no position yet, in order.
    unplaced: VecDeque<Unplaced<EntryKind>>,
    /// Index nodes whose block has no position yet, with the level at which each is a child.
    unplaced_nodes: VecDeque<Unplaced<u8>>,
    /// Records that have coordinates and are not in the index yet, in order: their nodes are written together.
    unindexed: VecDeque<Coordinates>,
    /// Number of blocks that were written since the first of them.
    unindexed_blocks: usize,
    /// Number of records below a node that is worth a frame together with those below it.
    group: usize,
}

/// An entry of a block whose frame has no position yet.
#[derive(Debug, Clone, Copy)]
struct Unplaced<E> {
    block: u64,
    offset: u32,
    entry: E,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum EntryKind {
    Record,
    Metadata,
    /// The end of the metadata; no bytes.
    NoMetadata,
}

/// A state to commit.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) node: MasterNode,
    pub(super) record_count: u64,
    /// Bytes of the records that are new in it.
    pub(super) bytes: u64,
}

/// A savepoint of the open transaction.
#[derive(Debug)]
pub(crate) struct Savepoint {
    node: MasterNode,
    record_count: u64,
    uncommitted_bytes: u64,
    dirty: bool,
    open_block: u64,
    closed_blocks: usize,
    open_is_placed: bool,
    unplaced: usize,
    unplaced_nodes: usize,
    unindexed: usize,
}

impl Draft {
    pub(super) fn new(frames: FrameWriter, node: MasterNode) -> Self {
        let record_count = node.path.record_count().unwrap_or(u64::MAX);
        let group = nodes::group_size(frames.block_size(), frames.fan_out());
        Self {
            frames,
            node,
            record_count,
            uncommitted_bytes: 0,
            dirty: false,
            open_block: 0,
            open_is_placed: true,
            unplaced: VecDeque::new(),
            unplaced_nodes: VecDeque::new(),
            unindexed: VecDeque::new(),
            unindexed_blocks: 0,
            group,
        }
    }

    pub(super) fn node(&self) -> &MasterNode {
        &self.node
    }

    /// The change by another program that was detected, if any.
    #[inline]
    pub(super) fn harm(&self) -> Option<&'static str> {
        self.frames.harm()
    }

    pub(super) fn frames(&mut self) -> &mut FrameWriter {
        &mut self.frames
    }

    pub(super) fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Returns whether anything has changed since the last commit, or since what is being committed was captured.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Returns the state to commit. Changes from now on belong to the next commit.
    pub(super) fn capture(&mut self) -> Captured {
        self.dirty = false;
        let bytes = std::mem::take(&mut self.uncommitted_bytes);
        Captured { node: self.node.clone(), record_count: self.record_count, bytes }
    }

    /// Returns a captured state that has not been committed to the draft.
    pub(super) fn keep_uncommitted(&mut self, captured: &Captured) {
        self.dirty = true;
        self.uncommitted_bytes += captured.bytes;
    }

    /// Notes the number of the last commit.
    pub(super) fn note_commit(&mut self, serial: u32) {
        self.node.serial = serial;
    }

    /// Returns whether an entry of `length` bytes would be the last of the open block.
    #[inline]
    pub(super) fn closes_block(&self, length: usize) -> bool {
        let end = self.node.pending.len() + LENGTH_SIZE + length;
        end >= self.frames.block_size() || frame::may_not_fit(end)
    }

    /// Adds a record. An error leaves everything unchanged, except for closed blocks that were written.
    #[inline]
    pub(super) fn add_record(&mut self, record: &[u8]) -> Result<()> {
        if self.record_count >= MAX_RECORDS {
            return Err(Error::IndexFull { path: self.frames.path().to_owned() });
        }
        self.add(record, EntryKind::Record)?;
        self.record_count += 1;
        self.uncommitted_bytes += record.len() as u64;
        Ok(())
    }

    /// Adds all or none of the records that end at `ends`. Does not wait for the disk.
    pub(super) fn add_records(&mut self, records: &[u8], ends: &[usize]) -> Result<()> {
        let before = self.savepoint();
        let mut start = 0;
        for &end in ends {
            if let Err(error) = self.add_record(&records[start..end]) {
                self.restore(before);
                return Err(error);
            }
            start = end;
        }
        Ok(())
    }

    /// Replaces the metadata.
    pub(super) fn set_metadata(&mut self, metadata: Option<&[u8]>) -> Result<()> {
        if let Some(metadata) = metadata {
            return self.add(metadata, EntryKind::Metadata);
        }
        self.dirty = true;
        self.note(0, EntryKind::NoMetadata);
        Ok(())
    }

    /// Returns the length of the open block, where its next entry begins. It is less than the block size and
    /// so fits in 32 bits.
    #[inline]
    fn open_length(&self) -> u32 {
        u32::try_from(self.node.pending.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn add(&mut self, bytes: &[u8], entry: EntryKind) -> Result<()> {
        let offset = self.open_length();
        entries::push_entry(&mut self.node.pending, bytes)?;
        if frame::may_not_fit(self.node.pending.len()) {
            self.close_huge_block(offset, entry)?;
        } else {
            self.note(offset, entry);
        }
        self.dirty = true;
        Ok(())
    }

    /// Compresses a block that may be too large for a frame right away, in order to refuse its last entry if it is.
    pub(super) fn close_huge_block(&mut self, offset: u32, entry: EntryKind) -> Result<()> {
        match self.frames.compress(&self.node.pending) {
            Ok(frame) => {
                // Placed when the frame is written: an index node that it fills belongs in a later block.
                self.unplaced.push_back(Unplaced { block: self.open_block, offset, entry });
                self.node.pending = Vec::new();
                self.frames.push_compressed(frame);
                self.open_next_block();
                Ok(())
            }
            Err(error) => {
                self.node.pending.truncate(offset as usize);
                self.node.pending.shrink_to_fit();
                Err(error)
            }
        }
    }

    /// Queues an entry of the open block until its coordinates are known, which may be immediately. A full
    /// block is closed first: an index node that the entry fills belongs in a later one.
    #[inline]
    fn note(&mut self, offset: u32, entry: EntryKind) {
        self.unplaced.push_back(Unplaced { block: self.open_block, offset, entry });
        self.close_full_block();
        if self.open_is_placed {
            self.place_open_block();
        }
    }

    #[inline]
    fn close_full_block(&mut self) {
        if self.node.pending.len() >= self.frames.block_size() {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        if self.node.pending.is_empty() {
            return;
        }
        let mut room = Vec::new();
        // If there is no memory for all of it now, each entry tries again, and reports the error.
        let _ = room.try_reserve_exact(self.frames.block_size());
        self.frames.push(std::mem::replace(&mut self.node.pending, room));
        self.open_next_block();
    }

    fn open_next_block(&mut self) {
        self.open_block += 1;
        self.open_is_placed = false;
    }

    /// Adds a child to the index at this level. A node that it fills becomes an entry of the open block.
    fn index(&mut self, level: u8, child: Coordinates) {
        if let Some(node) = self.node.path.add(level, child) {
            let (block, offset) = (self.open_block, self.open_length());
            entries::push_node(&mut self.node.pending, &node);
            self.unplaced_nodes.push_back(Unplaced { block, offset, entry: level + 1 });
            self.close_full_block();
        }
    }

    /// Writes compressed blocks, and waits for one if the pipeline is full.
    pub(super) fn drain_ready(&mut self) -> Result<()> {
        while self.frames.should_write() {
            self.write_front()?;
        }
        Ok(())
    }

    /// Writes all closed blocks, and completes the index.
    pub(super) fn drain(&mut self) -> Result<()> {
        loop {
            while !self.frames.is_idle() {
                self.write_front()?;
            }
            self.write_all_nodes()?;
            self.place_open_block();
            if self.frames.is_idle() {
                return Ok(());
            }
        }
    }

    /// Assigns coordinates to the entries of the open block, and indexes all records, unless their nodes fill
    /// the block.
    fn place_open_block(&mut self) {
        self.open_is_placed = true;
        while self.open_is_placed {
            self.place_entries(self.open_block, self.node.file_limit);
            let Some(record) = self.unindexed.pop_front() else {
                break;
            };
            self.index(1, record);
        }
        self.unindexed_blocks = 0;
    }

    /// Writes the oldest closed block and places its entries.
    fn write_front(&mut self) -> Result<()> {
        let block = self.open_block - self.frames.len() as u64;
        let frame = self.node.file_limit;
        self.frames.write_front(&mut self.node)?;
        self.place_entries(block, frame);
        self.unindexed_blocks += usize::from(!self.unindexed.is_empty());
        self.write_ready_nodes()
    }

    fn place_entries(&mut self, block: u64, frame: u64) {
        // Existing nodes are older than those that the records will fill.
        while let Some(Unplaced { offset, entry: level, .. }) = pop_of(&mut self.unplaced_nodes, block) {
            self.index(level, Coordinates { frame, offset });
        }
        while let Some(Unplaced { offset, entry, .. }) = pop_of(&mut self.unplaced, block) {
            let at = Coordinates { frame, offset };
            match entry {
                EntryKind::Record => self.unindexed.push_back(at),
                EntryKind::Metadata => self.node.metadata = at,
                EntryKind::NoMetadata => self.node.metadata = Coordinates::NONE,
            }
        }
    }

    /// Creates a savepoint that is valid as long as no block is written.
    fn savepoint(&self) -> Savepoint {
        Savepoint {
            node: self.node.clone(),
            record_count: self.record_count,
            uncommitted_bytes: self.uncommitted_bytes,
            dirty: self.dirty,
            open_block: self.open_block,
            closed_blocks: self.frames.len(),
            open_is_placed: self.open_is_placed,
            unplaced: self.unplaced.len(),
            unplaced_nodes: self.unplaced_nodes.len(),
            unindexed: self.unindexed.len(),
        }
    }

    /// Creates a savepoint that remains valid when blocks are written.
    pub(super) fn lasting_savepoint(&mut self) -> Result<Savepoint> {
        self.drain()?;
        Ok(self.savepoint())
    }

    /// Discards everything since the savepoint.
    pub(super) fn restore(&mut self, savepoint: Savepoint) {
        self.frames.truncate(savepoint.closed_blocks);
        self.open_is_placed = savepoint.open_is_placed;
        self.unplaced.truncate(savepoint.unplaced);
        self.unplaced_nodes.truncate(savepoint.unplaced_nodes);
        self.unindexed.truncate(savepoint.unindexed);
        self.node = savepoint.node;
        self.record_count = savepoint.record_count;
        self.uncommitted_bytes = savepoint.uncommitted_bytes;
        self.dirty = savepoint.dirty;
        self.open_block = savepoint.open_block;
    }

    /// Discards everything since the commit with this node.
    pub(super) fn roll_back(&mut self, committed: &Arc<MasterNode>) {
        self.frames.truncate(0);
        self.open_is_placed = true;
        self.unplaced.clear();
        self.unplaced_nodes.clear();
        self.unindexed.clear();
        self.node = MasterNode::clone(committed);
        self.record_count = self.node.path.record_count().unwrap_or(u64::MAX);
        self.uncommitted_bytes = 0;
        self.dirty = false;
    }
}

/// Removes and returns the first entry of a queue if it belongs to this block.
fn pop_of<E: Copy>(queue: &mut VecDeque<Unplaced<E>>, block: u64) -> Option<Unplaced<E>> {
    let first = *queue.front().filter(|first| first.block == block)?;
    queue.pop_front();
    Some(first)
}
