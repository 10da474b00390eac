//! An open transaction, as seen by the snapshots that contain its uncommitted frames.

use crate::sync::forks::forks;
use crate::sync::{Arc, OnceLock};

/// The frames are in the file until the transaction is rolled back; before that they are saved here, for
/// snapshots that are still in use.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) epoch: u64,
    /// The count of forks at its start: a forked child is not informed when it is rolled back.
    forks: u64,
    saved: OnceLock<Vec<u8>>,
}

impl Transaction {
    pub(crate) fn new(epoch: u64) -> Arc<Self> {
        Arc::new(Self { epoch, forks: forks(), saved: OnceLock::new() })
    }

    /// Saves the whole pages written past the last commit, before they are overwritten.
    pub(crate) fn save(&self, pages: Vec<u8>) {
        // A transaction is rolled back once; a second save would save the same bytes.
        let _ = self.saved.set(pages);
    }

    /// Returns the saved pages, if the frames may no longer be in the file.
    fn saved(&self) -> Option<&[u8]> {
        if self.is_forked() {
            return Some(&[]);
        }
        self.saved.get().map(Vec::as_slice)
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// Calls `work` with the saved frames, or with `None` while they are in the file.
    pub(crate) fn read<T>(&self, work: impl Fn(Option<&[u8]>) -> T) -> T {
        loop {
            let saved = self.saved();
            let result = work(saved);
            // If the transaction was rolled back during the read, the pages may have been overwritten; they
            // are in memory now.
            if saved.is_some() || self.saved().is_none() {
                return result;
            }
        }
    }
}
