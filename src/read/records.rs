//! Reading many records: in order, or a given set of them block by block.

use std::fmt;
use std::sync::Arc;

use crate::codec::frame::entry_range;
use crate::error::{Result, reserve};
use crate::format::Coordinates;
use crate::read::cache::Block;
use crate::read::node::Node;
use crate::read::read_ahead::{Ahead, Following};
use crate::read::snapshot::{Place, Record, Snapshot};

/// Whoever has read so many blocks in order will want the next ones.
const BLOCKS_OF_A_SCAN: u32 = 3;

/// The records of a snapshot in order, or in reverse order with [`next_back`](Records::next_back).
pub struct Records {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// One past the last record to give.
    end: u64,
    leaf: Option<Leaf>,
    /// The block that the last record lies in, and where its frame starts.
    block: Option<(u64, Arc<Block>)>,
    /// Where in this block the records behind it lie, as far as they do.
    run: Run,
    /// Block and frame of the last leaf, whose neighbours mostly lie there, too.
    leaf_block: Option<(u64, Arc<Block>)>,
    /// How many blocks in a row lay behind the one before.
    rising: u32,
    ahead: Option<Ahead<Following>>,
}

/// Offsets in one block, of which the first ones are done with.
#[derive(Default)]
struct Run {
    offsets: Vec<u32>,
    done: usize,
}

impl fmt::Debug for Records {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Records");
        out.field("snapshot", &self.snapshot).field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

/// A full node of the lowest level and the number of its first record.
struct Leaf {
    first: u64,
    node: Node,
}

impl Records {
    pub(crate) fn new(snapshot: Arc<Snapshot>, first: u64, last: u64) -> Self {
        let end = snapshot.record_count().min(last).saturating_add(1);
        let next = first.clamp(1, end);
        let run = Run::default();
        Self { snapshot, next, end, leaf: None, block: None, run, leaf_block: None, rising: 0, ahead: None }
    }

    /// How many records are left to give.
    pub fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// The next record if it is known to lie in the block at hand; never waits for the disk or inflates.
    pub fn next_in_memory(&mut self) -> Option<&[u8]> {
        let offset = *self.run.offsets.get(self.run.done)?;
        if self.next >= self.end {
            return None;
        }
        let (_, block) = self.block.as_ref()?;
        // One that is not sound is left for `next`, which tells why.
        let range = entry_range(&block.bytes, offset).ok()?;
        self.run.done += 1;
        self.next += 1;
        Some(&block.bytes[range])
    }

    /// Notes which records behind the one with this number, which was taken last, lie in the same block.
    fn look_behind(&mut self, number: u64) {
        let (Some(leaf), Some((frame, block))) = (&self.leaf, &self.block) else {
            return;
        };
        if block.is_whole()
            && let Some(index) = number.checked_sub(leaf.first).and_then(|index| usize::try_from(index).ok())
        {
            leaf.node.offsets_behind(index, *frame, &mut self.run.offsets);
        }
    }

    fn take(&mut self, number: u64) -> Result<Record> {
        self.run.offsets.clear();
        self.run.done = 0;
        let at = self.coordinates(number)?;
        let block = match &self.block {
            Some((frame, block)) if *frame == at.frame => Arc::clone(block),
            _ => self.go_to(at.frame)?,
        };
        self.snapshot.entry_in(block, at)
    }

    /// Makes the block of `frame` the one at hand.
    fn go_to(&mut self, frame: u64) -> Result<Arc<Block>> {
        let is_behind = self.block.as_ref().is_some_and(|(before, _)| *before < frame);
        self.rising = if is_behind { self.rising.saturating_add(1) } else { 0 };
        let block = self.fetch(frame)?;
        if self.rising == BLOCKS_OF_A_SCAN {
            // Where the end cannot be found, only who comes to it needs to know.
            let last = self.coordinates_of_last().map_or(u64::MAX, |at| at.frame);
            self.ahead = Some(Ahead::new(&self.snapshot, Following::new(&self.snapshot, frame, last)));
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.pass(frame);
        }
        self.block = Some((frame, Arc::clone(&block)));
        Ok(block)
    }

