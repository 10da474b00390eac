//! The compressed blocks of a snapshot in order, with their records.

use std::fmt;
use std::sync::Arc;

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::Result;
use crate::read::blocks::{BlockInfo, Blocks as V2};
use crate::v3::read::blocks::Blocks as V3;

/// Iterates over the blocks of a snapshot in file order.
///
/// After an error, it continues with the next block that can be found. For an index node that cannot be read, it
/// returns one error, and then the blocks below it, whose records are unknown.
///
/// ```
/// use capturefile::Result;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(vec![b"a line of text"; 10_000])?;
/// let sizes: Vec<u64> = log.snapshot()?.blocks().map(|block| Ok(block?.size)).collect::<Result<_>>()?;
/// assert!(sizes.len() > 1);
/// # Ok(()) }
/// ```
pub struct Blocks {
    snapshot: Arc<Snapshot>,
    inner: Inner,
}

enum Inner {
    V2(Box<V2>),
    V3(V3),
}

impl fmt::Debug for Blocks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Blocks").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl Iterator for Blocks {
    type Item = Result<BlockInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.inner {
            Inner::V2(blocks) => blocks.next(),
            Inner::V3(blocks) => blocks.next(),
        }
    }
}

impl Snapshot {
    /// Iterates over the compressed blocks in file order.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.snapshot()?.blocks().count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn blocks(self: &Arc<Self>) -> Blocks {
        let inner = match self.state() {
            AnyState::V2(state) => Inner::V2(Box::new(V2::new(Arc::clone(state)))),
            AnyState::V3(state) => Inner::V3(V3::new(Arc::clone(state))),
        };
        Blocks { snapshot: Arc::clone(self), inner }
    }
}
