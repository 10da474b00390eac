//! Building a run of an index: consecutive records, in groups, and the groups of the values of each key.

use super::json::FieldPath;
use super::pages::{
    GROUPS_PER_PAGE, Group, Part, Spread, decode_groups, decode_hashes, encode_groups, encode_hashes, entry,
};
use super::value::{Bounds, Value};

/// Number of bytes of records after which a group ends, at the end of the current compressed block.
pub(crate) const GROUP_SIZE: usize = 96 * 1024;
/// Maximum number of unreadable ranges in a run.
const MAX_UNREADABLE: usize = 1000;

/// The pages of a key: first those of groups, then those of hashes.
pub(crate) type Pages = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// What is known of a key.
struct Key {
    name: String,
    path: FieldPath,
    entries: Vec<u64>,
    groups: Vec<Group>,
    /// The bounds in the current group.
    open: Bounds,
}

pub(crate) struct Run {
    first: u64,
    keys: Vec<Key>,
    /// The number of groups that have ended.
    groups: u32,
    /// Number of bytes in the current group.
    size: usize,
    last: u64,
    /// The first and the last record of each range that could not be read; these records may have any values.
    pub(crate) unreadable: Vec<(u64, u64)>,
}

impl Run {
    /// Creates an empty run of the records from `first` on.
    pub(crate) fn new(keys: &[String], first: u64) -> Self {
        let key = |name: &String| Key {
            name: name.clone(),
            path: FieldPath::new(name),
            entries: Vec::new(),
            groups: Vec::new(),
            open: Bounds::default(),
        };
        Self {
            first,
            keys: keys.iter().map(key).collect(),
            groups: 0,
            size: 0,
            last: first.saturating_sub(1),
            unreadable: Vec::new(),
        }
    }

    pub(crate) fn groups(&self) -> u32 {
        self.groups
    }

    /// Returns whether the current group has the size after which it ends.
    pub(crate) fn is_group_full(&self) -> bool {
        self.size >= GROUP_SIZE
    }

    /// Adds the record with this number.
    pub(crate) fn add(&mut self, number: u64, record: &[u8]) {
        let group = self.groups;
        for Key { path, entries, open, .. } in &mut self.keys {
            path.values(record, &mut |text| {
                if let Some(value) = Value::parse(text) {
                    entries.push(entry(value.hash(), group));
                    open.include(&value);
                }
            });
        }
        self.size += record.len() + 1;
        self.last = number;
    }

    /// Adds a record that cannot be read. Returns `None` if there are too many unreadable ranges.
    pub(crate) fn add_unreadable(&mut self, number: u64) -> Option<()> {
        self.size += 1;
        self.last = number;
        match self.unreadable.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.unreadable.push((number, number)),
        }
        (self.unreadable.len() <= MAX_UNREADABLE).then_some(())
    }

    /// Ends the group, if it has records.
    pub(crate) fn end_group(&mut self) {
        if self.size == 0 {
            return;
        }
        for key in &mut self.keys {
            key.groups.push((self.last, std::mem::take(&mut key.open)));
        }
        self.groups += 1;
        self.size = 0;
    }

    /// Inserts an earlier run before this one, whose last group has ended. Returns `None` if one of its pages is
    /// damaged; then this run must be discarded.
    pub(crate) fn prepend(&mut self, first: u64, groups: u32, parts: &[Pages]) -> Option<()> {
        let total = self.groups.checked_add(groups)?;
        for (key, pages) in self.keys.iter_mut().zip(parts) {
            key.prepend(first, groups, pages, self.first)?;
        }
        self.first = first;
        self.groups = total;
        Some(())
    }

    /// Encodes the groups that have ended.
    pub(crate) fn pages(&mut self) -> Vec<Pages> {
        let first = self.first;
        self.keys.iter_mut().map(|key| key.pages(first)).collect()
    }
}

impl Key {
    /// Puts the groups of an earlier run, which ends before the record `end`, before those of this one.
    fn prepend(&mut self, first: u64, groups: u32, pages: &Pages, end: u64) -> Option<()> {
        let (group_pages, hash_pages) = pages;
        let spread = Spread { groups: u64::from(groups), pages: hash_pages.len() as u64 };
        if !spread.is_valid() {
            return None;
        }
        for entry in &mut self.entries {
            *entry += u64::from(groups);
        }
        let part = Part::new(first, &self.name, spread);
        let most = self.entries.len() as u64 + spread.max_entries();
        for (page, number) in hash_pages.iter().zip(0..) {
            decode_hashes(page, part.hashes(number), |entry| {
                self.entries.push(entry);
                true
            })?;
            if self.entries.len() as u64 > most {
                return None;
            }
        }
        let mut earlier: Vec<Group> = Vec::new();
        let mut next = first;
        for (page, number) in group_pages.iter().zip(0..) {
            let (start, mut groups) = decode_groups(page, part.groups(number))?;
            if start != next {
                return None;
            }
            next = groups.last().map_or(next, |(last, _)| last + 1);
            earlier.append(&mut groups);
        }
        if earlier.len() as u64 != u64::from(groups) || next > end {
            return None;
        }
        earlier.append(&mut self.groups);
        self.groups = earlier;
        Some(())
    }

    fn pages(&mut self, first: u64) -> Pages {
        self.entries.sort_unstable();
        self.entries.dedup();
        let spread = Spread::of(self.entries.len(), self.groups.len());
        let part = Part::new(first, &self.name, spread);
        let mut rest = self.entries.as_slice();
        let hashes = (0..spread.pages).map(|number| {
            let end = rest.partition_point(|entry| spread.page_of(*entry << 8) <= number);
            let (entries, behind) = rest.split_at(end);
            rest = behind;
            encode_hashes(entries, part.hashes(number))
        });
        let hashes = hashes.collect();
        let mut start = first;
        let groups = self.groups.chunks(GROUPS_PER_PAGE).zip(0..).map(|(groups, number)| {
            let page = encode_groups(groups, start, part.groups(number));
            start = groups.last().map_or(start, |(last, _)| last + 1);
            page
        });
        (groups.collect(), hashes)
    }
}