    fn fetch(&mut self, frame: u64) -> Result<Arc<Block>> {
        let mut at_hand = [&self.block, &self.leaf_block].into_iter().flatten();
        if let Some((_, block)) = at_hand.find(|(at, _)| *at == frame) {
            return Ok(Arc::clone(block));
        }
        self.ahead.take_if(|ahead| ahead.is_inherited());
        if let Some(ahead) = &mut self.ahead
            && let Some(block) = ahead.get(frame)?
        {
            return Ok(block);
        }
        self.snapshot.block(frame)
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
        match self.snapshot.place(number)? {
            Place::Loose(at) => Ok(at),
            Place::InLeaf(leaf, child) => {
                let node = self.leaf(leaf)?;
                let at = self.snapshot.child(&node, child)?;
                self.leaf = Some(Leaf { first: number - child as u64, node });
                Ok(at)
            }
        }
    }

    /// A leaf; it is not kept in the cache, since a scan passes it once.
    fn leaf(&mut self, number: u64) -> Result<Node> {
        if let Some(leaf) = self.snapshot.cached_leaf(number) {
            return Ok(leaf);
        }
        let at = self.snapshot.leaf_position(number)?;
        let block = self.fetch(at.frame)?;
        self.leaf_block = Some((at.frame, Arc::clone(&block)));
        self.snapshot.packed_node_in(&block, at)
    }

    fn coordinates_of_last(&mut self) -> Result<Coordinates> {
        let leaf = self.leaf.take();
        let last = self.coordinates(self.end - 1);
        self.leaf = leaf;
        last
    }
}

/// Records side by side in one piece of memory, with offsets of a type that can tell how long it may be.
#[derive(Debug)]
pub struct Packed<Offset = i64> {
    bytes: Vec<u8>,
    offsets: Vec<Offset>,
}

impl<Offset: Default> Default for Packed<Offset> {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![Offset::default()] }
    }
}

impl<Offset: TryFrom<usize>> Packed<Offset> {
    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each record starts among the bytes, and last where they end.
    pub fn offsets(&self) -> &[Offset] {
        &self.offsets
    }

    /// The bytes and the offsets.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Offset>) {
        (self.bytes, self.offsets)
    }

    /// Puts a copy of `record` behind the others; false if there would be more bytes than an offset can tell.
    pub fn push(&mut self, record: &[u8]) -> Result<bool> {
        let Ok(end) = Offset::try_from(self.bytes.len() + record.len()) else {
            return Ok(false);
        };
        reserve(&mut self.bytes, record.len(), "records")?;
        reserve(&mut self.offsets, 1, "record offsets")?;
        self.bytes.extend_from_slice(record);
        self.offsets.push(end);
        Ok(true)
    }
}

impl Records {
    /// Appends the next records to `packed` until it has `most_records`, or at least `most_bytes`; false once
    /// there are no more. A record that cannot be read is an error, and passed over by the next call.
    pub fn pack(&mut self, packed: &mut Packed, most_records: usize, most_bytes: usize) -> Result<bool> {
        while packed.record_count() < most_records && packed.bytes.len() < most_bytes {
            // No memory is so large that 64 bits do not suffice.
            let _fits = match self.next_in_memory() {
                Some(record) => packed.push(record)?,
                None => match self.next() {
                    Some(record) => packed.push(&record?)?,
                    None => return Ok(false),
                },
            };
        }
        Ok(self.remaining() > 0)
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        let record = self.take(number);
        // A record that cannot be read is passed over, so that the next call goes on behind it.
        self.next += 1;
        if record.is_ok() {
            self.look_behind(number);
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.remaining());
        (remaining.unwrap_or(usize::MAX), remaining.ok())
    }
}

impl DoubleEndedIterator for Records {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        self.end -= 1;
        Some(self.take(self.end))
    }
}

/// The records of so many blocks are handed over together at most...
const BLOCKS_PER_BATCH: usize = 64;
/// ...and no more once these have so many bytes, which bounds the memory.
const BYTES_PER_BATCH: usize = 8 * 1024 * 1024;

/// A set of records, gathered block by block so that each block is inflated once.
pub struct Gather {
    snapshot: Arc<Snapshot>,
    /// Where the records are and their places in the order asked, sorted by where they are.
    wanted: Vec<(Coordinates, usize)>,
    done: usize,
    blocks: Ahead<std::vec::IntoIter<u64>>,
}

impl fmt::Debug for Gather {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remaining = self.wanted.len() - self.done;
        let mut out = out.debug_struct("Gather");
        out.field("snapshot", &self.snapshot).field("remaining", &remaining).finish_non_exhaustive()
    }
}

impl Gather {
    pub(crate) fn new(snapshot: Arc<Snapshot>, numbers: &[u64]) -> Result<Self> {
        let mut order: Vec<(u64, usize)> = Vec::new();
        reserve(&mut order, numbers.len(), "record numbers")?;
        order.extend(numbers.iter().copied().zip(0..));
        // In the order of their numbers, so that each index node is looked at once.
        order.sort_unstable();
        let wanted = coordinates(&snapshot, &order)?;
        let blocks = blocks_of(&snapshot, wanted.iter().map(|(at, _)| at.frame))?;
        Ok(Self { snapshot, wanted, done: 0, blocks })
    }

