//! Positions of records in a file of version 3, for reading many of them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::run::Run;
use super::snapshot::Snapshot;
use crate::error::{Result, reserve};
use crate::format::in_memory;
use crate::read::record::Record;
use crate::read::source::BlockSource;
use crate::sync::progress::Monitor;

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
