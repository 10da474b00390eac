//! Blocks and index nodes in memory, bounded in bytes and shared by threads.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::sync::forks::forks;
use crate::v3::codec::RecordBlock;
use crate::v3::format::index::Child;

/// The overhead of a cache entry, in bytes.
const ENTRY_OVERHEAD: u64 = 128;
/// The expected size of an entry.
const LIKELY_SIZE: u64 = 64 << 10;

/// What the index says about a frame, so that a frame is found in the cache only if it would also be read from the
/// file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) child: Child,
    /// The number of its first record.
    pub(crate) first: u64,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // These distinguish any two frames, except in a hostile file.
        hasher.write_u64(self.child.position);
        hasher.write_u32(self.child.sum);
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Cached {
    Block(Arc<RecordBlock>),
    Node(Arc<Vec<Child>>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Cached> for Bytes {
    fn weight(&self, _: &Key, cached: &Cached) -> u64 {
        ENTRY_OVERHEAD
            + match cached {
                Cached::Block(block) => block.size(),
                Cached::Node(children) => (children.len() * size_of::<Child>()) as u64,
            }
    }
}

/// The cache of one process. A forked child starts with an empty one, because `fork` copies only the calling thread,
/// and another may have held a lock inside.
struct Generation {
    forks: u64,
    entries: Cache<Key, Cached, Bytes>,
}

impl Generation {
    fn new(capacity: u64) -> Self {
        let likely = usize::try_from(capacity / LIKELY_SIZE).unwrap_or(usize::MAX).max(64);
        Self { forks: forks(), entries: Cache::with_weighter(likely, capacity, Bytes) }
    }
}

/// The cache of one open file.
pub(crate) struct BlockCache {
    capacity: u64,
    generation: ArcSwap<Generation>,
}

impl BlockCache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, generation: ArcSwap::from_pointee(Generation::new(capacity)) }
    }

    /// Maximum number of bytes that are kept.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<Cached> {
        let generation = self.generation.load();
        if generation.forks == forks() { generation.entries.get(&key) } else { None }
    }

    pub(crate) fn keep(&self, key: Key, cached: Cached) {
        if self.generation.load().forks != forks() {
            self.generation.store(Arc::new(Generation::new(self.capacity)));
        }
        self.generation.load().entries.insert(key, cached);
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BlockCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
