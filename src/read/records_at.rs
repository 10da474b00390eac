//! Reading a given set of records, block by block.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Result, reserve};
use crate::format::Coordinates;
use crate::read::block::Block;
use crate::read::index::Place;
use crate::read::node::Node;
use crate::read::read_ahead::ReadAhead;
use crate::read::record::Record;
use crate::read::snapshot::Snapshot;
use crate::sync::progress::{Monitor, Progress};

/// The records of this many blocks are handed over together at most...
const BLOCKS_PER_BATCH: usize = 64;
/// ...and this many records, which may be the same again and again...
const RECORDS_PER_BATCH: usize = 1 << 16;

/// ...and no more once these have this many bytes, which bounds the memory.
const BYTES_PER_BATCH: usize = 8 * 1024 * 1024;

/// Returns the records with given numbers, block by block, so that each block is inflated once.
///
/// Each item is a batch of records, each with its index among the given numbers. The iteration ends after
/// an error.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two", "three"])?;
/// let mut found = [const { Vec::new() }; 2];
/// for batch in log.snapshot()?.records_at(&[3, 1])? {
///     for (place, record) in batch? {
///         found[place] = record.into();
///     }
/// }
/// assert_eq!(found, [b"three".to_vec(), b"one".to_vec()]);
/// # Ok(()) }
/// ```
pub struct RecordsAt {
    snapshot: Arc<Snapshot>,
    /// Coordinates of the records and their indices among the given numbers, sorted by coordinates.
    wanted: Vec<(Coordinates, usize)>,
    done: usize,
    blocks: ReadAhead<std::vec::IntoIter<u64>>,
}

impl fmt::Debug for RecordsAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remaining = self.wanted.len() - self.done;
        let mut out = out.debug_struct("RecordsAt");
        out.field("snapshot", &self.snapshot).field("remaining", &remaining).finish_non_exhaustive()
    }
}

impl RecordsAt {
    pub(crate) fn new(snapshot: Arc<Snapshot>, numbers: &[u64], monitor: &Monitor<'_>) -> Result<Self> {
        let mut order: Vec<(u64, usize)> = Vec::new();
        reserve(&mut order, numbers.len(), "record numbers")?;
        order.extend(numbers.iter().copied().zip(0..));
        // In the order of their numbers, so that each index node is read once.
        order.sort_unstable();
        let wanted = coordinates(&snapshot, &order, monitor)?;
        let blocks = blocks_of(&snapshot, wanted.iter().map(|(at, _)| at.frame))?;
        Ok(Self { snapshot, wanted, done: 0, blocks })
    }

    /// Takes the records of the next blocks; empty when all have been returned.
    fn take_batch(&mut self) -> Result<Vec<(usize, Record)>> {
        let mut batch = Vec::new();
        let mut at_hand: Option<(u64, Arc<Block>)> = None;
        let (mut blocks, mut bytes) = (0, 0);
        for &(at, index) in &self.wanted[self.done..] {
            if bytes > BYTES_PER_BATCH || batch.len() == RECORDS_PER_BATCH {
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
            let record = self.snapshot.block_reader().entry_in(block, at)?;
            // Records of a block that is not kept as a whole are copies, possibly of the same bytes.
            bytes += if is_whole { 0 } else { record.len() };
            batch.push((index, record));
        }
        self.done += batch.len();
        Ok(batch)
    }
}

impl Iterator for RecordsAt {
    type Item = Result<Vec<(usize, Record)>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.take_batch();
        if batch.is_err() {
            self.done = self.wanted.len();
        }
        Some(batch).filter(|batch| !matches!(batch, Ok(batch) if batch.is_empty()))
    }
}

impl std::iter::FusedIterator for RecordsAt {}

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

/// The leaves of the records, in the order of their numbers.
fn leaves(
    snapshot: &Arc<Snapshot>,
    places: &[(Place, usize)],
    monitor: &Monitor<'_>,
) -> Result<Vec<(u64, Node)>> {
    let mut leaves = Vec::new();
    let mut missing = Vec::new();
    let mut last = None;
    for (place, _) in places {
        if let Place::InLeaf(number, _) = *place
            && last != Some(number)
        {
            last = Some(number);
            monitor.add_work(0)?;
            match snapshot.index().cached_leaf(number) {
                Some(leaf) => leaves.push((number, leaf)),
                None => missing.push((snapshot.index().leaf_position(number)?, number)),
            }
        }
    }
    missing.sort_unstable();
    let mut blocks = blocks_of(snapshot, missing.iter().map(|(at, _)| at.frame))?;
    let mut at_hand = None;
    monitor.set_total(missing.len() as u64);
    for ((at, number), read) in missing.into_iter().zip(0..) {
        monitor.advance_to(read);
        monitor.add_work(0)?;
        let leaf = match &at_hand {
            // A file may share its index nodes.
            Some((same, leaf)) if *same == at => Node::clone(leaf),
            _ => {
                let block = fetch(&mut blocks, snapshot, at.frame)?;
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

/// Returns the blocks of these ascending frames, inflated in parallel.
fn blocks_of(
    snapshot: &Arc<Snapshot>,
    rising: impl Iterator<Item = u64>,
) -> Result<ReadAhead<std::vec::IntoIter<u64>>> {
    let mut frames: Vec<u64> = Vec::new();
    for frame in rising {
        if frames.last() != Some(&frame) {
            reserve(&mut frames, 1, "frame positions")?;
            frames.push(frame);
        }
    }
    Ok(ReadAhead::new(snapshot, frames.into_iter()))
}

fn fetch(
    blocks: &mut ReadAhead<std::vec::IntoIter<u64>>,
    snapshot: &Snapshot,
    frame: u64,
) -> Result<Arc<Block>> {
    blocks.discard_before(frame);
    match blocks.get(frame)? {
        Some(block) => Ok(block),
        None => snapshot.block_reader().block(frame),
    }
}

impl Snapshot {
    /// Finds the records with these numbers, in any order and as often as they are asked for; see [`RecordsAt`].
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for a number that is 0 or more than
    /// [`record_count`](Self::record_count), [`Error::Corrupt`](crate::Error::Corrupt) if the index is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two", "three"])?;
    /// let batches = log.snapshot()?.records_at(&[1, 3, 3])?;
    /// assert_eq!(batches.map(|batch| batch.map_or(0, |records| records.len())).sum::<usize>(), 3);
    /// # Ok(()) }
    /// ```
    pub fn records_at(self: &Arc<Self>, numbers: &[u64]) -> Result<RecordsAt> {
        RecordsAt::new(Arc::clone(self), numbers, &Monitor::new(self.path(), None))
    }

    /// Finds the records as [`records_at`](Self::records_at) does, and calls `callback` now and then with the index
    /// nodes that have been read for it. If it returns [`ControlFlow::Break`], the error is an
    /// [`Error::Io`](crate::Error::Io) of the kind `Interrupted`.
    ///
    /// # Errors
    ///
    /// What [`records_at`](Self::records_at) returns, and `Interrupted` if the callback ends the work.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(vec!["record"; 10_000])?;
    /// let numbers: Vec<u64> = (1..=10_000).collect();
    /// let stop = |_| ControlFlow::Break(());
    /// assert!(log.snapshot()?.records_at_with_progress(&numbers, stop).is_err());
    /// # Ok(()) }
    /// ```
    pub fn records_at_with_progress(
        self: &Arc<Self>,
        numbers: &[u64],
        callback: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<RecordsAt> {
        RecordsAt::new(Arc::clone(self), numbers, &Monitor::new(self.path(), Some(Box::new(callback))))
    }
}
