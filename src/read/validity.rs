//! The snapshots for which data read from a file is valid.

use std::sync::atomic::{AtomicU64, Ordering};

/// The validity of a cache entry: for all snapshots in which it is committed, or for those of one epoch.
///
/// A frame that ends within the whole pages of a commit can never change. Frames beyond may belong to a
/// transaction that is rolled back, and are valid only for the epoch in which they were read. A snapshot of
/// such a transaction must not use frames that were committed in their place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Always,
    Epoch(u64),
}

/// The cache entries that a snapshot accepts for a given frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust {
    pub(crate) epoch: u64,
    /// Whether the frame is part of a commit for this snapshot. If it belongs to an open transaction, a
    /// committed entry may be another frame that took its place after the transaction ended.
    pub(crate) committed: bool,
}

impl Trust {
    pub(super) fn accepts(self, validity: Validity) -> bool {
        match validity {
            Validity::Always => self.committed,
            Validity::Epoch(epoch) => epoch == self.epoch,
        }
    }
}

/// Returns a number that is unique in this process.
pub(crate) fn new_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
