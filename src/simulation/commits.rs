//! The commits of a simulated file, and the marks about them in the history of its disk.

use super::contents::State;

/// The progress of commits at one moment, as numbers of states in the file's [`History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last one that was acknowledged.
    pub(super) acknowledged: usize,
    /// The last one that a power cut must not roll back.
    pub(super) safe: usize,
    /// The last one that was begun.
    pub(super) begun: usize,
    /// Whether something was written without syncs, so that a power cut may destroy the file.
    pub(super) fragile: bool,
    /// Whether the file's creation has been acknowledged.
    pub(super) created: bool,
}

impl Mark {
    /// Creates the mark of a file with state number `number` and no commit in progress.
    pub(super) fn settled(number: usize, fragile: bool) -> Self {
        Self { acknowledged: number, safe: number, begun: number, fragile, created: true }
    }
}

/// The states of a file, in the order in which their commits were begun.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) states: Vec<State>,
    /// The state that each of them followed.
    pub(super) parents: Vec<usize>,
}

impl History {
    /// Returns the states in which the file may be found, the newest first.
    pub(super) fn allowed(&self, mark: Mark) -> Vec<usize> {
        let parent = |&number: &usize| (number > mark.safe).then(|| self.parents[number]);
        std::iter::successors(Some(mark.begun), parent).collect()
    }
}
