//! The data added since the last commit, while it fits into the log. Each commit that is in progress or was started has a
//! part of it.

use super::part::Part;
use crate::v3::log::{Entries, LogEntry};

/// The uncommitted data: up to three parts, in this order.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The content of a commit in progress; it remains in the draft until it is committed.
    in_flight: Option<Part>,
    /// The content that was marked for the next commit.
    marked: Option<Part>,
    /// The content that was added since.
    pub(crate) open: Part,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && !self.has_commit()
    }

    /// Returns whether a commit is in progress.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.marked.is_some()
    }

    pub(crate) fn marked(&self) -> Option<&Part> {
        self.marked.as_ref()
    }

    /// Returns whether a commit is in progress or was started. The frames that nothing refers to yet are then those of
    /// that commit, and added records are kept in memory.
    pub(crate) fn has_commit(&self) -> bool {
        self.is_in_flight() || self.is_marked()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.in_flight.iter().chain(&self.marked).chain([&self.open])
    }

    /// Number of records, including those that are already in frames.
    pub(crate) fn records(&self) -> u64 {
        self.parts().map(|part| part.records).sum()
    }

    /// Returns the latest metadata, if any part changes it.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    pub(crate) fn changed_metadata(&self) -> Option<Option<&[u8]>> {
        self.parts().filter_map(|part| part.metadata.as_ref()).last().map(Option::as_deref)
    }

    /// Returns all sealed records.
    pub(crate) fn sealed(&self) -> Entries {
        let mut parts = self.parts();
        let mut all = parts.next().map(|first| first.sealed.clone()).unwrap_or_default();
        parts.flat_map(|part| part.sealed.iter()).for_each(|entry| all.push(entry.clone()));
        all
    }

    /// Seals all records, the first of which follows number `committed`.
    pub(crate) fn seal(&mut self, committed: u64) {
        let mut last = committed;
        for part in self.in_flight.iter_mut().chain(&mut self.marked).chain([&mut self.open]) {
            last += part.records;
            part.seal(last);
        }
    }

    /// Marks everything for the next commit. Later additions belong to a later commit.
    pub(crate) fn mark(&mut self, committed: u64) {
        if self.is_marked() {
            self.seal(committed);
        }
        let open = std::mem::take(&mut self.open);
        match &mut self.marked {
            Some(marked) => marked.append(open),
            None => self.marked = Some(open),
        }
    }

    /// Returns the marked content to the open transaction.
    pub(crate) fn forget_mark(&mut self, committed: u64) {
        self.seal(committed);
        if let Some(mut marked) = self.marked.take() {
            marked.append(std::mem::take(&mut self.open));
            self.open = marked;
        }
    }

    /// Returns the content of the next commit so far. No commit may be in progress.
    pub(crate) fn next_commit(&mut self) -> &mut Part {
        self.marked.as_mut().unwrap_or(&mut self.open)
    }

    /// Passes the marked content to a commit: its entry, if it contains all records.
    pub(crate) fn begin_commit(&mut self, entry: Option<LogEntry>) {
        let mut part = self.marked.take().unwrap_or_default();
        if let Some(entry) = entry {
            part.sealed.push(entry);
        }
        self.in_flight = Some(part);
    }

    /// Removes the committed content, and returns it.
    pub(crate) fn note_commit(&mut self) -> Part {
        self.in_flight.take().unwrap_or_default()
    }

    /// Puts the content of a commit that failed before everything else.
    pub(crate) fn keep_uncommitted(&mut self) {
        if let Some(mut failed) = self.in_flight.take() {
            let next = self.next_commit();
            failed.append(std::mem::take(next));
            *next = failed;
        }
    }
}
