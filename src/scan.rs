//! Reading many records: in order, or a given set of them block by block.

use std::fmt;
use std::sync::Arc;

use crate::block::reserve;
use crate::cache::{Block, Node};
use crate::error::Result;
use crate::format::Coordinates;
use crate::snapshot::{Place, Record, Snapshot, Source};

/// The records of a snapshot in order, or in reverse order with [`next_back`](Records::next_back).
pub struct Records {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// One past the last record to give.
    end: u64,
    leaf: Option<Leaf>,
    block: Option<(u64, Arc<Block>)>,
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
    node: Arc<Node>,
}

impl Records {
    pub(crate) fn new(snapshot: Arc<Snapshot>, first: u64) -> Self {
        let end = snapshot.record_count().saturating_add(1);
        Self { snapshot, next: first.clamp(1, end), end, leaf: None, block: None }
    }

    /// How many records are left to give.
    pub fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// The next record if it lies in the block at hand; never waits for the disk or inflates.
    pub fn next_in_memory(&mut self) -> Option<Record> {
        if self.next >= self.end {
            return None;
        }
        let at = self.known_coordinates(self.next)?;
        let (frame, block) = self.block.as_ref()?;
        if *frame != at.frame || !block.is_whole() {
            return None;
        }
        let record = self.snapshot.entry_in(Arc::clone(block), at).ok()?;
        self.next += 1;
        Some(record)
    }

    fn take(&mut self, number: u64) -> Result<Record> {
        let at = self.coordinates(number)?;
        let block = match &self.block {
            Some((frame, block)) if *frame == at.frame => Arc::clone(block),
            _ => {
                let block = self.snapshot.block(at.frame)?;
                self.block = Some((at.frame, Arc::clone(&block)));
                block
            }
        };
        self.snapshot.entry_in(block, at)
    }

    fn known_coordinates(&self, number: u64) -> Option<Coordinates> {
        let leaf = self.leaf.as_ref()?;
        let index = usize::try_from(number.checked_sub(leaf.first)?).ok()?;
        leaf.node.children.get(index).copied()
    }

    fn coordinates(&mut self, number: u64) -> Result<Coordinates> {
        if let Some(known) = self.known_coordinates(number) {
            return Ok(known);
        }
        match self.snapshot.place(number, Source::File)? {
            Some(Place::Loose(at)) => Ok(at),
            Some(Place::InLeaf(node, child)) => {
                let at = node.children[child];
                self.leaf = Some(Leaf { first: number - child as u64, node });
                Ok(at)
            }
            None => Err(self.snapshot.no_such_record(number)),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let record = self.take(self.next);
        // A record that cannot be read is passed over, so that the next call goes on behind it.
        self.next += 1;
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

/// How many blocks are inflated before their records are handed over, which bounds the memory.
const BLOCKS_PER_BATCH: usize = 64;
/// With fewer blocks to inflate than this, threads cost more than they save.
const BLOCKS_WORTH_THREADS: usize = 4;

/// A set of records, gathered block by block so that each block is inflated once.
pub struct Gather {
    snapshot: Arc<Snapshot>,
    /// Where the records are and their places in the order asked, sorted by where they are.
    wanted: Vec<(Coordinates, usize)>,
    done: usize,
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
        let mut order: Vec<usize> = Vec::new();
        reserve(&mut order, numbers.len(), "record numbers")?;
        order.extend(0..numbers.len());
        order.sort_unstable_by_key(|&index| numbers[index]);
        // In the order of their numbers, so that each index node is looked at once.
        let mut cursor = Records::new(Arc::clone(&snapshot), 1);
        let mut wanted = Vec::new();
        reserve(&mut wanted, numbers.len(), "record positions")?;
        for index in order {
            wanted.push((cursor.coordinates(numbers[index])?, index));
        }
        wanted.sort_unstable();
        Ok(Self { snapshot, wanted, done: 0 })
    }

    /// The next records, each with its place in the order asked; `None` when all have been given.
    pub fn next_batch(&mut self) -> Result<Option<Vec<(usize, Record)>>> {
        let rest = &self.wanted[self.done..];
        let mut frames: Vec<u64> = Vec::new();
        let mut count = 0;
        for (at, _) in rest {
            if frames.last() != Some(&at.frame) {
                if frames.len() == BLOCKS_PER_BATCH {
                    break;
                }
                frames.push(at.frame);
            }
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let blocks = self.blocks(&frames)?;
        let mut blocks = frames.into_iter().zip(blocks).peekable();
        let mut batch = Vec::with_capacity(count);
        for &(at, index) in &rest[..count] {
            while blocks.peek().is_some_and(|(frame, _)| *frame != at.frame) {
                blocks.next();
            }
            if let Some((_, block)) = blocks.peek() {
                batch.push((index, self.snapshot.entry_in(Arc::clone(block), at)?));
            }
        }
        self.done += count;
        Ok(Some(batch))
    }

    /// The blocks of `frames`, inflated side by side where there are enough of them.
    fn blocks(&self, frames: &[u64]) -> Result<Vec<Arc<Block>>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = frames.len().div_ceil(threads).max(1);
        let inflate = |frames: &[u64]| -> Result<Vec<Arc<Block>>> {
            frames.iter().map(|&frame| self.snapshot.block(frame)).collect()
        };
        if threads == 1 || frames.len() < BLOCKS_WORTH_THREADS {
            return inflate(frames);
        }
        let (own, others) = frames.split_at(share);
        std::thread::scope(|scope| {
            let inflate = &inflate;
            let helpers: Vec<_> = others
                .chunks(share)
                .map(|part| (part, std::thread::Builder::new().spawn_scoped(scope, move || inflate(part))))
                .collect();
            let mut blocks = inflate(own)?;
            for (part, helper) in helpers {
                // A thread that could not start or that died leaves its share to this one.
                let done = helper.ok().and_then(|helper| helper.join().ok());
                blocks.extend(done.unwrap_or_else(|| inflate(part))?);
            }
            Ok(blocks)
        })
    }
}
