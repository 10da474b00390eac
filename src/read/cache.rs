//! The cache of inflated blocks and index nodes, bounded in bytes and shared by threads.

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

/// One shard per this many bytes of capacity, so that threads rarely contend and large blocks fit.
const BYTES_PER_SHARD: u64 = 24 * 1024 * 1024;
const MAX_SHARDS: u64 = 16;
/// Ghost entries: the cache remembers the key of one evicted block or node per this many bytes of capacity.
/// A key that is requested again while it is remembered is admitted; without ghosts, a new working set
/// could never displace an old one. There are about as many ghosts of blocks as blocks.
const BYTES_PER_BLOCK_GHOST: u64 = 32 * 1024;
const BYTES_PER_NODE_GHOST: u64 = 4 * 1024;
const MIN_GHOSTS: usize = 64;
/// Number of parts in which the capacity is divided between blocks and nodes.
const STEPS: u64 = 16;
/// Overhead of an entry: key, counters and the allocator's share.
const ENTRY_OVERHEAD: u64 = 128;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum NodeKey {
    At(NodePart),
    /// A part of a leaf by its number: most records are found without the levels above.
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

/// The entries, and the count of forks at their creation: a forked child starts with an empty cache,
/// because `fork` copies only the calling thread; another may have held a lock that no thread in the child
/// will release.
struct Generation {
    forks: u64,
    blocks: Entries<u64, Arc<Block>>,
    nodes: Entries<NodeKey, Node>,
    /// Bytes of the capacity that are reserved for nodes.
    for_nodes: AtomicU64,
}

impl Cache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, inner: ArcSwap::from_pointee(Generation::new(capacity)) }
    }

    /// Returns the capacity in bytes.
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

    /// Returns the leaf with this number, if the `trust` of its frame accepts it.
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

    /// Assigns the nodes, in steps, the space that they have used, and the blocks the rest. Nodes have
    /// priority: one of them leads to many records, and without it each record costs inflating another block.
    fn divide(&self, capacity: u64) {
        let step = (capacity / STEPS).max(1);
        let for_nodes = self.nodes.weight().next_multiple_of(step).min(most_for_nodes(capacity));
        if for_nodes != self.for_nodes.swap(for_nodes, Ordering::Relaxed) {
            self.blocks.set_capacity(capacity - for_nodes);
        }
    }
}

/// Returns the maximum share of nodes in `capacity`, in bytes.
fn most_for_nodes(capacity: u64) -> u64 {
    capacity / 4 * 3
}

fn entries<K: Eq + Hash, V: Clone>(capacity: u64, bytes_per_noted: u64) -> Entries<K, V>
where
    Bytes: Weighter<K, V>,
{
    let shards = (capacity / BYTES_PER_SHARD).clamp(1, MAX_SHARDS);
    // Allocates nothing for this many entries; it determines the number of ghosts.
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
        // Each is requested twice, so that the cache considers it worth keeping.
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
