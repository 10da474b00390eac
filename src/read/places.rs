//! Positions of records in a file of version 2, for reading many of them.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result, reserve};
use crate::format::{Coordinates, in_memory};
use crate::read::block::Block;
use crate::read::gather::read_together;
use crate::read::index::Place;
use crate::read::node::Node;
use crate::read::record::Record;
use crate::read::snapshot::Snapshot;
use crate::read::source::BlockSource;
use crate::storage::Storage;
use crate::sync::progress::Monitor;

/// Maximum number of leaves whose index nodes are announced together: no more nodes than there is room for.
const MAX_ANNOUNCED_LEAVES: usize = 256;

impl BlockSource for Snapshot {
    type Block = Arc<Block>;
    type Place = Coordinates;
    type Following = FrameScan;

    fn block(&self, key: u64) -> Result<Arc<Block>> {
        self.block_reader().block(key)
    }

    fn cached_block(&self, key: u64) -> Option<Arc<Block>> {
        self.block_reader().cached_block(key)
    }

    fn storage(&self) -> &dyn Storage {
        &*self.file().storage
    }

    fn unread(&self, error: std::io::Error) -> Error {
        self.file().unread(error, "read")
    }

    fn bytes_of(&self, key: u64) -> Range<u64> {
        // Compressed blocks of the usual size have no more bytes than this.
        key..key.saturating_add(self.geometry().block_size.into()).min(self.file_limit())
    }

    fn following(self: &Arc<Self>, key: u64, last: u64) -> FrameScan {
        FrameScan::new(self, key, last)
    }

    fn places(
        self: &Arc<Self>,
        numbers: &[(u64, usize)],
        monitor: &Monitor<'_>,
    ) -> Result<Vec<(Coordinates, usize)>> {
        coordinates(self, numbers, monitor)
    }

    fn key(place: Coordinates) -> u64 {
        place.frame
    }

    fn record_in(&self, block: Arc<Block>, place: Coordinates) -> Result<Record> {
        self.block_reader().entry_in(block, place)
    }

    fn held_bytes(block: &Arc<Block>) -> Option<usize> {
        block.is_whole().then_some(block.bytes.len())
    }

    fn threads(&self) -> usize {
        self.file().threads
    }

    fn blocks_in_cache(&self) -> usize {
        in_memory(self.file().cache.capacity() / u64::from(self.geometry().block_size).max(1))
    }
}

/// Iterates over consecutive frames in the file.
#[derive(Debug)]
pub(crate) struct FrameScan {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// No frame starts after this.
    last: u64,
}

impl FrameScan {
    /// Starts with the committed frame after the one at `frame`, and ends with the one at `last`.
    fn new(snapshot: &Arc<Snapshot>, frame: u64, last: u64) -> Self {
        let mut following = Self { snapshot: Arc::clone(snapshot), next: frame, last };
        // The caller has this one already.
        following.next();
        following
    }
}

impl Iterator for FrameScan {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let frame = self.next;
        if frame > self.last || !self.snapshot.block_reader().is_committed(frame) {
            return None;
        }
        // After a damaged frame, the positions are unknown.
        self.next = self.snapshot.frames().end_of(frame).unwrap_or(u64::MAX);
        Some(frame)
    }
}

/// Returns the coordinates of the records with these ascending numbers, sorted by position.
fn coordinates(
    snapshot: &Arc<Snapshot>,
    numbers: &[(u64, usize)],
    monitor: &Monitor<'_>,
) -> Result<Vec<(Coordinates, usize)>> {
    let mut places: Vec<(Place, usize)> = Vec::new();
    reserve(&mut places, numbers.len(), "record places")?;
    for &(number, index) in numbers {
        monitor.add_work(0)?;
        places.push((snapshot.index().place(number)?, index));
    }
    let leaves = leaves(snapshot, &places, monitor)?;
    let mut leaf = leaves.iter().peekable();
    let mut found = Vec::new();
    reserve(&mut found, numbers.len(), "record positions")?;
    for (place, index) in places {
        monitor.add_work(0)?;
        let at = match place {
            Place::Loose(at) => at,
            Place::InLeaf(number, child) => {
                while leaf.next_if(|(at_hand, _)| *at_hand < number).is_some() {}
                match leaf.peek() {
                    Some((_, node)) => snapshot.index().child(node, child)?,
                    None => continue,
                }
            }
        };
        found.push((at, index));
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the leaves of the records, in the order of their numbers.
fn leaves(
    snapshot: &Arc<Snapshot>,
    places: &[(Place, usize)],
    monitor: &Monitor<'_>,
) -> Result<Vec<(u64, Node)>> {
    let (mut leaves, mut unread) = (Vec::new(), Vec::new());
    let mut last = None;
    for (place, _) in places {
        if let Place::InLeaf(number, _) = *place
            && last != Some(number)
        {
            last = Some(number);
            monitor.add_work(0)?;
            match snapshot.index().cached_leaf(number) {
                Some(leaf) => leaves.push((number, leaf)),
                None => unread.push(number),
            }
        }
    }
    let mut missing = Vec::new();
    for numbers in unread.chunks(MAX_ANNOUNCED_LEAVES) {
        if snapshot.storage().as_object().is_some() {
            snapshot.index().announce_way(numbers)?;
        }
        for &number in numbers {
            monitor.add_work(0)?;
            missing.push((snapshot.index().leaf_position(number)?, number));
        }
    }
    missing.sort_unstable();
    let mut blocks = read_together(snapshot, missing.iter().map(|(at, _)| at.frame))?;
    let mut at_hand = None;
    monitor.set_total(missing.len() as u64);
    for ((at, number), read) in missing.into_iter().zip(0..) {
        monitor.advance_to(read);
        monitor.add_work(0)?;
        let leaf = match &at_hand {
            // Index nodes in a file may be shared.
            Some((same, leaf)) if *same == at => Node::clone(leaf),
            _ => {
                let block = blocks.take(at.frame)?;
                snapshot.block_reader().node_in(&block, at)?
            }
        };
        snapshot.index().keep_leaf(number, leaf.clone());
        at_hand = Some((at, leaf.clone()));
        leaves.push((number, leaf));
    }
    leaves.sort_unstable_by_key(|(number, _)| *number);
    Ok(leaves)
}
