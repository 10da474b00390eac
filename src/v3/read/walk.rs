//! Iterating over the records of a file of version 3.

use std::sync::Arc;

use super::run::Run;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::read::record::Record;
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
        if let Some(run) = self.at_hand(number) {
            return Ok(run.record(number));
        }
        let key = *self.scan.source().span(number)?.start();
        let is_scan = self.scan.note(key);
        let run = self.scan.fetch(key)?;
        if is_scan {
            self.scan.read_ahead(key, last);
        }
        let record = run.record(number);
        self.scan.hold(key, run);
        Ok(record)
    }
}
