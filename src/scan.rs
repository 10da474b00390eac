//! Reading many records: in order, or a given set of them block by block.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::block::reserve;
use crate::cache::Block;
use crate::error::Result;
use crate::format::Coordinates;
use crate::node::Node;
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
    node: Node,
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
        leaf.node.child(index)
    }

    fn coordinates(&mut self, number: u64) -> Result<Coordinates> {
        if let Some(known) = self.known_coordinates(number) {
            return Ok(known);
        }
        match self.snapshot.place(number, Source::File)? {
            Some(Place::Loose(at)) => Ok(at),
            Some(Place::InLeaf(node, child)) => {
                let at = self.snapshot.child(&node, child)?;
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

/// As many blocks are inflated at most before their records are handed over...
const BLOCKS_PER_BATCH: usize = 64;
/// ...and no more once they have so many bytes together, which bounds the memory.
const BYTES_PER_BATCH: usize = 8 * 1024 * 1024;
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
        if rest.is_empty() {
            return Ok(None);
        }
        let mut frames: Vec<u64> = Vec::new();
        for (at, _) in rest {
            if frames.last() != Some(&at.frame) {
                if frames.len() == BLOCKS_PER_BATCH {
                    break;
                }
                frames.push(at.frame);
            }
        }
        let blocks = self.blocks(&frames)?;
        let mut blocks = frames.into_iter().zip(blocks).peekable();
        let mut batch = Vec::new();
        // Records of a block that is not kept whole are copies, and may be of the same bytes.
        let mut copied = 0;
        for &(at, index) in rest {
            while blocks.peek().is_some_and(|(frame, _)| *frame != at.frame) {
                blocks.next();
            }
            let Some((_, block)) = blocks.peek().filter(|_| copied < BYTES_PER_BATCH) else {
                break;
            };
            let record = self.snapshot.entry_in(Arc::clone(block), at)?;
            copied += if block.is_whole() { 0 } else { record.len() };
            batch.push((index, record));
        }
        self.done += batch.len();
        Ok(Some(batch))
    }

    /// The blocks of the first of `frames`, at least of one of them, inflated side by side where there are
    /// enough.
    fn blocks(&self, frames: &[u64]) -> Result<Vec<Arc<Block>>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(frames.len());
        let work = SharedWork { gather: self, frames, next: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };
        if threads == 1 || frames.len() < BLOCKS_WORTH_THREADS {
            return work.own_share().and_then(|done| work.in_order(done));
        }
        let done = std::thread::scope(|scope| {
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, || work.own_share());
            let helpers: Vec<_> = (1..threads).map(start).collect();
            let mut done = work.own_share()?;
            // A thread that could not start or that died leaves its share to this one.
            for part in helpers.into_iter().filter_map(|helper| helper.ok()?.join().ok()) {
                done.extend(part?);
            }
            Ok(done)
        })?;
        work.in_order(done)
    }
}

/// Frames to inflate, of which each thread takes the next one, until there is enough for one batch.
struct SharedWork<'a> {
    gather: &'a Gather,
    frames: &'a [u64],
    next: AtomicUsize,
    bytes: AtomicUsize,
}

impl SharedWork<'_> {
    /// Inflates what this thread gets to take.
    fn own_share(&self) -> Result<Vec<(usize, Arc<Block>)>> {
        let mut done = Vec::new();
        while self.bytes.load(Ordering::Relaxed) < BYTES_PER_BATCH {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&frame) = self.frames.get(index) else {
                break;
            };
            let block = self.gather.snapshot.block(frame)?;
            self.bytes.fetch_add(block.bytes.len(), Ordering::Relaxed);
            done.push((index, block));
        }
        Ok(done)
    }

    /// All blocks that were taken, in the order of their frames.
    fn in_order(&self, done: Vec<(usize, Arc<Block>)>) -> Result<Vec<Arc<Block>>> {
        let taken = self.next.load(Ordering::Relaxed).min(self.frames.len());
        let mut blocks = vec![None; taken];
        for (index, block) in done {
            blocks[index] = Some(block);
        }
        let or_now = |(&frame, block): (&u64, Option<_>)| match block {
            Some(block) => Ok(block),
            None => self.gather.snapshot.block(frame),
        };
        self.frames.iter().zip(blocks).map(or_now).collect()
    }
}