    /// The next records, each with its place in the order asked; `None` when all have been given.
    pub fn next_batch(&mut self) -> Result<Option<Vec<(usize, Record)>>> {
        let mut batch = Vec::new();
        let mut at_hand: Option<(u64, Arc<Block>)> = None;
        let (mut blocks, mut bytes) = (0, 0);
        for &(at, index) in &self.wanted[self.done..] {
            if bytes > BYTES_PER_BATCH {
                break;
            }
            let block = match &at_hand {
                Some((frame, block)) if *frame == at.frame => Arc::clone(block),
                _ if blocks == BLOCKS_PER_BATCH => break,
                _ => {
                    let block = fetch(&mut self.blocks, &self.snapshot, at.frame)?;
                    (blocks, bytes) = (blocks + 1, bytes + block.bytes.len());
                    at_hand = Some((at.frame, Arc::clone(&block)));
                    block
                }
            };
            let is_whole = block.is_whole();
            let record = self.snapshot.entry_in(block, at)?;
            // Records of a block that is not kept whole are copies, and may be of the same bytes.
            bytes += if is_whole { 0 } else { record.len() };
            batch.push((index, record));
        }
        self.done += batch.len();
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }
}

/// The coordinates of the records with these numbers, which rise, sorted by where they are.
fn coordinates(snapshot: &Arc<Snapshot>, numbers: &[(u64, usize)]) -> Result<Vec<(Coordinates, usize)>> {
    let mut places: Vec<(Place, usize)> = Vec::new();
    reserve(&mut places, numbers.len(), "record places")?;
    for &(number, index) in numbers {
        places.push((snapshot.place(number)?, index));
    }
    let leaves = leaves(snapshot, &places)?;
    let mut leaf = leaves.iter().peekable();
    let mut found = Vec::new();
    reserve(&mut found, numbers.len(), "record positions")?;
    for (place, index) in places {
        let at = match place {
            Place::Loose(at) => at,
            Place::InLeaf(number, child) => {
                while leaf.next_if(|(at_hand, _)| *at_hand < number).is_some() {}
                match leaf.peek() {
                    Some((_, node)) => snapshot.child(node, child)?,
                    None => continue,
                }
            }
        };
        found.push((at, index));
    }
    found.sort_unstable();
    Ok(found)
}

/// The leaves that the records hang off, in the order of their numbers.
fn leaves(snapshot: &Arc<Snapshot>, places: &[(Place, usize)]) -> Result<Vec<(u64, Node)>> {
    let mut leaves = Vec::new();
    let mut missing = Vec::new();
    let mut last = None;
    for (place, _) in places {
        if let Place::InLeaf(number, _) = *place
            && last != Some(number)
        {
            last = Some(number);
            match snapshot.cached_leaf(number) {
                Some(leaf) => leaves.push((number, leaf)),
                None => missing.push((snapshot.leaf_position(number)?, number)),
            }
        }
    }
    missing.sort_unstable();
    let mut blocks = blocks_of(snapshot, missing.iter().map(|(at, _)| at.frame))?;
    for (at, number) in missing {
        let block = fetch(&mut blocks, snapshot, at.frame)?;
        let leaf = snapshot.packed_node_in(&block, at)?;
        snapshot.file().cache.keep_leaf(number, leaf.clone());
        leaves.push((number, leaf));
    }
    leaves.sort_unstable_by_key(|(number, _)| *number);
    Ok(leaves)
}

/// The blocks of these frames, which rise, inflated side by side.
fn blocks_of(
    snapshot: &Arc<Snapshot>,
    rising: impl Iterator<Item = u64>,
) -> Result<Ahead<std::vec::IntoIter<u64>>> {
    let mut frames: Vec<u64> = Vec::new();
    for frame in rising {
        if frames.last() != Some(&frame) {
            reserve(&mut frames, 1, "frame positions")?;
            frames.push(frame);
        }
    }
    Ok(Ahead::new(snapshot, frames.into_iter()))
}

fn fetch(blocks: &mut Ahead<std::vec::IntoIter<u64>>, snapshot: &Snapshot, frame: u64) -> Result<Arc<Block>> {
    blocks.pass(frame);
    match blocks.get(frame)? {
        Some(block) => Ok(block),
        None => snapshot.block(frame),
    }
}
