//! A state of the file: a head, and the entries after it.

use std::sync::Arc;

use super::entries::{Entries, LogEntry};
use crate::v3::format::entry::Change;
use crate::v3::format::head::{FrameArea, Head};
use crate::v3::format::{Header, NUMBER_LIMIT};

/// The place of the metadata.
#[derive(Debug, Clone)]
pub(crate) enum Metadata {
    None,
    /// In the frame at this position.
    Frame(u64),
    Entry(LogEntry),
}

impl Metadata {
    /// Returns the metadata to which frames refer.
    pub(crate) fn of(frame: u64) -> Self {
        if frame == 0 { Self::None } else { Self::Frame(frame) }
    }
}

/// The records in frames, and those after them in the log.
#[derive(Debug, Clone)]
pub(crate) struct LogState {
    pub(crate) frames: Arc<FrameArea>,
    /// The start of the log according to the head: from there, no chain is longer than the ring.
    pub(crate) origin: u64,
    /// Entries from the last base on, or from the head's beginning.
    pub(crate) entries: Entries,
    /// Position of the first of them, and the checksum before it.
    pub(crate) begin: u64,
    pub(crate) seed: u64,
    /// The position after them, and the checksum before it.
    pub(crate) end: u64,
    pub(crate) check: u64,
    /// Number of records.
    pub(crate) total: u64,
    /// The time of the latest commit.
    pub(crate) time: u64,
    pub(crate) metadata: Metadata,
    /// The position up to which the log was on the disk, according to the head.
    pub(crate) sure: u64,
    pub(crate) serial: u64,
}

impl LogState {
    /// Returns the state of a head without the entries after it.
    pub(crate) fn of(head: &Head) -> Self {
        let frames = Arc::new(head.frames.clone());
        Self {
            origin: head.begin,
            entries: Entries::default(),
            begin: head.begin,
            seed: head.seed,
            end: head.begin,
            check: head.seed,
            total: frames.count(),
            time: head.time,
            metadata: Metadata::of(frames.metadata),
            sure: head.sure,
            serial: head.serial,
            frames,
        }
    }

    /// Returns both heads of a file that has this state and nothing else, the newer one last.
    pub(crate) fn heads_of_copy(&self) -> [Head; 2] {
        // The copy gets its name once all of it is on the disk.
        let sure = self.end;
        let frames = FrameArea::clone(&self.frames);
        let head =
            Head { serial: self.serial, begin: self.begin, seed: self.seed, sure, time: self.time, frames };
        [head.clone(), Head { serial: self.serial + 1, ..head }]
    }

    /// Returns whether a base has frames that this state does not.
    fn is_behind(&self, base: &FrameArea) -> bool {
        base.limit > self.frames.limit
    }

    /// Adds the entry that continues the chain. If its numbers do not fit, returns false and changes nothing.
    pub(crate) fn add(&mut self, entry: LogEntry, header: &Header) -> bool {
        let fields = entry.header;
        let Ok(base) = entry.view().base(header) else {
            return false;
        };
        let is_next = fields.first == self.total + 1;
        let continues = match &base {
            // Its records are exactly those that are not in frames.
            Some(base) if self.is_behind(base) => base.count() >= self.frames.count(),
            Some(base) => base.count() <= self.frames.count(),
            None if self.entries.is_empty() => fields.first <= self.total + 1,
            None => is_next,
        };
        let frames = base.as_ref().filter(|base| self.is_behind(base)).unwrap_or(&self.frames);
        let earliest = self.entries.last().map_or(0, |entry| entry.header.time).max(frames.path.time());
        if fields.last() < self.total
            || !continues
            || fields.time < earliest
            || fields.last() >= NUMBER_LIMIT
            || fields.end() >= NUMBER_LIMIT
        {
            return false;
        }
        if let Some(base) = base {
            self.metadata = Metadata::of(base.metadata);
            if self.is_behind(&base) {
                self.frames = Arc::new(base);
            }
            self.entries = Entries::default();
            (self.begin, self.seed) = (self.end, self.check);
        }
        match fields.change {
            Change::None => {}
            Change::Cleared => self.metadata = Metadata::None,
            Change::Here => self.metadata = Metadata::Entry(entry.clone()),
        }
        self.end = fields.end();
        self.check = entry.checksum();
        self.total = fields.last();
        self.time = self.time.max(fields.time);
        self.entries.push(entry);
        true
    }

