//! What both formats provide for reading many records, which are in blocks.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::read::record::Record;
use crate::storage::Storage;
use crate::sync::progress::Monitor;

/// A state of a file, whose records lie in blocks. Each block has a key; keys rise in the order of the file.
pub(crate) trait BlockSource: Send + Sync + Sized + 'static {
    /// A block in memory.
    type Block: Clone + Send + Sync + 'static;
    /// Where a record lies. Places rise as the keys of their blocks do.
    type Place: Copy + Ord;
    /// The keys of blocks that follow each other.
    type Following: Iterator<Item = u64>;

    /// The block with this key, from memory or the file.
    fn block(&self, key: u64) -> Result<Self::Block>;
    /// The block with this key, if it is in memory.
    fn cached_block(&self, key: u64) -> Option<Self::Block>;
    /// Returns the storage of the file.
    fn storage(&self) -> &dyn Storage;
    /// Returns the error for bytes that could not be read.
    fn unread(&self, error: std::io::Error) -> Error;
    /// Returns where in the file the block with this key is, as far as that is known without reading it; empty if it is
    /// in memory.
    fn bytes_of(&self, key: u64) -> Range<u64>;
    /// The keys behind this one, up to `last`, as far as they can be foreseen.
    fn following(self: &Arc<Self>, key: u64, last: u64) -> Self::Following;

    /// Where the records with these numbers, which rise, are, sorted by that, each with what stands beside its number.
    fn places(
        self: &Arc<Self>,
        numbers: &[(u64, usize)],
        monitor: &Monitor<'_>,
    ) -> Result<Vec<(Self::Place, usize)>>;
    /// The key of the block in which a place is.
    fn key(place: Self::Place) -> u64;
    /// The record at a place in its block.
    fn record_in(&self, block: Self::Block, place: Self::Place) -> Result<Record>;
    /// Bytes that a block takes in memory with all its records; `None` if each record taken out of it is a copy.
    fn held_bytes(block: &Self::Block) -> Option<usize>;

    /// On how many threads blocks are read ahead, the calling one included.
    fn threads(&self) -> usize;
    /// How many blocks the cache has room for.
    fn blocks_in_cache(&self) -> usize;
}
