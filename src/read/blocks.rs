//! The compressed blocks of a snapshot in order, and the records in each.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use crate::error::Result;
use crate::read::run::Run;
use crate::read::snapshot::Snapshot;
use crate::read::walk::Walk;

/// Describes one block: where it is, its sizes, and its records. [`Blocks`](crate::Blocks) iterates over them.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(vec![b"a line of text"; 10_000])?;
/// log.commit()?;
/// let first = log.snapshot()?.blocks().next().expect("there are blocks")?;
/// assert!(first.frame.is_some_and(|frame| frame.compressed_size < first.size));
/// assert_eq!(first.records.map(|records| *records.start()), Some(1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockInfo {
    /// Its compressed form in the file; `None` for the last block, which is not compressed yet and is stored
    /// with the commit.
    pub frame: Option<FrameInfo>,
    /// Inflated size in bytes.
    pub size: u64,
    /// The numbers of its records; `None` if it holds only index nodes or metadata, or if they are unknown.
    pub records: Option<RangeInclusive<u64>>,
    /// Number of records in it; `None` if it is unknown because their index is damaged.
    pub record_count: Option<u64>,
}

/// Describes the compressed form of a block; see [`BlockInfo::frame`].
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// # log.add_records(vec![b"a line of text"; 10_000])?;
/// # log.commit()?;
/// let frames: Vec<_> = log.snapshot()?.blocks().filter_map(|block| block.ok()?.frame).collect();
/// assert_eq!(frames[0].position + frames[0].compressed_size, frames[1].position);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameInfo {
    /// Where it starts, in bytes from the start of the file.
    pub position: u64,
    /// Size in the file in bytes, including its length prefix.
    pub compressed_size: u64,
}

/// The blocks of a state in the order of the file. An index node that cannot be read is one error, after
/// which the blocks follow whose records are unknown.
pub(crate) struct Blocks {
    snapshot: Arc<Snapshot>,
    walk: Walk,
    /// Position of the next frame; `None` at the end.
    next: Option<u64>,
    next_record: u64,
    /// Whether records before `next_record` are in unknown blocks: this one or later ones.
    is_unknown: bool,
    /// Whether the block at `next` was reached before, and an error was returned in its place.
    is_again: bool,
}

