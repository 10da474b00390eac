//! The index of one state of a file: from the number of a record to its coordinates.

use std::ops::Range;

use crate::error::{Damage, Error, Result};
use crate::format::master::Extent;
use crate::format::{Coordinates, NodePart, in_memory};
use crate::read::block_reader::{BlockReader, Blocks, Cached, CachedOrFile, Stop};
use crate::read::node::Node;
use crate::read::record::Record;
use crate::tree::{Descent, RightmostPath};

/// Returns the range in which leaves and their records usually are: just before `frame`, the node above them.
fn around_leaves(frame: u64) -> Range<u64> {
    const BEFORE: u64 = 192 * 1024;
    const BEHIND: u64 = 64 * 1024;
    frame.saturating_sub(BEFORE)..frame.saturating_add(BEHIND)
}

/// Finds records by their numbers.
#[derive(Debug)]
pub(crate) struct Index {
    pub(super) blocks: BlockReader,
    pub(crate) path: RightmostPath<Coordinates>,
    pub(super) extent: Extent,
}

/// The place of a record in the index tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A child of the rightmost path, with these coordinates.
    Loose(Coordinates),
    /// A child of a leaf: the number of the leaf's part, counted across the parts of all leaves, and the
    /// index of the child in it.
    InLeaf(u64, usize),
}

impl Index {
    #[cold]
    pub(crate) fn no_such_record(&self, number: u64) -> Error {
        Error::NoSuchRecord { path: self.blocks.file().path.clone(), number, count: self.extent.records }
    }

    /// Returns record `number`, from memory or the file.
    #[inline]
    pub(super) fn record(&self, number: u64) -> Result<Record> {
        self.record_at(self.place(number)?)
    }

