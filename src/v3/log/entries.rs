//! Entries in memory: a list that grows at one end and is released at the other; clones share its entries.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::read::block::Block;
use crate::read::record::Record;
use crate::read::validity::Validity;
use crate::v3::format::entry::{EntryHeader, EntryView};

/// Number of entries that are allocated together.
const CHUNK: usize = 64;

/// One entry, in the bytes that were read or written together with it.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    window: Arc<Block>,
    start: usize,
    pub(crate) header: EntryHeader,
}

impl LogEntry {
    /// Creates the entry that starts at `start` in these bytes.
    pub(crate) fn new(window: Arc<Block>, start: usize, header: EntryHeader) -> Self {
        Self { window, start, header }
    }

    /// Creates an entry from bytes that were just built. Returns `None` if they are not an entry.
    pub(crate) fn of(bytes: Vec<u8>) -> Option<Self> {
        let header = EntryView::trusted(&bytes)?.header;
        Some(Self { window: window_of(bytes), start: 0, header })
    }

    pub(crate) fn view(&self) -> EntryView<'_> {
        EntryView::of(self.header, self.bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.window.bytes[self.start..self.start + self.header.total as usize]
    }

    /// Returns the bytes of the record with this number, which must be in the entry.
    #[inline]
    pub(crate) fn record_bytes(&self, number: u64) -> &[u8] {
        self.view().records(self.index_of(number))
    }

    /// Returns the record with this number, which must be in the entry.
    pub(crate) fn record(&self, number: u64) -> Record {
        self.part(self.view().range(self.index_of(number)))
    }

    /// Returns its metadata.
    pub(crate) fn metadata(&self) -> Record {
        self.part(self.view().metadata_range())
    }

    fn index_of(&self, number: u64) -> Range<u32> {
        let index = u32::try_from(number - self.header.first).unwrap_or(u32::MAX);
        index..index + 1
    }

    fn part(&self, range: Range<usize>) -> Record {
        Record::new(Arc::clone(&self.window), self.start + range.start..self.start + range.end)
    }

    pub(crate) fn checksum(&self) -> u64 {
        self.view().checksum()
    }

    /// Returns the length of its records from the one with this number on.
    pub(crate) fn bytes_from(&self, number: u64) -> u64 {
        let skipped = u32::try_from(number.saturating_sub(self.header.first)).unwrap_or(u32::MAX);
        let records = self.header.records;
        self.view().range(skipped.min(records)..records).len() as u64
    }

    /// Returns whether it contains the record with this number.
    pub(crate) fn has(&self, number: u64) -> bool {
        (self.header.first..=self.header.last()).contains(&number)
    }
}

/// Returns bytes that contain entries as a block.
pub(crate) fn window_of(bytes: Vec<u8>) -> Arc<Block> {
    Arc::new(Block::whole(bytes.into_boxed_slice(), Validity::Always))
}

#[derive(Debug)]
struct Chunk {
    slots: [OnceLock<LogEntry>; CHUNK],
}

impl Chunk {
    fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; CHUNK] }
    }

    /// Copies the entries up to `length`, to continue differently.
    fn fork(&self, length: usize) -> Self {
        let chunk = Self::new();
        for (slot, entry) in chunk.slots.iter().zip(self.slots.iter().take(length)) {
            if let Some(entry) = entry.get() {
                // A new slot is empty.
                let _ = slot.set(entry.clone());
            }
        }
        chunk
    }
}

/// A list of entries. Cloning it costs little, and a clone does not see what is added to another one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    chunks: Vec<Arc<Chunk>>,
    /// Number of released slots of the first chunk.
    start: usize,
    length: usize,
}

impl Entries {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn get(&self, index: usize) -> Option<&LogEntry> {
        let at = self.start + index;
        (index < self.length).then(|| self.chunks[at / CHUNK].slots[at % CHUNK].get())?
    }

    pub(crate) fn last(&self) -> Option<&LogEntry> {
        self.get(self.length.checked_sub(1)?)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &LogEntry> {
        (0..self.length).filter_map(|index| self.get(index))
    }

    pub(crate) fn push(&mut self, entry: LogEntry) {
        let at = self.start + self.length;
        if at / CHUNK == self.chunks.len() {
            self.chunks.push(Arc::new(Chunk::new()));
        }
        let chunk = &mut self.chunks[at / CHUNK];
        if let Err(entry) = chunk.slots[at % CHUNK].set(entry) {
            // A clone has continued differently.
            let fork = chunk.fork(at % CHUNK);
            let _ = fork.slots[at % CHUNK].set(entry);
            *chunk = Arc::new(fork);
        }
        self.length += 1;
    }

    /// Releases the first entries.
    pub(crate) fn drop_first(&mut self, count: usize) {
        let count = count.min(self.length);
        self.start += count;
        self.length -= count;
        self.chunks.drain(..(self.start / CHUNK).min(self.chunks.len()));
        self.start %= CHUNK;
    }

    /// Returns the index of the first entry for which `is_before` is false; it must be true for all entries before it.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&EntryHeader) -> bool) -> usize {
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(|entry| is_before(&entry.header)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Returns the index of the entry with the record with this number.
    pub(crate) fn find(&self, number: u64) -> Option<usize> {
        let index = self.partition_point(|header| header.first <= number).checked_sub(1)?;
        self.get(index).filter(|entry| entry.has(number)).map(|_| index)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::v3::format::entry_builder::{Builder, Fields};

    fn entry(first: u64, records: usize) -> LogEntry {
        let mut builder = Builder::default();
        (0..records).for_each(|_| builder.push(b"record"));
        LogEntry::of(builder.finish(&Fields { first, ..Fields::default() })).unwrap()
    }

    fn firsts(entries: &Entries) -> Vec<u64> {
        entries.iter().map(|entry| entry.header.first).collect()
    }

    #[test]
    fn clones_do_not_see_what_is_added_to_each_other() {
        let mut one = Entries::default();
        (1..=100).for_each(|first| one.push(entry(first, 1)));
        let mut other = one.clone();
        one.push(entry(101, 1));
        other.push(entry(201, 1));
        other.push(entry(202, 1));
        assert_eq!(firsts(&one), (1..=101).collect::<Vec<_>>());
        assert_eq!(firsts(&other), (1..=100).chain(201..=202).collect::<Vec<_>>());
        one.drop_first(90);
        assert_eq!(firsts(&one), (91..=101).collect::<Vec<_>>());
        one.drop_first(11);
        one.push(entry(300, 1));
        assert_eq!(firsts(&one), [300]);
    }

    #[test]
    fn records_are_found_by_their_number_among_entries_without_any() {
        let mut entries = Entries::default();
        for (first, records) in [(5, 2), (7, 0), (7, 0), (7, 3), (10, 0), (10, 1)] {
            entries.push(entry(first, records));
        }
        let found: Vec<_> = (4..=11).map(|number| entries.find(number)).collect();
        assert_eq!(found, [None, Some(0), Some(0), Some(3), Some(3), Some(3), Some(5), None]);
    }
}