impl Blocks {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        let walk = Walk::new(Arc::clone(&snapshot));
        let next = Some(snapshot.geometry().data_start());
        Self { snapshot, walk, next, next_record: 1, is_unknown: false, is_again: false }
    }

    fn take(&mut self, start: u64) -> Result<Option<BlockInfo>> {
        let limit = self.snapshot.file_limit();
        let is_pending = start >= limit;
        if !is_pending {
            match self.snapshot.frames().end_of(start) {
                Ok(end) => self.next = Some(end),
                Err(error) => {
                    self.next = Some(self.pass(start).unwrap_or(limit));
                    return Err(error);
                }
            }
        }
        let records = match self.known_records_in(start.min(limit)) {
            Err(error) if !self.is_again => {
                (self.next, self.is_again) = (Some(start), true);
                return Err(error);
            }
            records => records.ok().flatten(),
        };
        self.is_again = false;
        let record_count = records.as_ref().map(|records| records.end - records.start);
        let records =
            records.filter(|records| !records.is_empty()).map(|records| records.start..=records.end - 1);
        if is_pending {
            let size = self.snapshot.pending_bytes() as u64;
            return Ok((size > 0).then_some(BlockInfo { frame: None, size, records, record_count }));
        }
        let size = self.snapshot.frames().inflate(start)?.size;
        let end = self.next.unwrap_or(limit);
        let frame = Some(FrameInfo { position: start, compressed_size: end - start });
        Ok(Some(BlockInfo { frame, size, records, record_count }))
    }

    /// Returns the records in the block at `frame`, or `None` if they are unknown because of damage that was
    /// reported before. Damage that was not is an error.
    fn known_records_in(&mut self, frame: u64) -> Result<Option<Range<u64>>> {
        if self.is_unknown {
            if self.next_record > self.snapshot.record_count()
                || self.snapshot.frame_of(self.next_record)? > frame
            {
                return Ok(None);
            }
            self.is_unknown = false;
            self.pass_before(frame);
        }
        self.records_in(frame).map(Some).inspect_err(|_| {
            self.is_unknown = true;
            self.skip_unreadable();
        })
    }

    /// Skips records in blocks before `frame`; there may be some after those that are unknown.
    fn pass_before(&mut self, frame: u64) {
        let is_before = |number| self.snapshot.frame_of(number).is_ok_and(|found| found < frame);
        let next = self.next_record;
        if is_before(next) {
            let left = self.snapshot.record_count() - next;
            // No probe fails: anything unreadable ends the search.
            let passed = farthest(left, |ahead| Ok(is_before(next + ahead))).unwrap_or(0);
            self.next_record += passed + 1;
        }
    }

    /// Moves to the next record whose place can be read: leaf by leaf, and by larger subtrees if many leaves
    /// in a row are unreadable.
    fn skip_unreadable(&mut self) {
        let fan_out = u64::from(self.snapshot.geometry().fan_out);
        let (mut span, mut attempts) = (fan_out, 0);
        while self.next_record <= self.snapshot.record_count() {
            self.next_record = ((self.next_record - 1) / span + 1).saturating_mul(span).saturating_add(1);
            if self.next_record > self.snapshot.record_count()
                || self.snapshot.frame_of(self.next_record).is_ok()
            {
                return;
            }
            attempts += 1;
            if attempts % fan_out == 0 {
                span = span.saturating_mul(fan_out);
            }
        }
    }

    /// Skips the block at `start`, whose end is unknown; returns the position of the next one with records.
    fn pass(&mut self, start: u64) -> Result<u64> {
        let Some(left) = self.snapshot.record_count().checked_sub(self.next_record) else {
            return Ok(self.snapshot.file_limit());
        };
        let next = self.next_record;
        if self.snapshot.frame_of(next)? <= start {
            self.next_record +=
                farthest(left, |ahead| Ok(self.snapshot.frame_of(next + ahead)? <= start))? + 1;
        }
        if self.next_record > self.snapshot.record_count() {
            return Ok(self.snapshot.file_limit());
        }
        self.snapshot.frame_of(self.next_record)
    }

    /// Returns the next records, as far as their block has its frame at `frame`.
    fn records_in(&mut self, frame: u64) -> Result<Range<u64>> {
        let first = self.next_record;
        let fan_out = u64::from(self.snapshot.geometry().fan_out);
        // One by one to the end of the leaf, then by whole subtrees.
        let leaf_end = (first - 1).next_multiple_of(fan_out).min(self.snapshot.record_count());
        while self.next_record <= leaf_end && self.walk.coordinates(self.next_record)?.frame == frame {
            self.next_record += 1;
        }
        if self.next_record > leaf_end {
            Run::new(&self.snapshot, frame).pass(&mut self.next_record)?;
        }
        Ok(first..self.next_record)
    }
}

impl Iterator for Blocks {
    type Item = Result<BlockInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        // After an error here, iteration cannot continue.
        let start = self.next.take()?;
        self.take(start).transpose()
    }
}

impl Snapshot {
    /// Finds the numbers of the records that are compressed together with record `number`, itself included.
    pub(crate) fn block_of(&self, number: u64) -> Result<RangeInclusive<u64>> {
        let frame = self.frame_of(number)?;
        let first = farthest(number - 1, |back| Ok(self.frame_of(number - back)? == frame))?;
        let behind = self.record_count() - number;
        let last = farthest(behind, |ahead| Ok(self.frame_of(number + ahead)? == frame))?;
        Ok(number - first..=number + last)
    }

    fn frame_of(&self, number: u64) -> Result<u64> {
        Ok(self.index().coordinates_of(number)?.frame)
    }
}

/// Returns the greatest number, at most `limit`, up to which `holds` is true; it is true at 0. Steps double
/// until it is false and are then halved, since a block has few of the file's records.
fn farthest(limit: u64, holds: impl Fn(u64) -> Result<bool>) -> Result<u64> {
    let mut near = 0;
    let mut step = 1;
    while near + step <= limit && holds(near + step)? {
        near += step;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if near + step <= limit && holds(near + step)? {
            near += step;
        }
    }
    Ok(near)
}
