//! Whether a writer may still write, and the commit whose failure ended that.

use std::io;
use std::path::Path;

use crate::error::{Error, io_again};

#[derive(Debug)]
pub(super) enum Health {
    Good,
    /// The failure, after which nothing is written.
    Failed {
        reason: String,
        lost: LostCommit,
    },
}

/// A commit that failed for good, for all whose changes were in it.
#[derive(Debug)]
pub(super) struct LostCommit {
    pub(super) changes: u64,
    pub(super) source: io::Error,
    pub(super) is_uncertain: bool,
}

impl LostCommit {
    pub(super) fn error(&self, path: &Path) -> Error {
        let source = io_again(&self.source);
        if self.is_uncertain {
            Error::CommitUncertain { path: path.to_owned(), source }
        } else {
            Error::io(path, "sync", source)
        }
    }
}
