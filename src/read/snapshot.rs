//! Immutable states of a file of version 2: every read uses one, and is not affected by later changes.

use std::sync::Arc;

use crate::error::Result;
use crate::format::master::{Extent, MasterNode};
use crate::format::{Coordinates, Geometry, is_newer};
use crate::read::block::Block;
use crate::read::block_reader::BlockReader;
use crate::read::frames::Frames;
use crate::read::index::{Index, Place};
use crate::read::open_file::OpenFile;
use crate::read::record::Record;
use crate::read::validity::{Validity, new_epoch};
use crate::sync::transaction::Transaction;

/// The records and metadata of one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    index: Index,
    metadata: Coordinates,
    serial: u32,
}

impl Snapshot {
    /// Shows a committed state; the caller has checked that the file is long enough for it.
    pub(crate) fn committed(file: Arc<OpenFile>, master: MasterNode) -> Self {
        let committed_limit = master.file_limit;
        Self::new(file, master, committed_limit, new_epoch(), None)
    }

    /// Shows a committed state of a file that has only `length` bytes. Reads of the missing bytes are errors.
    pub(crate) fn cut_short(file: Arc<OpenFile>, master: MasterNode, length: u64) -> Self {
        let committed_limit = master.file_limit.min(length);
        Self::new(file, master, committed_limit, new_epoch(), None)
    }

    /// Shows the state of an open transaction over a commit with the file limit `committed_limit`.
    pub(crate) fn uncommitted(
        file: Arc<OpenFile>,
        master: MasterNode,
        committed_limit: u64,
        transaction: Arc<Transaction>,
    ) -> Self {
        Self::new(file, master, committed_limit, transaction.epoch, Some(transaction))
    }

    fn new(
        file: Arc<OpenFile>,
        master: MasterNode,
        committed_limit: u64,
        epoch: u64,
        transaction: Option<Arc<Transaction>>,
    ) -> Self {
        let extent = master.extent();
        let frames = Frames {
            start: file.geometry.data_start(),
            limit: master.file_limit,
            stable: file.geometry.whole_pages(committed_limit),
            written: file.geometry.whole_pages(master.file_limit),
            file,
            tail: master.tail,
            epoch,
            transaction,
        };
        let pending = Arc::new(Block::whole(master.pending.into_boxed_slice(), Validity::Epoch(epoch)));
        let blocks = BlockReader { frames, pending, committed_limit };
        let index = Index { blocks, path: master.path, extent };
        Self { index, metadata: master.metadata, serial: master.serial }
    }

    /// Counts the records.
    pub(crate) fn record_count(&self) -> u64 {
        self.index.extent.records
    }

    /// Returns the sizes that the file was created with.
    pub(crate) fn geometry(&self) -> Geometry {
        self.file().geometry
    }

    /// Returns the serial number of the commit; it wraps at 2^32.
    pub(crate) fn serial_number(&self) -> u32 {
        self.serial
    }

    /// Returns where the next frame will start, in bytes from the start of the file.
    pub(crate) fn file_limit(&self) -> u64 {
        self.index.blocks.frames.limit
    }

    /// Counts the levels of the index tree; 0 in a file without records.
    pub(crate) fn tree_height(&self) -> u8 {
        self.index.path.height()
    }

    /// Counts the bytes that are not compressed yet, the lengths of the records included.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.index.blocks.pending.bytes.len()
    }

    /// Returns the master node of this state.
    pub(crate) fn master_node(&self) -> MasterNode {
        let Self { index, metadata, serial, .. } = self;
        MasterNode {
            serial: *serial,
            file_limit: index.blocks.frames.limit,
            metadata: *metadata,
            path: index.path.clone(),
            tail: index.blocks.frames.tail.clone(),
            pending: index.blocks.pending.bytes.to_vec(),
        }
    }

    pub(crate) fn file(&self) -> &Arc<OpenFile> {
        self.index.blocks.file()
    }

    #[inline]
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn block_reader(&self) -> &BlockReader {
        &self.index.blocks
    }

    pub(crate) fn frames(&self) -> &Frames {
        &self.index.blocks.frames
    }

    pub(crate) fn extent(&self) -> Extent {
        self.index.extent
    }

    /// Returns whether it shows a transaction that is or was open.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.frames().transaction.is_some()
    }

    /// Returns whether both show the same records and metadata.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.extent() == other.extent() && self.metadata == other.metadata
    }

    /// Returns whether this state, of the same file, was committed later.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        if self.extent() == other.extent() {
            return self.serial != other.serial && is_newer(self.serial, other.serial);
        }
        other.extent().is_before(self.extent())
    }

    /// Returns record `number`, from 1 to [`record_count`](Self::record_count).
    pub(crate) fn record(&self, number: u64) -> Result<Record> {
        self.index.record(number)
    }

    /// Looks up record `number` in memory, or returns the place at which the lookup needs the file.
    #[inline]
    pub(crate) fn record_cached(&self, number: u64) -> Result<std::result::Result<Record, Place>> {
        self.index.record_cached(number)
    }

    /// Continues with a lookup of [`record_cached`](Self::record_cached) in this snapshot from where it got stuck.
    pub(crate) fn resume(&self, place: Place) -> Result<Record> {
        self.index.record_at(place)
    }

    /// Returns the metadata of the same commit as the records; `None` if there is none.
    pub(crate) fn metadata(&self) -> Result<Option<Record>> {
        if self.metadata.is_none() {
            return Ok(None);
        }
        let blocks = self.block_reader();
        blocks.entry_in(blocks.block(self.metadata.frame)?, self.metadata).map(Some)
    }
}
