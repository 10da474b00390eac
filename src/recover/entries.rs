//! The entries in the blocks of a damaged file: records, metadata and index nodes.

use crate::codec::inflate_stream;
use crate::error::Result;
use crate::format::{Coordinates, Geometry, LENGTH_SIZE, entries, get_u32, in_memory};

use super::block::FoundBlock;
use super::source::{DamagedFrames, unless_damaged};

impl DamagedFrames<'_> {
    /// Calls `work` with the bytes of the record or metadata at `at`, and whether a checksum proves them.
    /// Returns `None` if it cannot be read.
    pub(super) fn with_entry<T>(
        &mut self,
        at: Coordinates,
        work: impl FnOnce(&[u8], bool) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(block) = self.block_of(at)? else {
            return Ok(None);
        };
        let Some(end) = block.entry_end(at.offset as usize) else {
            return Ok(None);
        };
        if let Some(bytes) = block.head().get(at.offset as usize + LENGTH_SIZE..in_memory(end)) {
            return work(bytes, block.whole).map(Some);
        }
        let Some(stream) = self.bytes(at.frame + LENGTH_SIZE as u64..block.end)? else {
            return Ok(None);
        };
        let entry = inflate_stream::entry(&stream, block.size(), at.offset);
        let entry = entry.map_err(|error| self.frames.file.inflate_error(error, at.frame));
        unless_damaged(entry)?.map(|bytes| work(&bytes, block.whole)).transpose()
    }

    /// Returns the children of the index node at `at`, or `None` if it cannot be read or is invalid.
    pub(super) fn node(&mut self, at: Coordinates) -> Result<Option<Vec<Coordinates>>> {
        let Some(block) = self.block_of(at)? else {
            return Ok(None);
        };
        let children = entries::node_at(block.head(), at.offset, self.geometry().fan_out).ok();
        let inside = self.frames.start..=self.frames.limit;
        Ok(children.filter(|children| children.iter().all(|child| inside.contains(&child.frame))))
    }

    /// Returns the children of an index node at `offset`, or `None` if there are no ascending coordinates of
    /// earlier places, as writers create them.
    pub(super) fn rising_node(&self, block: &FoundBlock, offset: usize) -> Option<Vec<Coordinates>> {
        let first = Coordinates::decode(block.head(), offset)?;
        let at = Coordinates { frame: block.at, offset: u32::try_from(offset).ok()? };
        if first.frame < self.least_position() || first >= at {
            return None;
        }
        let children = entries::node_at(block.head(), at.offset, self.geometry().fan_out).ok()?;
        entries::rise_up_to(&children, at, self.least_position()).then_some(children)
    }

    /// Returns the first position at which a frame can start.
    pub(super) fn least_position(&self) -> u64 {
        if self.guessed { Geometry::MIN_DATA_START } else { self.frames.start }
    }

    /// Returns whether the bytes at `at`, at the end of an incomplete block, may be the start of an index node:
    /// the upper half of a position looks like the length of an empty record.
    pub(super) fn is_cut_node(&self, block: &FoundBlock, at: Coordinates) -> bool {
        let node = self.geometry().fan_out as usize * Coordinates::SIZE;
        if block.whole || block.head().len() - at.offset as usize >= node {
            return false;
        }
        match Coordinates::decode(block.head(), at.offset as usize) {
            Some(child) => child.frame >= self.least_position() && child < at,
            None => get_u32(block.head(), at.offset as usize).map(u64::from) <= Some(at.frame >> u32::BITS),
        }
    }
}

impl FoundBlock {
    /// Returns the end of the record or metadata at `offset`, if that is inside the block.
    pub(super) fn entry_end(&self, offset: usize) -> Option<u64> {
        let length = get_u32(self.head(), offset)?;
        let end = (offset + LENGTH_SIZE) as u64 + u64::from(length);
        (end <= self.size()).then_some(end)
    }
}
