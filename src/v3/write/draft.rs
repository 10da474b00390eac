//! The data added since the last commit, while it fits into the log.

use crate::format::in_memory;
use crate::v3::format::entry::EntryHeader;
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
    in_flight: Option<InFlight>,
}

/// The content of a commit in progress, which stays in the draft until it is committed.
#[derive(Debug)]
struct InFlight {
    /// Its records: those of the draft at its start, or the entry that contains them.
    sealed: Entries,
    entry: Option<LogEntry>,
    /// The new metadata, if any, at its start.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    metadata: Option<Option<Vec<u8>>>,
    records: u64,
    bytes: u64,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.metadata.is_none() && self.in_flight.is_none()
    }

    /// Whether a commit is in progress.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Returns the metadata from the next commit on, including that of a commit in progress.
    #[expect(clippy::option_option, reason = "a change to no metadata is a change")]
    pub(crate) fn changed_metadata(&self) -> Option<Option<&[u8]>> {
        let in_flight = || self.in_flight.as_ref()?.metadata.as_ref();
        self.metadata.as_ref().or_else(in_flight).map(Option::as_deref)
    }

    /// Returns the length of the metadata in the future entry.
    pub(crate) fn metadata_length(&self) -> usize {
        self.metadata.as_ref().and_then(Option::as_ref).map_or(0, Vec::len)
    }

    /// Returns the length of an entry that holds everything except what a commit in progress contains.
    pub(crate) fn total(&self) -> u64 {
        let (records, bytes) =
            self.in_flight.as_ref().map_or((0, 0), |flight| (flight.records, flight.bytes));
        let [records, bytes] = [self.records - records, self.bytes - bytes].map(in_memory);
        EntryHeader::total_of(records, bytes, 0, self.metadata_length())
    }

    /// Assigns everything to a commit: what is sealed, or the entry that contains all records. Changes from
    /// now on belong to the next commit.
    pub(crate) fn begin_commit(&mut self, entry: Option<LogEntry>) {
        self.in_flight = Some(InFlight {
            sealed: std::mem::take(&mut self.sealed),
            entry,
            metadata: self.metadata.take(),
            records: self.records,
            bytes: self.bytes,
        });
    }

    /// Removes what is committed; returns the number of these records and of their bytes.
    pub(crate) fn note_commit(&mut self) -> (u64, u64) {
        let Some(done) = self.in_flight.take() else {
            return (0, 0);
        };
        self.records -= done.records;
        self.bytes -= done.bytes;
        (done.records, done.bytes)
    }

    /// Returns the content of a failed commit to the draft.
    pub(crate) fn keep_uncommitted(&mut self) {
        self.sealed = self.all_sealed();
        if let Some(failed) = self.in_flight.take() {
            self.metadata = self.metadata.take().or(failed.metadata);
        }
    }

    /// Returns all sealed records, including those of a commit in progress.
    pub(crate) fn all_sealed(&self) -> Entries {
        let Some(flight) = &self.in_flight else {
            return self.sealed.clone();
        };
        let mut all = flight.sealed.clone();
        flight.entry.iter().chain(self.sealed.iter()).for_each(|entry| all.push(entry.clone()));
        all
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

    /// Takes all records in one builder. No commit may be in progress.
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
