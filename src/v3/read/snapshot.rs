//! Immutable states of a file: every read uses one, and is not affected by later changes.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::frames::FrameSource;
use super::run::Run;
use crate::error::{Error, Result};
use crate::read::block::Block;
use crate::read::record::Record;
use crate::read::validity::Validity;
use crate::v3::format::index::Child;
use crate::v3::log::{Entries, LogEntry, LogState, Metadata};

/// The records and metadata at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) state: LogState,
    /// The records that a writer has added but not committed.
    pub(crate) draft: Entries,
    pub(crate) total: u64,
    pub(crate) metadata: Metadata,
    pub(crate) frames: FrameSource,
    pub(crate) is_uncommitted: bool,
}

/// The place of a record.
enum Place {
    /// In the block of this child, whose first record has this number.
    Block(Child, u64),
    Entry(LogEntry),
}

/// Returns the child of `parent` that leads to a record, and the number of records before it.
#[inline]
fn step(children: &[Child], number: u64, parent: Child, mut before: u64) -> (Child, u64) {
    let mut child = parent;
    for next in children {
        child = *next;
        if number <= before + child.records {
            break;
        }
        before += child.records;
    }
    (child, before)
}

impl Snapshot {
    /// Creates the snapshot of a committed state.
    pub(crate) fn committed(frames: FrameSource, state: LogState) -> Self {
        let (total, metadata) = (state.total, state.metadata.clone());
        Self { state, draft: Entries::default(), total, metadata, frames, is_uncommitted: false }
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.total
    }

    pub(crate) fn record(&self, number: u64) -> Result<Record> {
        Ok(self.run(number)?.record(number))
    }

    /// Returns the record if it and its index nodes are in memory.
    #[inline]
    pub(crate) fn record_cached(&self, number: u64) -> Result<Option<Record>> {
        Ok(self.cached_run(number)?.map(|run| run.record(number)))
    }

    /// Returns the records in the block or entry of the one with this number.
    pub(crate) fn run(&self, number: u64) -> Result<Run> {
        Ok(match self.place(number)? {
            Place::Block(child, first) => Run::Block(self.frames.block(&child, first)?, first),
            Place::Entry(entry) => self.run_of(entry),
        })
    }

    /// Like [`run`](Self::run), but only if they are in memory.
    #[inline]
    pub(super) fn cached_run(&self, number: u64) -> Result<Option<Run>> {
        if self.is_framed(number)? {
            let found =
                self.find_block_by(number, |child, first| Ok(self.frames.cached_node(child, first)))?;
            let block = |(child, first)| Some(Run::Block(self.frames.cached_block(&child, first)?, first));
            return Ok(found.and_then(block));
        }
        Ok(Some(self.run_of(self.entry(number)?)))
    }

    /// Returns the numbers of the records in the block or entry of the one with this number.
    pub(crate) fn span(&self, number: u64) -> Result<RangeInclusive<u64>> {
        Ok(match self.place(number)? {
            Place::Block(child, first) => first..=first + child.records - 1,
            Place::Entry(entry) => self.first_of(&entry)..=entry.header.last(),
        })
    }

    /// Returns the first record of an entry that is not in a frame: those before it are found there.
    fn first_of(&self, entry: &LogEntry) -> u64 {
        entry.header.first.max(self.state.frames.count() + 1)
    }

    fn run_of(&self, entry: LogEntry) -> Run {
        let first = self.first_of(&entry);
        Run::Entry(entry, first)
    }

    /// Returns the numbers of the records that are, or will be, compressed together with the one with this number.
    pub(crate) fn block_of(&self, number: u64) -> Result<RangeInclusive<u64>> {
        if self.is_framed(number)? { self.span(number) } else { Ok(self.pending().0) }
    }

    /// Returns the records that are not in frames yet, and their total length.
    pub(crate) fn pending(&self) -> (RangeInclusive<u64>, u64) {
        let first = self.state.frames.count() + 1;
        let entries = self.state.entries.iter().chain(self.draft.iter());
        (first..=self.total, entries.map(|entry| entry.bytes_from(first)).sum())
    }