    /// Returns the checksum before an entry of the list, or before its end.
    pub(crate) fn seed_of(&self, index: usize) -> u64 {
        match index.checked_sub(1) {
            Some(before) => self.entries.get(before).map_or(self.check, LogEntry::checksum),
            None => self.seed,
        }
    }

    /// Returns the position of an entry of the list, or of its end.
    pub(crate) fn position_of(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(self.end, |entry| entry.header.position)
    }

    /// Returns the metadata before an entry of the list: that of the last earlier entry that changes it, or that of
    /// the frames.
    pub(crate) fn metadata_before(&self, index: usize) -> Metadata {
        let changes = |entry: &&LogEntry| entry.header.change != Change::None;
        let last = (0..index).rev().filter_map(|at| self.entries.get(at)).find(changes);
        match last {
            Some(entry) if entry.header.change == Change::Here => Metadata::Entry(entry.clone()),
            Some(_) => Metadata::None,
            None => Metadata::of(self.frames.metadata),
        }
    }

    /// Replaces the entries before a head's beginning by the frames to which it refers, if that beginning is in this
    /// chain.
    pub(crate) fn take_head(&mut self, head: &Head) {
        self.origin = self.origin.max(head.begin);
        let index = self.entries.partition_point(|entry| entry.position < head.begin);
        let same = self.position_of(index) == head.begin && self.seed_of(index) == head.seed;
        if !same || head.frames.limit < self.frames.limit || head.frames.count() > self.total {
            return;
        }
        self.frames = Arc::new(head.frames.clone());
        self.entries.drop_first(index);
        self.metadata = self.metadata_before(self.entries.len());
        (self.begin, self.seed) = (head.begin, head.seed);
        (self.sure, self.serial) = (head.sure, head.serial);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::v3::format::Codec;
    use crate::v3::format::entry_builder::{Builder, Fields};
    use crate::v3::format::index::Child;

    const HEADER: Header = Header {
        page: 512,
        block: 512,
        fan_out: 2,
        log: 4096,
        codec: Codec::None,
        identity: [0; 16],
        created: 0,
    };

    /// Frames of some records up to a time, which end at `limit`.
    fn frames(records: u64, time: u64, limit: u64) -> FrameArea {
        let mut frames = FrameArea { limit, ..FrameArea::none(&HEADER) };
        let position = HEADER.data_start();
        let child = Child { position, length: limit - position, records, time, sum: 0 };
        frames.path.add(1, child, HEADER.fan_out);
        frames
    }

    /// Returns whether an entry of two records with these fields is accepted as the first one after a head with ten
    /// records in frames, which are of the time 50.
    fn follows(fields: &Fields<'_>) -> bool {
        let limit = HEADER.data_start() + 1000;
        let (begin, frames) = (HEADER.first_position(), frames(10, 50, limit));
        let head = Head { serial: 2, begin, seed: 0, sure: begin, time: 70, frames };
        let mut builder = Builder::default();
        (0..2).for_each(|_| builder.push(b"record"));
        let entry = LogEntry::of(builder.finish(&Fields { position: begin, ..*fields })).unwrap();
        LogState::of(&head).add(entry, &HEADER)
    }

    #[test]
    fn an_entry_is_no_older_than_the_records_in_frames() {
        for (time, expected) in [(0, false), (49, false), (50, true), (60, true), (80, true)] {
            assert_eq!(follows(&Fields { first: 10, time, ..Fields::default() }), expected, "{time}");
            let base = frames(12, 55, HEADER.data_start() + 2000);
            let fields = Fields { first: 13, time, base: Some(&base), ..Fields::default() };
            assert_eq!(follows(&fields), expected && time >= 55, "{time} with a base");
        }
    }

    #[test]
    fn a_base_of_more_frames_has_no_fewer_records() {
        let start = HEADER.data_start();
        for (records, limit, expected) in
            [(9, 900, true), (10, 1000, true), (11, 1000, false), (9, 1001, false), (10, 1001, true)]
        {
            let base = frames(records, 50, start + limit);
            let fields = Fields { first: records + 1, time: 90, base: Some(&base), ..Fields::default() };
            assert_eq!(follows(&fields), expected, "{records} records in {limit} bytes");
        }
    }
}
