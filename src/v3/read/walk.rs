//! Iterating over the records of a file of version 3.

use std::sync::Arc;

use super::run::Run;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::read::record::Record;
use crate::read::record_run::RecordRun;
use crate::read::scan::Scan;

/// The state of an iteration over the records.
pub(crate) struct Walk {
    scan: Scan<Snapshot>,
}

impl Walk {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { scan: Scan::new(snapshot) }
    }

    fn at_hand(&self, number: u64) -> Option<&Run> {
        self.scan.at_hand().map(|(_, run)| run).filter(|run| run.has(number))
    }

    /// Returns the record with this number if it is in the current block or entry.
    #[inline]
    pub(crate) fn next_cached(&mut self, number: u64) -> Option<&[u8]> {
        self.at_hand(number).map(|run| run.bytes(number))
    }

    /// Returns the record with this number, in an iteration that ends with the record `last`.
    pub(crate) fn take(&mut self, number: u64, last: u64) -> Result<Record> {
        match self.at_hand(number) {
            Some(run) => Ok(run.record(number)),
            None => self.reach(number, last).map(|run| run.record(number)),
        }
    }

    /// Returns the records from this number on, up to `last`, as they are in a block, in an iteration that
    /// ends with the record `end`; `None` if they are not in one, or have fewer than `min_bytes` bytes.
    pub(crate) fn next_run(
        &mut self,
        number: u64,
        last: u64,
        end: u64,
        min_bytes: usize,
    ) -> Result<Option<RecordRun>> {
        self.reach(number, end)?.side_by_side(number, last, min_bytes)
    }

    /// Returns the records in the block or entry of the one with this number.
    fn reach(&mut self, number: u64, last: u64) -> Result<Run> {
        if let Some(run) = self.at_hand(number) {
            return Ok(run.clone());
        }
        let key = *self.scan.source().span(number)?.start();
        let is_scan = self.scan.note(key);
        let run = self.scan.fetch(key)?;
        if is_scan {
            self.scan.read_ahead(key, last);
        }
        self.scan.hold(key, run.clone());
        Ok(run)
    }
}
