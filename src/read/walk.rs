//! Iterates over the records of a file of version 2, whose index points to single records.

use std::sync::Arc;

use crate::error::Result;
use crate::format::Coordinates;
use crate::format::entries::entry_range;
use crate::read::block::Block;
use crate::read::index::Place;
use crate::read::node::Node;
use crate::read::record::Record;
use crate::read::scan::Scan;
use crate::read::snapshot::Snapshot;

/// The state of an iteration over the records.
pub(crate) struct Walk {
    scan: Scan<Snapshot>,
    leaf: Option<Leaf>,
    /// The offsets of the next records, as far as they are in the current block.
    run: Run,
    /// Block and frame of the last leaf; its neighbours are usually in the same block.
    leaf_block: Option<(u64, Arc<Block>)>,
}

/// Offsets in one block, the first of which are already used.
#[derive(Default)]
struct Run {
    offsets: Vec<u32>,
    done: usize,
}

/// A full node of the lowest level and the number of its first record.
struct Leaf {
    first: u64,
    node: Node,
}

impl Walk {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { scan: Scan::new(snapshot), leaf: None, run: Run::default(), leaf_block: None }
    }

    fn snapshot(&self) -> &Arc<Snapshot> {
        self.scan.source()
    }

    /// Returns the next record if it is known to be in the current block.
    #[inline]
    pub(crate) fn next_cached(&mut self) -> Option<&[u8]> {
        let offset = *self.run.offsets.get(self.run.done)?;
        let (_, block) = self.scan.at_hand()?;
        // A damaged record is left for `next`, which reports the reason.
        let range = entry_range(&block.bytes, offset).ok()?;
        self.run.done += 1;
        Some(&block.bytes[range])
    }

    /// Notes which records after this one, which was taken last, are in the same block.
    pub(crate) fn look_behind(&mut self, number: u64) {
        let (Some(leaf), Some((frame, block))) = (&self.leaf, self.scan.at_hand()) else {
            return;
        };
        if block.is_whole()
            && let Some(index) = number.checked_sub(leaf.first).and_then(|index| usize::try_from(index).ok())
        {
            leaf.node.offsets_behind(index, *frame, &mut self.run.offsets);
        }
    }

    /// Returns the record with this number, in an iteration that ends with the record `last`.
    pub(crate) fn take(&mut self, number: u64, last: u64) -> Result<Record> {
        self.run.offsets.clear();
        self.run.done = 0;
        let at = self.coordinates(number)?;
        let block = match self.scan.at_hand() {
            Some((frame, block)) if *frame == at.frame => Arc::clone(block),
            _ => self.go_to(at.frame, last)?,
        };
        self.snapshot().block_reader().entry_in(block, at)
    }

    /// Makes the block of `frame` the current one.
    fn go_to(&mut self, frame: u64, last: u64) -> Result<Arc<Block>> {
        let is_scan = self.scan.note(frame);
        let block = self.fetch(frame)?;
        if is_scan {
            // If the last block cannot be found, only a read that reaches it has to fail.
            let last = self.coordinates_of_last(last).map_or(u64::MAX, |at| at.frame);
            self.scan.read_ahead(frame, last);
        }
        self.scan.hold(frame, Arc::clone(&block));
        Ok(block)
    }

    fn fetch(&mut self, frame: u64) -> Result<Arc<Block>> {
        match &self.leaf_block {
            Some((at, block)) if *at == frame => Ok(Arc::clone(block)),
            _ => self.scan.fetch(frame),
        }
    }

    fn known_coordinates(&self, number: u64) -> Option<Coordinates> {
        let leaf = self.leaf.as_ref()?;
        let index = usize::try_from(number.checked_sub(leaf.first)?).ok()?;
        leaf.node.child(index)
    }

    pub(crate) fn coordinates(&mut self, number: u64) -> Result<Coordinates> {
        if let Some(known) = self.known_coordinates(number) {
            return Ok(known);
        }
        match self.snapshot().index().place(number)? {
            Place::Loose(at) => Ok(at),
            Place::InLeaf(leaf, child) => {
                let node = self.leaf(leaf)?;
                let at = self.snapshot().index().child(&node, child)?;
                self.leaf = Some(Leaf { first: number - child as u64, node });
                Ok(at)
            }
        }
    }

    /// Reads a leaf. It is not kept in the cache, since a scan passes it only once.
    fn leaf(&mut self, number: u64) -> Result<Node> {
        if let Some(leaf) = self.snapshot().index().cached_leaf(number) {
            return Ok(leaf);
        }
        let at = self.snapshot().index().leaf_position(number)?;
        let block = self.fetch(at.frame)?;
        self.leaf_block = Some((at.frame, Arc::clone(&block)));
        self.snapshot().block_reader().node_in(&block, at)
    }

    fn coordinates_of_last(&mut self, last: u64) -> Result<Coordinates> {
        let leaf = self.leaf.take();
        let last = self.coordinates(last);
        self.leaf = leaf;
        last
    }
}
