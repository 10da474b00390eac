//! What a recovery found, and what it did not.

use std::ops::RangeInclusive;

use crate::error::Damage;

/// Names records of the damaged file that are not in the new one.
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
    /// The first one's number in the damaged file.
    pub first: u64,
    /// The last one's.
    pub last: u64,
    /// Whether these are the numbers for certain. If not, they are the most likely ones, and numbers behind
    /// them are as uncertain.
    pub exact: bool,
}

/// Says what became of the metadata.
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
    /// The last readable commit has none.
    #[default]
    None,
    /// The new file has it.
    Recovered,
    /// It could not be read, or no commit can be that would say where it is.
    Lost,
}

/// Says what a recovery found, and what it did not.
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
    /// Records of the new file.
    pub record_count: u64,
    /// Those that were found in the damaged one; fewer if empty ones stand in the place of lost ones.
    pub recovered: u64,
    /// How many there were by the last commit that can be read; `None` if none can.
    pub expected: Option<u64>,
    /// Records that are lost, by their numbers in the damaged file. There are at most a hundred thousand ranges;
    /// if there were more, the last one continues to the last such record.
    pub lost: Vec<LostRange>,
    /// Records, by their numbers in the new file, that may be old metadata, or may never have been
    /// committed. There are at most a hundred thousand ranges, too.
    pub uncertain: Vec<RangeInclusive<u64>>,
    /// What became of the metadata.
    pub metadata: MetadataOutcome,
    /// Where the metadata is lost: the last of which is sure that it was metadata, perhaps an older one.
    pub last_metadata: Option<Vec<u8>>,
    /// Whether a later commit may have been lost than the last one that can be read.
    pub later_commit_lost: bool,
    /// What is damaged, at most a thousand things.
    pub problems: Vec<Damage>,
}

impl Recovery {
    /// Returns whether the new file has for certain all that was committed, and nothing else.
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
