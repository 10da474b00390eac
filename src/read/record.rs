//! A record's bytes, as a slice of the inflated block that holds them.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::read::block::Block;

/// Holds one record's bytes, as a slice of the inflated block that they are part of.
///
/// It dereferences to a slice of bytes, so the records of one file can be added to another:
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (path, other) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two"])?;
/// log.commit()?;
/// let records: Vec<_> = log.snapshot()?.records(1).collect::<capturefile::Result<_>>()?;
/// assert_eq!(records[1], *b"two");
///
/// let copy = capturefile::OpenOptions::new().write(true).open(&other)?;
/// copy.add_records(&records)?;
/// copy.commit()?;
/// assert_eq!(Vec::from(copy.snapshot()?.record(1)?), b"one");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Record {
    block: Arc<Block>,
    range: Range<usize>,
}

impl Record {
    /// Creates the record in this range of a block.
    #[inline]
    pub(crate) fn new(block: Arc<Block>, range: Range<usize>) -> Self {
        Self { block, range }
    }
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block.bytes[self.range.clone()]
    }
}

impl AsRef<[u8]> for Record {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Record {}

impl PartialEq<[u8]> for Record {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Record {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl From<Record> for Vec<u8> {
    fn from(record: Record) -> Self {
        record.to_vec()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Record of {} bytes", self.len())
    }
}
