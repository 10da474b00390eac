//! Reading many records: in order, or a given set of them block by block.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::format::Coordinates;
use crate::format::entries::entry_range;
use crate::read::block::Block;
use crate::read::index::Place;
use crate::read::node::Node;
use crate::read::read_ahead::{FrameScan, ReadAhead};
use crate::read::record::Record;
use crate::read::snapshot::Snapshot;

/// Number of consecutive blocks after which read-ahead starts.
const BLOCKS_OF_A_SCAN: u32 = 3;

/// Iterates over the records of a snapshot in order, or in reverse order with
/// [`next_back`](Records::next_back).
///
/// A record that cannot be read is an error, and the next call continues behind it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two", "three"])?;
/// let mut records = log.snapshot()?.records(1);
/// assert_eq!(records.next().transpose()?.expect("there are three"), *b"one");
/// assert_eq!(records.next_back().transpose()?.expect("there are two more"), *b"three");
/// # Ok(()) }
/// ```
pub struct Records {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// One past the last record to return.
    end: u64,
    leaf: Option<Leaf>,
    /// The block of the last record, and the position of its frame.
    block: Option<(u64, Arc<Block>)>,
    /// Offsets of the following records in this block.
    run: Run,
    /// Block and frame of the last leaf; neighbouring leaves are usually in the same block.
    leaf_block: Option<(u64, Arc<Block>)>,
    /// Number of consecutive blocks, each behind the previous one.
    rising: u32,
    ahead: Option<ReadAhead<FrameScan>>,
}

/// Offsets in one block, the first of which have been used.
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

/// A leaf and the number of its first record.
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

    /// Returns the number of records left.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).remaining(), 2);
    /// # Ok(()) }
    /// ```
    pub fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// Returns the numbers of the records left.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).numbers(), 2..4);
    /// # Ok(()) }
    /// ```
    pub fn numbers(&self) -> Range<u64> {
        self.next..self.end
    }

    /// Returns the next record if it is known to be in the current block; never waits for the disk or
    /// inflates.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// let mut records = log.snapshot()?.records(1);
    /// let mut bytes = 0;
    /// loop {
    ///     bytes += match records.next_cached() {
    ///         Some(record) => record.len(),
    ///         None => match records.next() {
    ///             Some(record) => record?.len(),
    ///             None => break,
    ///         },
    ///     };
    /// }
    /// assert_eq!(bytes, 11);
    /// # Ok(()) }
    /// ```
    pub fn next_cached(&mut self) -> Option<&[u8]> {
        let offset = *self.run.offsets.get(self.run.done)?;
        if self.next >= self.end {
            return None;
        }
        let (_, block) = self.block.as_ref()?;
        // A damaged one is left to `next`, which returns the error.
        let range = entry_range(&block.bytes, offset).ok()?;
        self.run.done += 1;
        self.next += 1;
        Some(&block.bytes[range])
    }

    /// Determines which records behind the one with this number, the last one taken, are in the same block.
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
        self.snapshot.block_reader().entry_in(block, at)
    }

    /// Makes the block of `frame` the current one.
    fn go_to(&mut self, frame: u64) -> Result<Arc<Block>> {
        let is_behind = self.block.as_ref().is_some_and(|(before, _)| *before < frame);
        self.rising = if is_behind { self.rising.saturating_add(1) } else { 0 };
        let block = self.fetch(frame)?;
        if self.rising == BLOCKS_OF_A_SCAN {
            // If the end cannot be found, only a reader that reaches it needs the error.
            let last = self.coordinates_of_last().map_or(u64::MAX, |at| at.frame);
            self.ahead = Some(ReadAhead::new(&self.snapshot, FrameScan::new(&self.snapshot, frame, last)));
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.discard_before(frame);
        }
        self.block = Some((frame, Arc::clone(&block)));
        Ok(block)
    }

    fn fetch(&mut self, frame: u64) -> Result<Arc<Block>> {
        let mut at_hand = [&self.block, &self.leaf_block].into_iter().flatten();
        if let Some((_, block)) = at_hand.find(|(at, _)| *at == frame) {
            return Ok(Arc::clone(block));
        }
        self.ahead.take_if(|ahead| ahead.is_forked());
        if let Some(ahead) = &mut self.ahead
            && let Some(block) = ahead.get(frame)?
        {
            return Ok(block);
        }
        self.snapshot.block_reader().block(frame)
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
        match self.snapshot.index().place(number)? {
            Place::Loose(at) => Ok(at),
            Place::InLeaf(leaf, child) => {
                let node = self.leaf(leaf)?;
                let at = self.snapshot.index().child(&node, child)?;
                self.leaf = Some(Leaf { first: number - child as u64, node });
                Ok(at)
            }
        }
    }

    /// Returns a leaf without caching it, because a scan uses it only once.
    fn leaf(&mut self, number: u64) -> Result<Node> {
        if let Some(leaf) = self.snapshot.index().cached_leaf(number) {
            return Ok(leaf);
        }
        let at = self.snapshot.index().leaf_position(number)?;
        let block = self.fetch(at.frame)?;
        self.leaf_block = Some((at.frame, Arc::clone(&block)));
        self.snapshot.block_reader().node_in(&block, at)
    }

    fn coordinates_of_last(&mut self) -> Result<Coordinates> {
        let leaf = self.leaf.take();
        let last = self.coordinates(self.end - 1);
        self.leaf = leaf;
        last
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
        // A record that cannot be read is skipped, so that the next call continues behind it.
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

impl Snapshot {
    /// Iterates over the records from number `first` on, in order.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records(2).count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn records(self: &Arc<Self>, first: u64) -> Records {
        Records::new(Arc::clone(self), first, u64::MAX)
    }

    /// Iterates over the existing records from number `first` to `last`, in order.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// assert_eq!(log.snapshot()?.records_between(2, 2).count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn records_between(self: &Arc<Self>, first: u64, last: u64) -> Records {
        Records::new(Arc::clone(self), first, last)
    }
}
