//! What was added since the last commit, as long as the log has room for it.

use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::log::{Entries, LogEntry};

/// Records, and new metadata or none.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Records that somebody may have looked at, or may want to go back to.
    pub(crate) sealed: Entries,
    /// Those added since.
    pub(crate) open: Builder,
    /// The metadata from the next commit on; `Some(None)` ends it.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    pub(crate) metadata: Option<Option<Vec<u8>>>,
    /// How many records there are, those included that are in frames by now.
    pub(crate) records: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.metadata.is_none()
    }

    /// Length of the metadata that the entry will hold.
    pub(crate) fn metadata_length(&self) -> usize {
        self.metadata.as_ref().and_then(Option::as_ref).map_or(0, Vec::len)
    }

    /// Length of an entry that holds it all.
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
        // What was just put together is an entry.
        if let Some(entry) = entry {
            self.sealed.push(entry);
        }
    }

    /// All records in one builder.
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
