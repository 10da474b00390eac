//! The report of a recovery.

use std::ops::RangeInclusive;

use crate::error::Damage;

/// A range of records of the damaged file that are not in the new one.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let recovery = capturefile::RecoverOptions::new().survey(&path)?;
/// let lost = |lost: &capturefile::LostRange| lost.last - lost.first + 1;
/// assert_eq!(recovery.lost.iter().map(lost).sum::<u64>(), 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRange {
    /// Number of the first record in the damaged file.
    pub first: u64,
    /// Number of the last record in the damaged file.
    pub last: u64,
    /// Whether the numbers are certain. If not, they are the most likely ones, and later numbers are uncertain as
    /// well.
    pub exact: bool,
}

/// The outcome for the metadata.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let recovery = capturefile::RecoverOptions::new().survey(&path)?;
/// assert_eq!(recovery.metadata, capturefile::MetadataOutcome::None);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MetadataOutcome {
    /// The last readable commit has no metadata.
    #[default]
    None,
    /// The new file has the metadata.
    Recovered,
    /// The metadata could not be read, or there is no readable commit that refers to it.
    Lost,
}

/// The result of a recovery; [`recover`](crate::recover()) returns it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let recovery = capturefile::RecoverOptions::new().survey(&path)?;
/// assert_eq!((recovery.recovered, recovery.expected), (1, Some(1)));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Number of records in the new file.
    pub record_count: u64,
    /// Number of records that were found in the damaged file; less if empty records replace lost ones.
    pub recovered: u64,
    /// Number of records in the last readable commit; `None` if there is none.
    pub expected: Option<u64>,
    /// The lost records, by their numbers in the damaged file, in at most a hundred thousand ranges. If there are
    /// more, the last range extends to the last such record.
    pub lost: Vec<LostRange>,
    /// Records, by their numbers in the new file, that may be old metadata, or may never have been
    /// committed, or may be damaged because the checksum that would show it is lost; also in at most a hundred thousand
    /// ranges.
    pub uncertain: Vec<RangeInclusive<u64>>,
    /// The outcome for the metadata.
    pub metadata: MetadataOutcome,
    /// If the metadata is lost: the last data that certainly was metadata, perhaps an older version.
    pub last_metadata: Option<Vec<u8>>,
    /// Whether a commit after the last readable one may have been lost.
    pub later_commit_lost: bool,
    /// The damage, at most a thousand items.
    pub problems: Vec<Damage>,
}

impl Recovery {
    /// Returns whether the new file certainly has everything that was committed, and nothing else.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let recovery = capturefile::RecoverOptions::new().survey(&path)?;
    /// assert!(recovery.is_complete());
    /// # Ok(()) }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty()
            && self.uncertain.is_empty()
            && self.expected == Some(self.recovered)
            && self.metadata != MetadataOutcome::Lost
            && !self.later_commit_lost
    }
}
