//! Inflated blocks and index nodes, bounded in bytes and shared by threads.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use quick_cache::sync::{Cache as ConcurrentCache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::format::{NodePart, in_memory};
use crate::read::block::Block;
use crate::read::node::Node;
use crate::read::validity::Trust;
use crate::sync::forks::forks;

/// One shard for this many bytes of capacity, so that threads seldom meet and large blocks fit.
const BYTES_PER_SHARD: u64 = 24 * 1024 * 1024;
const MAX_SHARDS: u64 = 16;
/// The cache notes one block, or node, that has left it for this many bytes of capacity. What comes back is
/// kept: without notes, what is wanted again and again would not find its way into a cache full of what is not
/// wanted any more. There are about as many notes of blocks as blocks.
const BYTES_PER_BLOCK_GHOST: u64 = 32 * 1024;
const BYTES_PER_NODE_GHOST: u64 = 4 * 1024;
const MIN_GHOSTS: usize = 64;
/// The capacity is divided between blocks and nodes in this many parts.
const STEPS: u64 = 16;
/// What an entry costs besides its bytes: key, counters and the allocator's share.
const ENTRY_OVERHEAD: u64 = 128;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum NodeKey {
    At(NodePart),
    /// A part of a node of the lowest level, by its number among them: most records are found without going
    /// through the levels above.
    Leaf(u64),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Arc<Block>> for Bytes {
    fn weight(&self, _: &u64, block: &Arc<Block>) -> u64 {
        ENTRY_OVERHEAD + block.bytes.len() as u64
    }
}

impl Weighter<NodeKey, Node> for Bytes {
    fn weight(&self, _: &NodeKey, node: &Node) -> u64 {
        ENTRY_OVERHEAD + node.size()
    }
}

type Entries<K, V> = ConcurrentCache<K, V, Bytes>;

/// The cache of one open file.
pub(crate) struct Cache {
    capacity: u64,
    inner: ArcSwap<Generation>,
}

/// The entries, and the count of forks at which they were made: a forked child starts anew, because a
/// thread that did not come along may have held a lock inside.
struct Generation {
    forks: u64,
    blocks: Entries<u64, Arc<Block>>,
    nodes: Entries<NodeKey, Node>,
    /// Bytes of the capacity that the blocks leave to the nodes.
    for_nodes: AtomicU64,
}

impl Cache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, inner: ArcSwap::from_pointee(Generation::new(capacity)) }
    }

    /// Bytes that are kept at most.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    pub(crate) fn block(&self, frame: u64, trust: Trust) -> Option<Arc<Block>> {
        self.get(|entries| entries.blocks.get(&frame)).filter(|block| trust.accepts(block.validity))
    }

    pub(crate) fn node(&self, at: NodePart, trust: Trust) -> Option<Node> {
        self.get(|entries| entries.nodes.get(&NodeKey::At(at))).filter(|node| trust.accepts(node.validity()))
    }

    /// The leaf with this number, if `trust` of its frame accepts it.
    #[inline]
    pub(crate) fn leaf(&self, number: u64, trust: impl Fn(u64) -> Trust) -> Option<Node> {
        self.get(|entries| entries.nodes.get(&NodeKey::Leaf(number)))
            .filter(|node| trust(node.frame()).accepts(node.validity()))
    }

    pub(crate) fn keep_block(&self, frame: u64, block: Arc<Block>) {
        self.change(|entries| entries.blocks.insert(frame, block));
    }

    pub(crate) fn keep_node(&self, at: NodePart, node: Node) {
        self.keep(NodeKey::At(at), node);
    }

    pub(crate) fn keep_leaf(&self, number: u64, leaf: Node) {
        self.keep(NodeKey::Leaf(number), leaf);
    }

    fn keep(&self, key: NodeKey, node: Node) {
        self.change(|entries| {
            entries.nodes.insert(key, node);
            entries.divide(self.capacity);
        });
    }

    #[inline]
    fn get<T>(&self, look: impl FnOnce(&Generation) -> Option<T>) -> Option<T> {
        let generation = self.inner.load();
        if generation.forks != forks() {
            return None;
        }
        look(&generation)
    }

    fn change(&self, work: impl FnOnce(&Generation)) {
        if self.inner.load().forks != forks() {
            self.inner.store(Arc::new(Generation::new(self.capacity)));
        }
        work(&self.inner.load());
    }
}

impl Generation {
    fn new(capacity: u64) -> Self {
        Self {
            forks: forks(),
            blocks: entries(capacity, BYTES_PER_BLOCK_GHOST),
            nodes: entries(most_for_nodes(capacity), BYTES_PER_NODE_GHOST),
            for_nodes: AtomicU64::new(0),
        }
    }

    /// Gives the nodes what they have come to take, in steps, and the blocks the rest. Nodes go first: one
    /// of them leads to many records, and without it a record costs inflating one more block.
    fn divide(&self, capacity: u64) {
        let step = (capacity / STEPS).max(1);
        let for_nodes = self.nodes.weight().next_multiple_of(step).min(most_for_nodes(capacity));
        if for_nodes != self.for_nodes.swap(for_nodes, Ordering::Relaxed) {
            self.blocks.set_capacity(capacity - for_nodes);
        }
    }
}

/// Bytes of `capacity` that nodes take at most.
fn most_for_nodes(capacity: u64) -> u64 {
    capacity / 4 * 3
}

fn entries<K: Eq + Hash, V: Clone>(capacity: u64, bytes_per_noted: u64) -> Entries<K, V>
where
    Bytes: Weighter<K, V>,
{
    let shards = (capacity / BYTES_PER_SHARD).clamp(1, MAX_SHARDS);
    // Nothing is made for this many entries; it is how many notes there are.
    let noted = in_memory(capacity / bytes_per_noted).max(MIN_GHOSTS);
    let options = OptionsBuilder::new()
        .weight_capacity(capacity)
        .estimated_items_capacity(noted)
        .ghost_allocation(1.0)
        .shards(usize::try_from(shards).unwrap_or(1))
        .build();
    options.map_or_else(
        |_| Entries::with_weighter(MIN_GHOSTS, capacity, Bytes),
        |options| {
            let hashing = DefaultHashBuilder::default();
            Entries::with_options(options, Bytes, hashing, DefaultLifecycle::default())
        },
    )
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::validity::Validity;

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn what_is_wanted_again_and_again_finds_its_way_into_a_full_cache() {
        const CAPACITY: u64 = 8 * 1024 * 1024;
        let cache = Cache::new(CAPACITY);
        let trust = Trust { epoch: 1, committed: true };
        let block = || Arc::new(Block::whole(vec![0; 32 * 1024].into(), Validity::Always));
        let read = |frame| {
            let hit = cache.block(frame, trust).is_some();
            if !hit {
                cache.keep_block(frame, block());
            }
            hit
        };
        // Each twice, so that it seems worth keeping.
        for frame in 0..2000 {
            read(frame);
            read(frame);
        }
        let working_set = || 5000..5000 + CAPACITY / (64 * 1024);
        for _ in 0..3 {
            for frame in working_set() {
                read(frame);
            }
        }
        assert!(working_set().all(read));
    }
}
