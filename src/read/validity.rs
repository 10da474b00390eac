//! For whom what was read of a file is true.

use std::sync::atomic::{AtomicU64, Ordering};

/// For whom something cached is true: everybody who has it committed, or the snapshots of one epoch.
///
/// A frame that ends within the whole pages of a commit can never change. What lies further may belong
/// to a transaction that is rolled back, and is true only for the epoch that it was read in. So a snapshot
/// of a transaction that was rolled back must not take what was committed in its place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Always,
    Epoch(u64),
}

/// Which entries a snapshot may take from the cache for a given frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust {
    pub(crate) epoch: u64,
    /// Whether the frame is part of a commit for this snapshot. If it is one of an open transaction, what
    /// is true for everybody may be another frame, which took its place after the transaction ended.
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

/// A number that no other epoch of this process has.
pub(crate) fn new_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