    /// Returns whether it shows a transaction that is or was open.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.is_uncommitted
    }

    /// Returns whether this state, of the same file, was committed later, or has later frames.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        (self.state.end, self.state.serial) > (other.state.end, other.state.serial)
    }

    /// Returns whether both show the same records and metadata; other entries are ignored.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> Result<bool> {
        if self.state.end == other.state.end {
            return Ok(true);
        }
        Ok(self.total == other.total && self.metadata()?.as_deref() == other.metadata()?.as_deref())
    }

    pub(crate) fn no_such_record(&self, number: u64) -> Error {
        Error::NoSuchRecord { path: self.frames.file.path.clone(), number, count: self.total }
    }

    /// Returns whether the record with this number, which must exist, is in a frame.
    #[inline]
    fn is_framed(&self, number: u64) -> Result<bool> {
        if number == 0 || number > self.total {
            return Err(self.no_such_record(number));
        }
        Ok(number <= self.state.frames.count())
    }

    fn place(&self, number: u64) -> Result<Place> {
        if self.is_framed(number)? {
            let (child, first) = self.find_block(number)?;
            return Ok(Place::Block(child, first));
        }
        self.entry(number).map(Place::Entry)
    }

    /// Returns the entry of a record that is not in a frame.
    fn entry(&self, number: u64) -> Result<LogEntry> {
        let list = if number <= self.state.total { &self.state.entries } else { &self.draft };
        let entry = list.find(number).and_then(|index| list.get(index));
        entry.cloned().ok_or_else(|| self.no_such_record(number))
    }

    /// Returns the block of a record in frames, and the number of its first record.
    pub(crate) fn find_block(&self, number: u64) -> Result<(Child, u64)> {
        let found = self.find_block_by(number, |child, first| self.frames.node(child, first).map(Some))?;
        found.ok_or_else(|| self.no_such_record(number))
    }

    /// Descends through the nodes that `node` returns. Returns `None` if it returns none.
    #[inline]
    fn find_block_by(
        &self,
        number: u64,
        node: impl Fn(&Child, u64) -> Result<Option<Arc<Vec<Child>>>>,
    ) -> Result<Option<(Child, u64)>> {
        let Some((mut height, child, mut before)) = self.state.frames.path.find(number) else {
            return Ok(None);
        };
        let mut child = *child;
        while height > 0 {
            let Some(children) = node(&child, before + 1)? else {
                return Ok(None);
            };
            (child, before) = step(&children, number, child, before);
            height -= 1;
        }
        Ok(Some((child, before + 1)))
    }

    /// Returns the index node of this height on the way to a record in frames, if there is one, and the number of its first
    /// record.
    pub(super) fn node_above(&self, number: u64, height: usize) -> Result<Option<(Child, u64)>> {
        let Some((mut at, child, mut before)) = self.state.frames.path.find(number) else {
            return Ok(None);
        };
        let mut child = *child;
        while at > height {
            let children = self.frames.node(&child, before + 1)?;
            (child, before) = step(&children, number, child, before);
            at -= 1;
        }
        Ok((at == height).then_some((child, before + 1)))
    }

    /// Returns the metadata of the same commit as the records.
    pub(crate) fn metadata(&self) -> Result<Option<Record>> {
        Ok(match &self.metadata {
            Metadata::None => None,
            Metadata::Frame(position) => {
                let bytes = Arc::new(Block::whole(self.frames.metadata(*position)?, Validity::Always));
                let range = 0..bytes.bytes.len();
                Some(Record::new(bytes, range))
            }
            Metadata::Entry(entry) => Some(entry.metadata()),
        })
    }

    /// Returns the commit time of a record, in nanoseconds since 1970, or `None` if it is not committed.
    pub(crate) fn commit_time(&self, number: u64) -> Result<Option<u64>> {
        let run = self.run(number)?;
        Ok((number <= self.state.total).then(|| run.time(number)))
    }

    /// Returns the number of the first record that was committed at or after `time`, if there is one.
    pub(crate) fn number_at(&self, time: u64) -> Result<Option<u64>> {
        let mut before = 0;
        for (height, child) in self.state.frames.path.roots() {
            if child.time >= time {
                return self.number_below(height, *child, before, time).map(Some);
            }
            before += child.records;
        }
        let entries = &self.state.entries;
        let at = entries.partition_point(|entry| entry.time < time);
        let first = entries.get(at).map(|entry| entry.header.first.max(self.state.frames.count() + 1));
        Ok(first.filter(|first| *first <= self.state.total))
    }

    fn number_below(&self, mut height: usize, mut child: Child, mut before: u64, time: u64) -> Result<u64> {
        while height > 0 {
            let children = self.frames.node(&child, before + 1)?;
            let at = children.partition_point(|child| child.time < time);
            before += children[..at].iter().map(|child| child.records).sum::<u64>();
            child = children.get(at).copied().unwrap_or(child);
            height -= 1;
        }
        let block = self.frames.block(&child, before + 1)?;
        Ok(before + 1 + u64::from(block.index_at(time).unwrap_or_default()))
    }
}
