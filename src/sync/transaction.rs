//! An open transaction, as the snapshots see it that hold its uncommitted frames.

use crate::sync::forks::forks;
use crate::sync::{Arc, OnceLock};

/// The frames are in the file until the transaction is rolled back; then they are saved here first, for those
/// who still read them.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) epoch: u64,
    /// The count of forks when it was opened: a forked child does not hear that it is rolled back.
    forks: u64,
    saved: OnceLock<Vec<u8>>,
}

impl Transaction {
    pub(crate) fn new(epoch: u64) -> Arc<Self> {
        Arc::new(Self { epoch, forks: forks(), saved: OnceLock::new() })
    }

    /// Keeps the whole pages that were written past the last commit, before they are written over.
    pub(crate) fn save(&self, pages: Vec<u8>) {
        // A transaction is rolled back once; a second save would be of the same bytes.
        let _ = self.saved.set(pages);
    }

    /// What was saved, if the frames are not in the file any more, or may not be.
    fn saved(&self) -> Option<&[u8]> {
        if self.is_forked() {
            return Some(&[]);
        }
        self.saved.get().map(Vec::as_slice)
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// What `work` makes of the frames, given those that were saved, or `None` while they are in the file.
    pub(crate) fn read<T>(&self, work: impl Fn(Option<&[u8]>) -> T) -> T {
        loop {
            let saved = self.saved();
            let result = work(saved);
            // If the transaction was rolled back while its pages were read, they may have been written
            // over; now they are in memory.
            if saved.is_some() || self.saved().is_none() {
                return result;
            }
        }
    }
}
