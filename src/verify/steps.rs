//! The path down the index of a file to a record, step by step.

use crate::error::Error;
use crate::format::Coordinates;

/// The path down the index to a record, as far as the file can be read; see
/// [`Structure::path_to`](crate::Structure::path_to).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let found = capturefile::Structure::read(&path)?.path_to(1);
/// assert_eq!((found.steps.len(), found.error.is_none()), (2, true));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct IndexPath {
    /// From the current master node down.
    pub steps: Vec<IndexStep>,
    /// Why the path ends before the record.
    pub error: Option<Error>,
}

/// A step on the path to a record.
///
/// ```
/// use capturefile::IndexStep;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// for step in capturefile::Structure::read(&path)?.path_to(1).steps {
///     match step {
///         IndexStep::Node { height, children, .. } => assert_eq!((height, children), (1, 1)),
///         IndexStep::Record { is_pending, .. } => assert!(is_pending),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexStep {
    /// An index node.
    #[non_exhaustive]
    Node {
        /// Its height; the children of a node of height 1 are records.
        height: u32,
        /// Number of its children: the fan-out, or fewer if it is unfinished.
        children: u64,
        /// Number of records below each child.
        below: u64,
        /// The number of its first record.
        first: u64,
        /// Which child leads to the record, counted from 0; `None` if the record comes after all of them.
        chosen: Option<u64>,
        /// Where it is; `None` if it is unfinished, and so in the master node.
        at: Option<Coordinates>,
    },
    /// The record.
    #[non_exhaustive]
    Record {
        /// Where it is.
        at: Coordinates,
        /// Whether it is in the block that is not compressed yet.
        is_pending: bool,
    },
    /// An index node of a file in version 3 of the format, whose children are blocks or nodes.
    #[non_exhaustive]
    BlockNode {
        /// Its height; the children of a node of height 1 are blocks.
        height: u32,
        /// The number of its first record.
        first: u64,
        /// The number of the last record in or below each child.
        lasts: Vec<u64>,
        /// Which child leads to the record, counted from 0; `None` if the record comes after all of them.
        chosen: Option<usize>,
        /// Where its frame is; `None` if it is unfinished, and so in the head or the log.
        position: Option<u64>,
    },
    /// The block that holds the record, in version 3 of the format.
    #[non_exhaustive]
    Block {
        /// Where its frame is.
        position: u64,
        /// The number of its first record.
        first: u64,
    },
    /// The entry of the log that holds the record, in version 3 of the format.
    #[non_exhaustive]
    Entry {
        /// Its position in the log.
        position: u64,
        /// The number of its first record.
        first: u64,
    },
}