    /// Returns record `number`, or the place at which the lookup needs the file.
    #[inline]
    pub(super) fn record_cached(&self, number: u64) -> Result<std::result::Result<Record, Place>> {
        let blocks = Cached(&self.blocks);
        let mut place = self.place(number)?;
        let found = self.coordinates(place, &blocks).and_then(|at| {
            place = Place::Loose(at);
            Ok(self.blocks.entry_in(blocks.block(at.frame)?, at)?)
        });
        match found {
            Ok(record) => Ok(Ok(record)),
            Err(Stop::Miss) => Ok(Err(place)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Continues a lookup that got stuck in memory, now with the file.
    #[inline]
    pub(super) fn record_at(&self, place: Place) -> Result<Record> {
        let at = self.coordinates(place, &CachedOrFile(&self.blocks))?;
        self.blocks.entry_in(self.blocks.block(at.frame)?, at)
    }

    /// Returns where record `number` is.
    pub(super) fn coordinates_of(&self, number: u64) -> Result<Coordinates> {
        self.coordinates(self.place(number)?, &CachedOrFile(&self.blocks))
    }

    #[inline]
    fn coordinates<B: Blocks>(&self, place: Place, blocks: &B) -> std::result::Result<Coordinates, B::Stop> {
        match place {
            Place::Loose(at) => Ok(at),
            Place::InLeaf(leaf, child) => Ok(self.child(&self.leaf(leaf, blocks)?, child)?),
        }
    }

    /// Returns the place of record `number`.
    #[inline]
    pub(crate) fn place(&self, number: u64) -> Result<Place> {
        let index = number.checked_sub(1).filter(|&index| index < self.extent.records);
        let index = index.ok_or_else(|| self.no_such_record(number))?;
        let loose = self.path.children(1);
        let in_leaves = self.extent.records - loose.len() as u64;
        if let Some(behind_leaves) = index.checked_sub(in_leaves) {
            return Ok(Place::Loose(loose[in_memory(behind_leaves)]));
        }
        let fan_out = u64::from(self.fan_out());
        let (leaf, child) = (index / fan_out, index % fan_out);
        let part = leaf * self.parts_of_node() + child / u64::from(NodePart::SIZE);
        Ok(Place::InLeaf(part, in_memory(child % u64::from(NodePart::SIZE))))
    }

    #[inline]
    fn fan_out(&self) -> u32 {
        self.blocks.file().geometry.fan_out
    }

    /// Returns the number of parts into which nodes are divided in memory.
    #[inline]
    fn parts_of_node(&self) -> u64 {
        u64::from(self.fan_out()).div_ceil(NodePart::SIZE.into())
    }

    /// Returns the part of a leaf with this number, if it is in memory.
    #[inline]
    pub(crate) fn cached_leaf(&self, number: u64) -> Option<Node> {
        self.blocks.file().cache.leaf(number, |frame| self.blocks.trust(frame))
    }

    #[inline]
    fn leaf<B: Blocks>(&self, number: u64, blocks: &B) -> std::result::Result<Node, B::Stop> {
        if let Some(leaf) = self.cached_leaf(number) {
            return Ok(leaf);
        }
        let part = self.descend_to_leaf(number, blocks)?;
        let leaf = self.blocks.node_in(&*blocks.block(part.frame)?, part)?;
        self.keep_leaf(number, leaf.clone());
        Ok(leaf)
    }

    /// Keeps the part of a leaf with this number in memory.
    pub(super) fn keep_leaf(&self, number: u64, leaf: Node) {
        self.blocks.file().cache.keep_leaf(number, leaf);
    }

    /// Returns where the part of a leaf with this number is.
    pub(crate) fn leaf_position(&self, number: u64) -> Result<NodePart> {
        self.descend_to_leaf(number, &CachedOrFile(&self.blocks))
    }

    /// Finds the root and height of the largest subtree whose first record has this number.
    pub(super) fn subtree_at(&self, number: u64) -> Result<(Coordinates, u32)> {
        let fan_out = self.fan_out();
        let descent = number.checked_sub(1).and_then(|index| self.path.descend(index));
        let mut descent = descent.ok_or_else(|| self.no_such_record(number))?;
        while descent.index > 0 {
            let (child, index) = descent.step(fan_out);
            let part = NodePart::with_child(descent.root, child);
            let node = self.node(part, &CachedOrFile(&self.blocks))?;
            let root = self.child(&node, child - part.start as usize)?;
            descent = Descent { root, height: descent.height - 1, index };
        }
        Ok((descent.root, descent.height))
    }

    /// Descends from the rightmost path to a part of a leaf.
    fn descend_to_leaf<B: Blocks>(&self, number: u64, blocks: &B) -> std::result::Result<NodePart, B::Stop> {
        let fan_out = self.fan_out();
        let first = number / self.parts_of_node() * u64::from(fan_out);
        let Some(mut descent) = self.path.descend(first) else {
            return Err(self.no_such_record(first + 1).into());
        };
        while descent.height > 1 {
            if descent.height == 2 {
                blocks.announce(around_leaves(descent.root.frame));
            }
            descent = self.descend(descent, blocks)?;
        }
        let part = number % self.parts_of_node();
        Ok(NodePart::with_child(descent.root, in_memory(part * u64::from(NodePart::SIZE))))
    }

    /// Announces the nodes on the way to the leaves with these numbers to a storage that fetches them.
    pub(crate) fn announce_way(&self, leaves: &[u64]) -> Result<()> {
        let file = self.blocks.file();
        let size = u64::from(file.geometry.block_size);
        let first = |leaf: &u64| leaf / self.parts_of_node() * u64::from(self.fan_out());
        let mut way: Vec<_> = leaves.iter().filter_map(|leaf| self.path.descend(first(leaf))).collect();
        loop {
            way.retain(|descent| descent.height > 1);
            if way.is_empty() {
                return Ok(());
            }
            let frames = way.iter().map(|descent| descent.root.frame);
            let missing = frames.filter(|&frame| self.blocks.cached_block(frame).is_none());
            let mut ranges: Vec<_> = missing.map(|frame| frame..frame.saturating_add(size)).collect();
            ranges.dedup();
            file.storage.will_read(&mut ranges);
            for descent in &mut way {
                *descent = self.step_down(*descent)?;
            }
        }
    }

    /// Descends by one level.
    pub(crate) fn step_down(&self, descent: Descent<Coordinates>) -> Result<Descent<Coordinates>> {
        self.descend(descent, &CachedOrFile(&self.blocks))
    }

    fn descend<B: Blocks>(
        &self,
        descent: Descent<Coordinates>,
        blocks: &B,
    ) -> std::result::Result<Descent<Coordinates>, B::Stop> {
        let (child, index) = descent.step(self.fan_out());
        let part = NodePart::with_child(descent.root, child);
        let node = self.node(part, blocks)?;
        let root = self.child(&node, child - part.start as usize)?;
        Ok(Descent { root, height: descent.height - 1, index })
    }

    fn node<B: Blocks>(&self, at: NodePart, blocks: &B) -> std::result::Result<Node, B::Stop> {
        let cache = &self.blocks.file().cache;
        if let Some(node) = cache.node(at, self.blocks.trust(at.frame)) {
            return Ok(node);
        }
        let node = self.blocks.node_in(&*blocks.block(at.frame)?, at)?;
        cache.keep_node(at, node.clone());
        Ok(node)
    }

    /// Returns a child of a full node, which has as many children as the fan-out.
    #[inline]
    pub(crate) fn child(&self, node: &Node, index: usize) -> Result<Coordinates> {
        let missing = || {
            let damage = Damage::new("an index node without a child", "one");
            self.blocks.file().corrupt(damage.at(node.frame()))
        };
        node.child(index).ok_or_else(missing)
    }

    /// Returns the children of the rightmost path, oldest records first, with the height of the subtree below each.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (u32, Coordinates)> + '_ {
        let path = &self.path;
        let level = |level: u8| path.children(level).iter().map(move |&child| (u32::from(level) - 1, child));
        (1..=path.height()).rev().flat_map(level)
    }
}
