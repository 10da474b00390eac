//! The interface that both formats provide for reading many records, which are in blocks.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::read::record::Record;
use crate::storage::Storage;
use crate::sync::progress::Monitor;

/// A state of a file, whose records are in blocks. Each block has a key; keys ascend in the order of the file.
pub(crate) trait BlockSource: Send + Sync + Sized + 'static {
    /// A block in memory.
    type Block: Clone + Send + Sync + 'static;
    /// Where a record is. Places are ordered like the keys of their blocks.
    type Place: Copy + Ord;
    /// The keys of consecutive blocks.
    type Following: Iterator<Item = u64>;

    /// Returns the block with this key, from memory or the file.
    fn block(&self, key: u64) -> Result<Self::Block>;
    /// Returns the block with this key if it is in memory.
    fn cached_block(&self, key: u64) -> Option<Self::Block>;
    /// Returns the storage of the file.
    fn storage(&self) -> &dyn Storage;
    /// Returns the error for bytes that could not be read.
    fn unread(&self, error: std::io::Error) -> Error;
    /// Returns the range in the file of the block with this key, as far as it is known without reading; empty
    /// if the block is in memory.
    fn bytes_of(&self, key: u64) -> Range<u64>;
    /// Returns the keys after this one, up to `last`, as far as they are known in advance.
    fn following(self: &Arc<Self>, key: u64, last: u64) -> Self::Following;

    /// Returns the places of the records with these ascending numbers, sorted, each with the value that
    /// accompanies its number.
    fn places(
        self: &Arc<Self>,
        numbers: &[(u64, usize)],
        monitor: &Monitor<'_>,
    ) -> Result<Vec<(Self::Place, usize)>>;
    /// Returns the key of the block that contains a place.
    fn key(place: Self::Place) -> u64;
    /// Returns the record at a place in its block.
    fn record_in(&self, block: Self::Block, place: Self::Place) -> Result<Record>;
    /// Returns the bytes of memory that a block and all its records take; `None` if records taken from it are copies.
    fn held_bytes(block: &Self::Block) -> Option<usize>;

    /// Returns the number of threads for reading ahead, including the calling one.
    fn threads(&self) -> usize;
    /// Returns the number of blocks for which the cache has room.
    fn blocks_in_cache(&self) -> usize;
}
