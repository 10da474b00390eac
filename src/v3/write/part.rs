//! The content of one commit: records, and possibly new metadata.

use crate::format::in_memory;
use crate::v3::format::entry::EntryHeader;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::log::{Entries, LogEntry};

/// Records, and possibly new metadata.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Records that snapshots or savepoints may use.
    pub(crate) sealed: Entries,
    /// The records added since.
    pub(crate) open: Builder,
    /// The metadata from this commit on; `Some(None)` removes it.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    pub(crate) metadata: Option<Option<Vec<u8>>>,
    /// Number of records, including those that are already in frames.
    pub(crate) records: u64,
    /// Their total length.
    pub(crate) bytes: u64,
}

impl Part {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.metadata.is_none()
    }

    /// Adds a record.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) {
        self.open.push(record);
        self.records += 1;
        self.bytes += record.len() as u64;
    }

    /// Returns the length of an entry that contains all of it.
    pub(crate) fn total(&self) -> u64 {
        let [records, bytes] = [self.records, self.bytes].map(in_memory);
        EntryHeader::total_of(records, bytes, 0, self.metadata_length())
    }

    /// Returns the length of the metadata in the future entry.
    pub(crate) fn metadata_length(&self) -> usize {
        self.metadata.as_ref().and_then(Option::as_ref).map_or(0, Vec::len)
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

    /// Returns a copy without the records that are not sealed.
    pub(crate) fn sealed_copy(&self) -> Self {
        let (sealed, metadata) = (self.sealed.clone(), self.metadata.clone());
        Self { sealed, open: Builder::default(), metadata, records: self.records, bytes: self.bytes }
    }

    /// Appends later content. All records of this part are sealed.
    pub(crate) fn append(&mut self, later: Self) {
        later.sealed.iter().for_each(|entry| self.sealed.push(entry.clone()));
        self.open = later.open;
        self.metadata = later.metadata.or(self.metadata.take());
        self.records += later.records;
        self.bytes += later.bytes;
    }

    /// Takes all records out, in one builder.
    pub(crate) fn take_records(&mut self) -> Builder {
        let open = std::mem::take(&mut self.open);
        if self.sealed.is_empty() {
            return open;
        }
        let mut all = Builder::default();
        for entry in std::mem::take(&mut self.sealed).iter() {
            let view = entry.view();
            (0..entry.header.records).for_each(|index| all.push(view.records(index..index + 1)));
        }
        open.each(|record| all.push(record));
        all
    }
}
