//! The data added since the last commit, while it fits into the log.

use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::log::{Entries, LogEntry};

/// Records, and new metadata or none.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Records that snapshots or savepoints may use.
    pub(crate) sealed: Entries,
    /// The records added since.
    pub(crate) open: Builder,
    /// The metadata from the next commit on; `Some(None)` removes it.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    pub(crate) metadata: Option<Option<Vec<u8>>>,
    /// Number of records, including those that are already in frames.
    pub(crate) records: u64,
    /// Their total length.
    pub(crate) bytes: u64,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.metadata.is_none()
    }

    /// Returns the length of the metadata in the future entry.
    pub(crate) fn metadata_length(&self) -> usize {
        self.metadata.as_ref().and_then(Option::as_ref).map_or(0, Vec::len)
    }

    /// Returns the length of an entry with everything.
    pub(crate) fn total(&self) -> u64 {
        self.sealed.size() + self.open.total(0, self.metadata_length())
    }

    /// Seals the open records, the last of which has the number `last`.
    pub(crate) fn seal(&mut self, last: u64) {
        if self.open.is_empty() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let first = last + 1 - open.records() as u64;
        let entry = LogEntry::of(open.finish(&Fields { first, ..Fields::default() }));
        // The bytes were just built as an entry.
        if let Some(entry) = entry {
            self.sealed.push(entry);
        }
    }

    /// Collects all records in one builder.
    pub(crate) fn take_records(&mut self) -> Builder {
        let open = std::mem::take(&mut self.open);
        if self.sealed.is_empty() {
            return open;
        }
        let mut all = Builder::default();
        for entry in std::mem::take(&mut self.sealed).iter() {
            copy(entry, &mut all);
        }
        open.each(|record| all.push(record));
        all
    }
}

fn copy(entry: &LogEntry, to: &mut Builder) {
    let view = entry.view();
    (0..entry.header.records).for_each(|index| to.push(view.records(index..index + 1)));
}
