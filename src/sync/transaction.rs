//! An open transaction, as seen by the snapshots that contain its uncommitted frames.

use crate::sync::forks::forks;
use crate::sync::{Arc, OnceLock};

/// An open transaction. Its frames are in the file until it is rolled back; before that they are saved here,
/// for snapshots that are still in use.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) epoch: u64,
    /// The count of forks at its start: a forked child is not informed when it is rolled back.
    forks: u64,
    saved: OnceLock<Saved>,
}

/// Whole pages that were saved before being overwritten, up to the last one that was written.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Where they start in the file; everything before is committed and in the file.
    pub(crate) start: u64,
    pub(crate) pages: Vec<u8>,
}

/// The saved pages of a forked child, which has none.
static NOTHING: Saved = Saved { start: 0, pages: Vec::new() };

impl Transaction {
    pub(crate) fn new(epoch: u64) -> Arc<Self> {
        Arc::new(Self { epoch, forks: forks(), saved: OnceLock::new() })
    }

    /// Saves the whole pages written past the last commit, before they are overwritten.
    pub(crate) fn save(&self, saved: Saved) {
        // A transaction is rolled back once; a second save would save the same bytes.
        let _ = self.saved.set(saved);
    }

    /// Returns the saved pages, if the frames may no longer be in the file.
    fn saved(&self) -> Option<&Saved> {
        if self.is_forked() { Some(&NOTHING) } else { self.saved.get() }
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// Calls `work` with the saved frames, or with `None` while they are in the file.
    pub(crate) fn read<T>(&self, work: impl Fn(Option<&Saved>) -> T) -> T {
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
