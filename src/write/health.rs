//! Whether a writer may still write, and the commit whose failure ended that.

use std::io;
use std::path::Path;

use crate::error::{Error, Result, io_again};
use crate::lock::WriteRight;

#[derive(Debug)]
pub(crate) enum Health {
    Good,
    /// The failure, after which nothing is written.
    Failed {
        reason: String,
        lost: Option<LostCommit>,
    },
}

/// A commit that failed for good, kept for all callers whose changes were in it.
#[derive(Debug)]
pub(crate) struct LostCommit {
    changes: u64,
    source: io::Error,
    is_uncertain: bool,
}

/// Why a commit has failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file was truncated or removed.
    Harmed(Error),
    /// There was no space for it; the file is unchanged.
    Untouched(Error),
    /// Data that it needs did not reach the disk, or it is uncertain whether the commit happened.
    Lost { source: io::Error, is_uncertain: bool },
}

impl Failure {
    /// A sync before the commit has failed.
    pub(crate) fn sync(source: io::Error) -> Self {
        Self::Lost { source, is_uncertain: false }
    }

    /// It is uncertain whether the commit happened.
    pub(crate) fn uncertain(source: io::Error) -> Self {
        Self::Lost { source, is_uncertain: true }
    }

    /// The commit was abandoned half-way.
    pub(crate) fn abandoned() -> Self {
        Self::uncertain(io::Error::other("it was abandoned half-way"))
    }
}

impl Health {
    /// Checks that this process may still write the file at `path`, to which another program may have done `harm`.
    pub(crate) fn check(
        &self,
        path: &Path,
        right: &dyn WriteRight,
        harm: Option<&'static str>,
    ) -> Result<()> {
        if right.is_forked() {
            return Err(Error::Forked { path: path.to_owned() });
        }
        let reason = match self {
            Self::Failed { reason, .. } => Some(reason.as_str()),
            Self::Good => harm,
        };
        match reason {
            Some(reason) => Err(Error::WriterFailed { path: path.to_owned(), reason: reason.to_owned() }),
            None => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }

    /// Ends all writing for a reason other than a failed commit.
    pub(crate) fn fail(&mut self, path: &Path, reason: String) -> Error {
        let error = Error::WriterFailed { path: path.to_owned(), reason: reason.clone() };
        *self = Self::Failed { reason, lost: None };
        error
    }

    /// Records the failure of a commit that contained the first `changes` changes. If writing cannot
    /// continue, this ends it.
    pub(crate) fn fail_commit(&mut self, path: &Path, changes: u64, failure: Failure) -> Error {
        match failure {
            Failure::Untouched(error) | Failure::Harmed(error) => error,
            Failure::Lost { source, is_uncertain } => {
                let what = if is_uncertain { "commit" } else { "sync" };
                let reason = format!("a {what} failed ({source})");
                let lost = LostCommit { changes, source, is_uncertain };
                let error = lost.error(path);
                *self = Self::Failed { reason, lost: Some(lost) };
                error
            }
        }
    }

    /// Returns the error of the commit that failed for good with the first `changes` changes, if there is one.
    pub(crate) fn lost_commit(&self, path: &Path, changes: u64) -> Option<Error> {
        let Self::Failed { lost: Some(lost), .. } = self else {
            return None;
        };
        (changes <= lost.changes).then(|| lost.error(path))
    }
}

impl LostCommit {
    fn error(&self, path: &Path) -> Error {
        let source = io_again(&self.source);
        if self.is_uncertain {
            Error::CommitUncertain { path: path.to_owned(), source }
        } else {
            Error::io(path, "sync", source)
        }
    }
}
