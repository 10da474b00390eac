//! Read-ahead: other threads decompress the next blocks while earlier ones are processed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Result;
use crate::read::announce::Announcements;
use crate::read::source::BlockSource;
use crate::sync::pipeline::{Pipeline, Task};

/// Maximum number of blocks per thread that are decompressed ahead: a writer with many threads stores an
/// index node several blocks after its records, and a scan needs both.
const BLOCKS_PER_THREAD: usize = 8;
/// Minimum number of blocks for which threads pay off.
const BLOCKS_WORTH_THREADS: usize = 4;
/// Maximum share of the cache size for blocks decompressed ahead.
const PART_OF_CACHE: usize = 4;

/// Some blocks, in the order of the file.
#[derive(Debug)]
pub(crate) struct ReadAhead<S: BlockSource, K> {
    source: Arc<S>,
    /// The next keys, in ascending order.
    keys: K,
    /// Keys of the blocks that are in the pipeline.
    begun: VecDeque<u64>,
    pipeline: Pipeline<Decompression<S>>,
    announcements: Announcements,
    depth: usize,
}

/// A block to decompress.
struct Decompression<S> {
    source: Arc<S>,
    key: u64,
}

impl<S: BlockSource> Task for Decompression<S> {
    type Outcome = S::Block;

    fn run(&self) -> Result<S::Block> {
        self.source.block(self.key)
    }
}

impl<S: BlockSource, K: Iterator<Item = u64>> ReadAhead<S, K> {
    /// Starts to decompress the first of the blocks that follow `key`, up to `last`.
    pub(crate) fn scan(source: &Arc<S>, key: u64, last: u64, keys: impl FnOnce(&Arc<S>) -> K) -> Self {
        let mut announcements = Announcements::of_scan(&**source, key, last);
        announcements.advance(&**source, key);
        Self::new(source, keys(source), announcements)
    }

    /// Starts to decompress the first of the blocks with these keys, on the number of threads that the file
    /// was opened with.
    fn new(source: &Arc<S>, keys: K, announcements: Announcements) -> Self {
        let few = keys.size_hint().1.is_some_and(|most| most < BLOCKS_WORTH_THREADS);
        let threads = if few { 1 } else { source.threads() };
        let in_cache = source.blocks_in_cache() / PART_OF_CACHE;
        let depth = if threads == 1 { 1 } else { in_cache.clamp(1, BLOCKS_PER_THREAD * threads) };
        Self {
            source: Arc::clone(source),
            keys,
            begun: VecDeque::new(),
            pipeline: Pipeline::new(if depth == 1 { 1 } else { threads }),
            depth,
            announcements,
        }
    }

    /// Returns whether this is a forked child that inherited it; if so, it must only be dropped.
    pub(crate) fn is_forked(&self) -> bool {
        self.pipeline.is_forked()
    }

    fn fill(&mut self) {
        while self.begun.len() < self.depth
            && let Some(key) = self.keys.next()
        {
            self.announcements.advance(&*self.source, key);
            self.begun.push_back(key);
            match self.source.cached_block(key) {
                Some(block) => self.pipeline.push_outcome(block, 0),
                None => self.pipeline.push(Decompression { source: Arc::clone(&self.source), key }, 0),
            }
        }
    }

    /// Returns the block with this key if it has been decompressed ahead.
    pub(crate) fn get(&mut self, key: u64) -> Result<Option<S::Block>> {
        self.fill();
        match self.begun.iter().position(|&next| next == key) {
            Some(index) => {
                self.announcements.wait(&*self.source, key)?;
                self.pipeline.get(index)
            }
            None => Ok(None),
        }
    }

    /// Releases the blocks before the one with this key.
    pub(crate) fn discard_before(&mut self, key: u64) {
        while self.begun.front().is_some_and(|&first| first < key) {
            self.begun.pop_front();
            self.pipeline.pop();
        }
    }
}

/// Blocks with ascending keys, decompressed in parallel.
pub(crate) type ReadTogether<S> = ReadAhead<S, std::vec::IntoIter<u64>>;

impl<S: BlockSource> ReadTogether<S> {
    /// Starts to decompress the first of the blocks with these keys.
    pub(crate) fn of(source: &Arc<S>, keys: Vec<u64>) -> Self {
        let announcements = Announcements::of_set(&**source, &keys);
        Self::new(source, keys.into_iter(), announcements)
    }

    /// Returns the block with this key; earlier ones are released.
    pub(crate) fn take(&mut self, key: u64) -> Result<S::Block> {
        self.discard_before(key);
        match self.get(key)? {
            Some(block) => Ok(block),
            None => self.source.block(key),
        }
    }
}
