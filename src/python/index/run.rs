//! Building a run of an index: consecutive records, in groups, and the groups of the values of each key.

use super::json::FieldPath;
use super::pages::{
    GROUPS_PER_PAGE, Group, Place, Spread, decode_groups, decode_hashes, encode_groups, encode_hashes, entry,
};
use super::value::{Bounds, Value};

/// Number of bytes of records after which a group ends, at the end of the current compressed block.
pub(super) const GROUP_SIZE: usize = 96 * 1024;
/// Maximum number of unreadable ranges in a run.
const MAX_UNREADABLE: usize = 1000;

/// The pages of a key: first those of groups, then those of hashes.
pub(super) type Pages = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// The data of a key.
struct Part {
    path: FieldPath,
    entries: Vec<u64>,
    groups: Vec<Group>,
    /// The bounds in the current group.
    open: Bounds,
}

pub(super) struct Run {
    first: u64,
    parts: Vec<Part>,
    /// Number of groups that have ended.
    groups: u32,
    /// Number of bytes in the current group.
    size: usize,
    last: u64,
    /// The first and the last record of each range that could not be read; these records may have any values.
    pub(super) unreadable: Vec<(u64, u64)>,
}

impl Run {
    /// Creates an empty run of the records from `first` on.
    pub(super) fn new(keys: &[String], first: u64) -> Self {
        let part = |key: &String| Part {
            path: FieldPath::new(key),
            entries: Vec::new(),
            groups: Vec::new(),
            open: Bounds::default(),
        };
        Self {
            first,
            parts: keys.iter().map(part).collect(),
            groups: 0,
            size: 0,
            last: first.saturating_sub(1),
            unreadable: Vec::new(),
        }
    }

    pub(super) fn groups(&self) -> u32 {
        self.groups
    }

    /// Returns whether the current group has the size after which it ends.
    pub(super) fn is_group_full(&self) -> bool {
        self.size >= GROUP_SIZE
    }

    /// Adds the record with this number.
    pub(super) fn add(&mut self, number: u64, record: &[u8]) {
        let group = self.groups;
        for Part { path, entries, open, .. } in &mut self.parts {
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
    pub(super) fn add_unreadable(&mut self, number: u64) -> Option<()> {
        self.size += 1;
        self.last = number;
        match self.unreadable.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.unreadable.push((number, number)),
        }
        (self.unreadable.len() <= MAX_UNREADABLE).then_some(())
    }

    /// Ends the group, if it has records.
    pub(super) fn end_group(&mut self) {
        if self.size == 0 {
            return;
        }
        for part in &mut self.parts {
            part.groups.push((self.last, std::mem::take(&mut part.open)));
        }
        self.groups += 1;
        self.size = 0;
    }

    /// Inserts an earlier run before this one, whose last group has ended. Returns `None` if one of its pages is
    /// damaged; then this run must be discarded.
    pub(super) fn prepend(&mut self, first: u64, groups: u32, parts: &[Pages]) -> Option<()> {
        let total = self.groups.checked_add(groups)?;
        for ((part, (group_pages, hash_pages)), key) in self.parts.iter_mut().zip(parts).zip(0..) {
            for entry in &mut part.entries {
                *entry += u64::from(groups);
            }
            let spread = Spread { groups: u64::from(groups), pages: hash_pages.len() as u64 };
            if !spread.is_valid() {
                return None;
            }
            for (page, number) in hash_pages.iter().zip(0..) {
                let place = Place { first, key, is_hashes: true, number };
                decode_hashes(page, spread, place, |entry| {
                    part.entries.push(entry);
                    true
                })?;
            }
            let mut earlier = Vec::new();
            for (page, number) in group_pages.iter().zip(0..) {
                earlier.extend(decode_groups(page, Place { first, key, is_hashes: false, number })?.1);
            }
            if earlier.len() as u64 != u64::from(groups) {
                return None;
            }
            earlier.append(&mut part.groups);
            part.groups = earlier;
        }
        self.first = first;
        self.groups = total;
        Some(())
    }

    /// Encodes the groups that have ended.
    pub(super) fn pages(&mut self) -> Vec<Pages> {
        let first = self.first;
        self.parts.iter_mut().zip(0..).map(|(part, key)| part.pages(first, key)).collect()
    }
}

impl Part {
    fn pages(&mut self, first: u64, key: u64) -> Pages {
        self.entries.sort_unstable();
        self.entries.dedup();
        let spread = Spread::of(self.entries.len(), self.groups.len());
        let mut rest = self.entries.as_slice();
        let hashes = (0..spread.pages).map(|number| {
            let end = rest.partition_point(|entry| spread.page_of(*entry << 8) <= number);
            let (entries, behind) = rest.split_at(end);
            rest = behind;
            encode_hashes(entries, spread, Place { first, key, is_hashes: true, number })
        });
        let hashes = hashes.collect();
        let mut start = first;
        let groups = self.groups.chunks(GROUPS_PER_PAGE).zip(0..).map(|(groups, number)| {
            let page = encode_groups(groups, start, Place { first, key, is_hashes: false, number });
            start = groups.last().map_or(start, |(last, _)| last + 1);
            page
        });
        (groups.collect(), hashes)
    }
}
