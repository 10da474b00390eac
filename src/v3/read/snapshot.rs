//! An immutable state of a file: every read runs on one, whatever happens to the file meanwhile.

use std::ops::{Deref, Range};
use std::sync::Arc;

use super::frames::FrameSource;
use crate::error::{Error, Result};
use crate::v3::codec::Block;
use crate::v3::format::index::Child;
use crate::v3::log::{Entries, Entry, Metadata, State};

/// The records and metadata of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    /// What a writer has added and not committed.
    pub(crate) draft: Entries,
    pub(crate) total: u64,
    pub(crate) metadata: Metadata,
    pub(crate) frames: FrameSource,
}

/// The bytes of a record or of metadata, within what they were read in.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Debug, Clone)]
enum Owner {
    Block(Arc<Block>),
    Window(Arc<Vec<u8>>),
    Whole(Arc<[u8]>),
}

impl Deref for Record {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let bytes = match &self.owner {
            Owner::Block(block) => block.bytes(),
            Owner::Window(window) => window,
            Owner::Whole(bytes) => bytes,
        };
        &bytes[self.range.clone()]
    }
}

/// Where a record is.
enum Place {
    /// In the block of this child, whose first record has this number.
    Block(Child, u64),
    Entry(Entry),
}

impl Snapshot {
    /// A committed state.
    pub(crate) fn committed(frames: FrameSource, state: State) -> Self {
        let (total, metadata) = (state.total, state.metadata.clone());
        Self { state, draft: Entries::default(), total, metadata, frames }
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.total
    }

    pub(crate) fn record(&self, number: u64) -> Result<Record> {
        match self.place(number)? {
            Place::Block(child, first) => {
                let block = self.frames.block(&child, first)?;
                let range = block.range(u32::try_from(number - first).unwrap_or(u32::MAX));
                Ok(Record { owner: Owner::Block(block), range })
            }
            Place::Entry(entry) => {
                Ok(Record { range: entry.range(number), owner: Owner::Window(Arc::clone(entry.window())) })
            }
        }
    }

    fn no_such_record(&self, number: u64) -> Error {
        Error::NoSuchRecord { path: self.frames.file.path.clone(), number, count: self.total }
    }

    fn place(&self, number: u64) -> Result<Place> {
        if number == 0 || number > self.total {
            return Err(self.no_such_record(number));
        }
        if number <= self.state.frames.count() {
            let (child, first) = self.find_block(number)?;
            return Ok(Place::Block(child, first));
        }
        let list = if number <= self.state.total { &self.state.entries } else { &self.draft };
        let entry = list.find(number).and_then(|index| list.get(index));
        entry.cloned().map(Place::Entry).ok_or_else(|| self.no_such_record(number))
    }

    /// The block of a record in frames, and the number of the first record in it.
    fn find_block(&self, number: u64) -> Result<(Child, u64)> {
        let found = self.state.frames.path.find(number).ok_or_else(|| self.no_such_record(number))?;
        let (mut height, mut child, mut before) = (found.0, *found.1, found.2);
        while height > 0 {
            let children = self.frames.node(&child, before + 1)?;
            for next in children.iter() {
                child = *next;
                if number <= before + child.records {
                    break;
                }
                before += child.records;
            }
            height -= 1;
        }
        Ok((child, before + 1))
    }

    /// The metadata of the same commit as the records.
    pub(crate) fn metadata(&self) -> Result<Option<Record>> {
        Ok(match &self.metadata {
            Metadata::None => None,
            Metadata::Frame(position) => {
                let bytes: Arc<[u8]> = self.frames.metadata(*position)?.into();
                Some(Record { range: 0..bytes.len(), owner: Owner::Whole(bytes) })
            }
            Metadata::Entry(entry) => Some(Record {
                range: entry.metadata_range(),
                owner: Owner::Window(Arc::clone(entry.window())),
            }),
        })
    }

    /// When a record was committed, in nanoseconds since 1970.
    pub(crate) fn commit_time(&self, number: u64) -> Result<u64> {
        Ok(match self.place(number)? {
            Place::Block(child, first) => {
                let block = self.frames.block(&child, first)?;
                block.time(u32::try_from(number - first).unwrap_or(u32::MAX))
            }
            Place::Entry(entry) => entry.header.time,
        })
    }

    /// The number of the first record that was committed at or after `time`, if there is one.
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

    /// The records from `first` on, in order.
    pub(crate) fn records(&self, first: u64) -> impl Iterator<Item = Result<Record>> + '_ {
        let mut next = first;
        let mut place = None;
        std::iter::from_fn(move || {
            if next > self.total {
                return None;
            }
            let number = next;
            next += 1;
            Some(self.next_record(number, &mut place))
        })
    }

    /// A record, given the block that the one before was in.
    fn next_record(&self, number: u64, held: &mut Option<(Arc<Block>, u64)>) -> Result<Record> {
        let inside = |(block, first): &(Arc<Block>, u64)| number - first < u64::from(block.count());
        if !held.as_ref().is_some_and(inside) {
            *held = match self.place(number)? {
                Place::Block(child, first) => Some((self.frames.block(&child, first)?, first)),
                Place::Entry(_) => None,
            };
        }
        let Some((block, first)) = held else {
            return self.record(number);
        };
        let range = block.range(u32::try_from(number - *first).unwrap_or(u32::MAX));
        Ok(Record { owner: Owner::Block(Arc::clone(block)), range })
    }
}
