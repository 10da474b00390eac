//! Inflated blocks and index nodes, bounded in bytes and shared by threads.

use std::sync::Arc;

use arc_swap::ArcSwap;
use quick_cache::sync::Cache as ConcurrentCache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::format::Coordinates;
use crate::lock;

/// One shard for each so many bytes of capacity, so that threads seldom meet and large blocks fit.
const BYTES_PER_SHARD: u64 = 4 * 1024 * 1024;
const MOST_SHARDS: u64 = 16;
/// What an entry costs besides its bytes: key, counters and the allocator's share.
const ENTRY_OVERHEAD: u64 = 128;

/// For whom something cached is true: everybody who has it committed, or the snapshots of one epoch.
///
/// A frame that ends within the whole pages of a commit can never change. What lies further may belong
/// to a transaction that is taken back, and is true only for the epoch that it was read in. So a snapshot
/// of a transaction that was taken back must not take what was committed in its place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Always,
    Epoch(u64),
}

/// Which entries a snapshot may take from the cache for a given frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust {
    pub(crate) epoch: u64,
    /// Whether the frame is part of a commit for this snapshot. If it is one of an open transaction, what
    /// is true for everybody may be another frame, which took its place after the transaction ended.
    pub(crate) committed: bool,
}

impl Trust {
    fn accepts(self, validity: Validity) -> bool {
        match validity {
            Validity::Always => self.committed,
            Validity::Epoch(epoch) => epoch == self.epoch,
        }
    }
}

/// An inflated block.
#[derive(Debug)]
pub(crate) struct Block {
    /// All of it; empty where it is too large to be kept.
    pub(crate) bytes: Box<[u8]>,
    /// Its length in bytes, also where it is not kept.
    pub(crate) size: u64,
    pub(crate) validity: Validity,
}

impl Block {
    pub(crate) fn whole(bytes: Box<[u8]>, validity: Validity) -> Self {
        Self { size: bytes.len() as u64, bytes, validity }
    }

    /// Whether its bytes are at hand.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}

/// A decoded index node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where the frame starts that holds it.
    pub(crate) frame: u64,
    pub(crate) children: Box<[Coordinates]>,
    pub(crate) validity: Validity,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Block(u64),
    Node(Coordinates),
    /// A node of the lowest level, by its number among them: most records are found without going
    /// through the levels above.
    Leaf(u64),
}

#[derive(Clone)]
enum Entry {
    Block(Arc<Block>),
    Node(Arc<Node>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        ENTRY_OVERHEAD
            + match entry {
                Entry::Block(block) => block.bytes.len() as u64,
                Entry::Node(node) => (node.children.len() * size_of::<Coordinates>()) as u64,
            }
    }
}

type Entries = ConcurrentCache<Key, Entry, Bytes>;

/// The cache of one open file.
pub(crate) struct Cache {
    capacity: u64,
    inner: ArcSwap<Generation>,
}

/// The entries, and the count of forks at which they were made: a forked child starts anew, because a
/// thread that did not come along may have held a lock inside.
struct Generation {
    forks: u64,
    entries: Entries,
}

impl Cache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, inner: ArcSwap::from_pointee(Generation::new(capacity)) }
    }

    pub(crate) fn block(&self, frame: u64, trust: Trust) -> Option<Arc<Block>> {
        match self.get(&Key::Block(frame))? {
            Entry::Block(block) if trust.accepts(block.validity) => Some(block),
            _ => None,
        }
    }

    pub(crate) fn node(&self, at: Coordinates, trust: Trust) -> Option<Arc<Node>> {
        match self.get(&Key::Node(at))? {
            Entry::Node(node) if trust.accepts(node.validity) => Some(node),
            _ => None,
        }
    }

    /// The leaf with this number, if `trust` of its frame accepts it.
    pub(crate) fn leaf(&self, number: u64, trust: impl Fn(u64) -> Trust) -> Option<Arc<Node>> {
        match self.get(&Key::Leaf(number))? {
            Entry::Node(node) if trust(node.frame).accepts(node.validity) => Some(node),
            _ => None,
        }
    }

    pub(crate) fn keep_block(&self, frame: u64, block: Arc<Block>) {
        self.insert(Key::Block(frame), Entry::Block(block));
    }

    pub(crate) fn keep_node(&self, at: Coordinates, node: Arc<Node>) {
        self.insert(Key::Node(at), Entry::Node(node));
    }

    pub(crate) fn keep_leaf(&self, number: u64, leaf: Arc<Node>) {
        self.insert(Key::Leaf(number), Entry::Node(leaf));
    }

    fn get(&self, key: &Key) -> Option<Entry> {
        let generation = self.inner.load();
        if generation.forks != lock::forks() {
            return None;
        }
        generation.entries.get(key)
    }

    fn insert(&self, key: Key, entry: Entry) {
        if self.inner.load().forks != lock::forks() {
            self.inner.store(Arc::new(Generation::new(self.capacity)));
        }
        self.inner.load().entries.insert(key, entry);
    }
}

impl Generation {
    fn new(capacity: u64) -> Self {
        let shards = (capacity / BYTES_PER_SHARD).clamp(1, MOST_SHARDS);
        let options = OptionsBuilder::new()
            .weight_capacity(capacity)
            .estimated_items_capacity(64)
            .shards(usize::try_from(shards).unwrap_or(1))
            .build();
        let entries = options.map_or_else(
            |_| Entries::with_weighter(64, capacity, Bytes),
            |options| {
                Entries::with_options(
                    options,
                    Bytes,
                    DefaultHashBuilder::default(),
                    quick_cache::sync::DefaultLifecycle::default(),
                )
            },
        );
        Self { forks: lock::forks(), entries }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
