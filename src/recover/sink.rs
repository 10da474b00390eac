//! Where recovered records go: the new file, and the account of what was lost.

use std::ops::RangeInclusive;

use crate::capture_file::CaptureFile;
use crate::error::Result;

use super::raw::Watch;
use super::{Lost, Recovery};

/// Takes the records of a damaged file in order, and notes which are missing.
pub(super) struct Sink<'a> {
    target: &'a CaptureFile,
    pub(super) recovery: &'a mut Recovery,
    /// Whether a lost record leaves an empty one in its place.
    keep_numbers: bool,
    /// Whether it is certain how many records are below an index node.
    pub(super) counts_known: bool,
    /// Whether all that follows is uncertain.
    pub(super) doubt: bool,
    watch: Watch,
    /// Records handled so far, found or lost.
    pub(super) records: u64,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        target: &'a CaptureFile,
        recovery: &'a mut Recovery,
        keep_numbers: bool,
        watch: Watch,
    ) -> Self {
        Self { target, recovery, keep_numbers, counts_known: true, doubt: false, watch, records: 0 }
    }

    /// Adds a record to the new file. One that is not `certain` may be something else.
    pub(super) fn add(&mut self, record: &[u8], certain: bool) -> Result<()> {
        self.watch.note(record.len() as u64)?;
        let number = self.target.add_record(record)?;
        self.recovery.recovered += 1;
        self.records = self.records.saturating_add(1);
        if !certain || self.doubt {
            push(&mut self.recovery.uncertain, number);
        }
        Ok(())
    }

    /// Notes `count` records as lost; `exact` if there are so many for certain, and just here.
    pub(super) fn lose(&mut self, count: u64, exact: bool) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let exact = exact && self.counts_known;
        let first = self.records.saturating_add(1);
        let last = self.records.saturating_add(count);
        self.records = last;
        match self.recovery.lost.last_mut() {
            Some(before) if before.last + 1 == first && before.exact == exact => before.last = last,
            _ => self.recovery.lost.push(Lost { first, last, exact }),
        }
        if self.keep_numbers {
            for _ in 0..count {
                self.watch.note(0)?;
                self.target.add_record(b"")?;
            }
        }
        Ok(())
    }
}

fn push(ranges: &mut Vec<RangeInclusive<u64>>, number: u64) {
    match ranges.last_mut() {
        Some(range) if *range.end() + 1 == number => *range = *range.start()..=number,
        _ => ranges.push(number..=number),
    }
}
