//! The report of a verification.

use std::ops::RangeInclusive;

use crate::error::Damage;

use super::lists::{list_problem, list_run};

/// Maximum number of ranges in a report.
const MAX_RANGES: usize = 1000;

/// Reports what a verification found; [`verify`](crate::verify) returns it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let report = capturefile::verify(&path)?;
/// assert_eq!((report.record_count, report.records_checked), (1, 1));
/// assert!(report.unreadable.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The record count according to the file.
    pub record_count: u64,
    /// Number of records that were checked and are intact; less than `record_count` if subtrees are shared.
    pub records_checked: u64,
    /// Number of compressed frames that were inflated.
    pub frames: u64,
    /// Number of distinct index nodes that were checked.
    pub index_nodes: u64,
    /// The damage, at most a thousand items.
    pub problems: Vec<Damage>,
    /// Damage that a crash leaves and the next writer repairs; committed data is not affected.
    pub repairable: Vec<Damage>,
    /// Numbers of the records that cannot be read, in order, in at most a thousand ranges. If there
    /// are more, the last range extends to the last such record.
    pub unreadable: Vec<RangeInclusive<u64>>,
}

impl Report {
    /// Returns whether there is no damage, apart from what the next writer repairs.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(capturefile::verify(&path)?.is_sound());
    /// # Ok(()) }
    /// ```
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn note(&mut self, damage: Damage) {
        list_problem(&mut self.problems, damage);
    }

    pub(super) fn note_unreadable(&mut self, first: u64, count: u64) {
        list_run(&mut self.unreadable, first..=first.saturating_add(count - 1), MAX_RANGES);
    }
}
