//! Adjacent records in memory, as they were decompressed.

use std::ops::Range;
use std::sync::Arc;

use crate::read::block::Block;

/// Holds adjacent records in memory, as they were decompressed; see
/// [`Records::next_run`](crate::Records::next_run).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
/// log.add_records(std::iter::repeat_n("a line of a log", 100_000))?;
/// log.commit()?;
/// let run = log.snapshot()?.records(1).next_run(1, 100).transpose()?.expect("it is in a block");
/// assert_eq!(run.bytes()[..run.ends()[0] as usize], *b"a line of a log");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RecordRun {
    block: Arc<Block>,
    range: Range<usize>,
    ends: Vec<u32>,
}

impl RecordRun {
    /// Creates a run from a range of a block, with the `ends` of the records relative to the start of the first one.
    pub(crate) fn new(block: Arc<Block>, range: Range<usize>, ends: Vec<u32>) -> Self {
        Self { block, range, ends }
    }

    /// Returns the bytes of all records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
    /// # log.add_records(std::iter::repeat_n("a line of a log", 100_000))?;
    /// # log.commit()?;
    /// let run = log.snapshot()?.records(1).next_run(1, 100).transpose()?.expect("it is in a block");
    /// assert!(run.bytes().starts_with(b"a line of a loga line of a log"));
    /// # Ok(()) }
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.block.bytes[self.range.clone()]
    }

    /// Returns where each record ends in the bytes.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
    /// # log.add_records(std::iter::repeat_n("a line of a log", 100_000))?;
    /// # log.commit()?;
    /// let run = log.snapshot()?.records(1).next_run(1, 100).transpose()?.expect("it is in a block");
    /// assert_eq!(run.ends()[..2], [15, 30]);
    /// # Ok(()) }
    /// ```
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}
