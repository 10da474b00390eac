//! The destination of recovered records: the new file, and the report of lost ones.

use std::path::PathBuf;

use crate::error::{Damage, Error, Result};
use crate::sync::progress::Monitor;
use crate::verify::{Run, list_run};

use super::raw::Raw;
use super::report::{LostRange, Recovery};
use super::target::Target;

/// Maximum number of ranges in a report.
const MAX_RANGES: usize = 100_000;
/// Maximum number of records per byte of the file: each takes at least four bytes of a block, and a byte of the file
/// can expand to a thousand.
const MAX_RECORDS_PER_BYTE: u64 = 258;

/// Receives the records of a damaged file in order, and notes which are missing.
pub(super) struct Sink<'a> {
    /// The new file; `None` if only the report is needed.
    target: Option<&'a Target>,
    pub(super) recovery: &'a mut Recovery,
    /// Whether lost records are replaced by empty ones.
    keep_numbers: bool,
    /// Whether the number of records below an index node is certain.
    pub(super) counts_known: bool,
    /// Whether everything that follows is uncertain.
    pub(super) doubt: bool,
    source: PathBuf,
    monitor: Monitor<'a>,
    /// Number of lost records that may still be replaced by empty ones.
    room: u64,
    /// Number of records so far, found or lost.
    pub(super) records: u64,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        target: Option<&'a Target>,
        recovery: &'a mut Recovery,
        keep_numbers: bool,
        raw: &Raw<'a>,
    ) -> Self {
        Self {
            target,
            recovery,
            keep_numbers,
            counts_known: true,
            doubt: false,
            source: raw.path.clone(),
            monitor: raw.monitor.clone(),
            room: raw.length.saturating_mul(MAX_RECORDS_PER_BYTE),
            records: 0,
        }
    }

    /// Adds a record to the new file. If it is not `certain`, it may be something else.
    pub(super) fn add(&mut self, record: &[u8], certain: bool) -> Result<()> {
        self.monitor.add_work(record.len() as u64)?;
        let number = self.write(record)?;
        self.recovery.recovered += 1;
        self.records = self.records.saturating_add(1);
        if !certain || self.doubt {
            list_run(&mut self.recovery.uncertain, number..=number, MAX_RANGES);
        }
        Ok(())
    }

    /// Records that everything added from now on was committed at `time` or later.
    pub(super) fn set_commit_time(&mut self, time: u64) -> Result<()> {
        self.target.map_or(Ok(()), |target| target.set_commit_time(time))
    }

    /// Notes `count` records as lost, `exact` if their number and place are certain.
    pub(super) fn lose(&mut self, count: u64, exact: bool) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let exact = exact && self.counts_known;
        let first = self.records.saturating_add(1);
        let last = self.records.saturating_add(count);
        self.records = last;
        list_run(&mut self.recovery.lost, LostRange { first, last, exact }, MAX_RANGES);
        if self.keep_numbers {
            self.room = self.room.checked_sub(count).ok_or_else(|| self.too_many(count))?;
            for _ in 0..count {
                self.monitor.add_work(0)?;
                self.write(b"")?;
            }
        }
        Ok(())
    }

    /// Returns the number of the record in the new file.
    fn write(&mut self, record: &[u8]) -> Result<u64> {
        if let Some(target) = self.target {
            target.add_record(record)?;
        }
        self.recovery.record_count += 1;
        Ok(self.recovery.record_count)
    }

    fn too_many(&self, count: u64) -> Error {
        let found =
            format!("an index according to which {count} records are lost after {}", self.recovery.recovered);
        Error::corrupt(&self.source, Damage::new(found, "no more than the file can have held"))
    }
}

impl Run for LostRange {
    fn is_continued_by(&self, next: &Self) -> bool {
        self.last.checked_add(1) == Some(next.first) && self.exact == next.exact
    }

    fn extend_over(&mut self, next: &Self) {
        self.exact &= self.is_continued_by(next);
        self.last = next.last;
    }
}
