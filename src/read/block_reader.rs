//! Finds blocks by the position of their frames, and their entries: in the snapshot, the cache, or the file.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::inflate_stream;
use crate::error::{Error, Result};
use crate::format::{Coordinates, NodePart, entries};
use crate::read::block::Block;
use crate::read::frames::Frames;
use crate::read::node::Node;
use crate::read::open_file::OpenFile;
use crate::read::record::Record;
use crate::read::validity::Trust;

/// Finds the blocks of one state of a file.
#[derive(Debug)]
pub(crate) struct BlockReader {
    pub(super) frames: Frames,
    /// The block that is not compressed yet. Its position is where its frame would start.
    pub(super) pending: Arc<Block>,
    /// Frames that start before this belong to a commit.
    pub(super) committed_limit: u64,
}

/// Where a lookup may take blocks from.
pub(super) trait Blocks {
    /// What ends a lookup without a result.
    type Stop: From<Error>;

    /// Returns the block whose frame starts at `frame`.
    fn block(&self, frame: u64) -> std::result::Result<Arc<Block>, Self::Stop>;

    /// Announces bytes that will probably be needed next to a storage that fetches them.
    fn announce(&self, _range: Range<u64>) {}
}

/// Only blocks in memory; a lookup that needs another one stops.
pub(super) struct Cached<'a>(pub(super) &'a BlockReader);

/// Blocks in memory, or else from the file.
pub(super) struct CachedOrFile<'a>(pub(super) &'a BlockReader);

/// Why a lookup among cached blocks has no result.
pub(super) enum Stop {
    /// It needs a block that is not in memory.
    Miss,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Blocks for Cached<'_> {
    type Stop = Stop;

    #[inline]
    fn block(&self, frame: u64) -> std::result::Result<Arc<Block>, Stop> {
        // Entries of an incomplete block have to be read from the file.
        self.0.cached_block(frame).filter(|block| block.is_whole()).ok_or(Stop::Miss)
    }
}

impl Blocks for CachedOrFile<'_> {
    type Stop = Error;

    #[inline]
    fn block(&self, frame: u64) -> Result<Arc<Block>> {
        self.0.block(frame)
    }

    fn announce(&self, range: Range<u64>) {
        self.0.file().storage.will_read(&mut vec![range]);
    }
}

impl BlockReader {
    #[inline]
    pub(super) fn file(&self) -> &Arc<OpenFile> {
        &self.frames.file
    }

    #[inline]
    pub(super) fn trust(&self, frame: u64) -> Trust {
        Trust { epoch: self.frames.epoch, committed: self.is_committed(frame) }
    }

    /// Returns whether the frame that starts at `frame`, if one does, is part of a commit.
    #[inline]
    pub(crate) fn is_committed(&self, frame: u64) -> bool {
        frame < self.committed_limit
    }

    /// Returns the block whose frame starts at `frame`, if it is in memory.
    #[inline]
    pub(crate) fn cached_block(&self, frame: u64) -> Option<Arc<Block>> {
        if frame == self.frames.limit {
            return Some(Arc::clone(&self.pending));
        }
        self.file().cache.block(frame, self.trust(frame))
    }

    /// Returns the block whose frame starts at `frame`, from memory or the file.
    #[inline]
    pub(crate) fn block(&self, frame: u64) -> Result<Arc<Block>> {
        match self.cached_block(frame) {
            Some(block) => Ok(block),
            None => self.read_block(frame),
        }
    }

    fn read_block(&self, frame: u64) -> Result<Arc<Block>> {
        let block = Arc::new(self.frames.inflate(frame)?);
        self.file().cache.keep_block(frame, Arc::clone(&block));
        Ok(block)
    }

    /// Returns the entry at `at`, whose block is `block`.
    #[inline]
    pub(crate) fn entry_in(&self, block: Arc<Block>, at: Coordinates) -> Result<Record> {
        if !block.is_whole() {
            let take = |stream: &[u8]| inflate_stream::entry(stream, block.size, at.offset);
            let bytes = self.frames.entry_of_oversized(at, take)?;
            let range = 0..bytes.len();
            return Ok(Record::new(Arc::new(Block::whole(bytes, block.validity)), range));
        }
        let range = entries::entry_range(&block.bytes, at.offset)
            .map_err(|damage| self.file().corrupt(damage.at(at.frame)))?;
        Ok(Record::new(block, range))
    }

    /// Returns a part of an index node whose block is `block`.
    pub(crate) fn node_in(&self, block: &Block, part: NodePart) -> Result<Node> {
        Ok(Node::new(part.frame, block.validity, &self.children_in(block, part)?))
    }

    /// Returns the children in a part of an index node whose block is `block`; the block must contain the whole node.
    pub(crate) fn children_in(&self, block: &Block, part: NodePart) -> Result<Vec<Coordinates>> {
        let fan_out = self.file().geometry.fan_out;
        let (offset, children) = (part.offset, part.children(fan_out));
        let found = if block.is_whole() {
            entries::children_at(&block.bytes, offset, fan_out, children)
        } else {
            let count = children.end - children.start;
            let some = |stream: &[u8]| {
                inflate_stream::children(stream, block.size, offset, fan_out, children.clone())
            };
            entries::node_at(&self.frames.entry_of_oversized(part.node(), some)?, 0, count)
        };
        found.map_err(|damage| self.file().corrupt(damage.at(part.frame)))
    }
}
