//! Positions of records in a file of version 3, for reading many of them.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::run::Run;
use super::snapshot::Snapshot;
use crate::error::{Error, Result, reserve};
use crate::format::in_memory;
use crate::read::record::Record;
use crate::read::source::BlockSource;
use crate::storage::Storage;
use crate::sync::progress::Monitor;

/// Maximum number of index nodes that are announced together: no more than there is room for.
const MAX_ANNOUNCED_NODES: usize = 512;

/// The place of a record: the number of the first record in its block or entry, and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    key: u64,
    number: u64,
}

impl BlockSource for Snapshot {
    type Block = Run;
    type Place = Place;
    type Following = BlockScan;

    fn block(&self, key: u64) -> Result<Run> {
        self.run(key)
    }

    fn cached_block(&self, key: u64) -> Option<Run> {
        // A read that needs the damaged data reports it.
        self.cached_run(key).ok().flatten()
    }

    fn storage(&self) -> &dyn Storage {
        &*self.frames.file.storage
    }

    fn unread(&self, error: std::io::Error) -> Error {
        self.frames.file.unread(error, "read")
    }

    fn bytes_of(&self, key: u64) -> Range<u64> {
        let limit = self.frames.limit;
        if key > self.state.frames.count() {
            return limit..limit;
        }
        // A read that needs a damaged node reports it.
        self.find_block(key).map_or(limit..limit, |(child, _)| child.position..child.end())
    }

    fn following(self: &Arc<Self>, key: u64, last: u64) -> BlockScan {
        let mut following = BlockScan { snapshot: Arc::clone(self), next: key, last };
        // The caller has that block.
        following.next();
        following
    }

    fn places(
        self: &Arc<Self>,
        numbers: &[(u64, usize)],
        monitor: &Monitor<'_>,
    ) -> Result<Vec<(Place, usize)>> {
        self.announce_nodes(numbers);
        let mut places = Vec::new();
        reserve(&mut places, numbers.len(), "record positions")?;
        let mut at_hand: Option<RangeInclusive<u64>> = None;
        for &(number, index) in numbers {
            monitor.add_work(0)?;
            let span = match at_hand.take().filter(|span| span.contains(&number)) {
                Some(span) => span,
                None => self.span(number)?,
            };
            places.push((Place { key: *span.start(), number }, index));
            at_hand = Some(span);
        }
        Ok(places)
    }

    fn key(place: Place) -> u64 {
        place.key
    }

    fn record_in(&self, run: Run, place: Place) -> Result<Record> {
        Ok(run.record(place.number))
    }

    fn held_bytes(run: &Run) -> Option<usize> {
        Some(in_memory(run.size()))
    }

    fn threads(&self) -> usize {
        self.frames.file.threads
    }

    fn blocks_in_cache(&self) -> usize {
        in_memory(self.frames.file.cache.capacity() / u64::from(self.frames.file.header.block).max(1))
    }
}

impl Snapshot {
    /// Announces the index nodes on the way to the records with these ascending numbers to a storage that
    /// fetches them.
    fn announce_nodes(&self, numbers: &[(u64, usize)]) {
        let storage = &*self.frames.file.storage;
        if storage.as_object().is_none() {
            return;
        }
        let highest = self.state.frames.path.roots().map(|(height, _)| height).max().unwrap_or(0);
        for height in (1..=highest).rev() {
            let (mut ranges, mut last) = (Vec::new(), 0);
            for &(number, _) in numbers {
                if number > last
                    && ranges.len() < MAX_ANNOUNCED_NODES
                    && let Ok(Some((child, first))) = self.node_above(number, height)
                {
                    last = first + child.records - 1;
                    if self.frames.cached_node(&child, first).is_none() {
                        ranges.push(child.position..child.end());
                    }
                }
            }
            storage.will_read(&mut ranges);
        }
    }
}

/// The first records of consecutive blocks.
#[derive(Debug)]
pub(crate) struct BlockScan {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// The last record that is needed.
    last: u64,
}

impl Iterator for BlockScan {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.next > self.last || self.next > self.snapshot.state.frames.count() {
            return None;
        }
        // Blocks after a damaged node are unknown.
        let (child, first) = self.snapshot.find_block(self.next).ok()?;
        self.next = first + child.records;
        Some(first)
    }
}
