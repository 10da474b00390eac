//! The log of a damaged file: every entry in the ring with a valid checksum, whatever surrounds it.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::error::{Damage, Result, reserve};
use crate::format::{get_u64, in_memory};
use crate::v3::format::entry::{EntryHeader, EntryView};
use crate::v3::format::head::{FrameArea, Head};
use crate::v3::format::{Header, NUMBER_LIMIT};

use super::super::raw::Raw;
use super::ring::{ALIGNMENT, DamagedRing, FoundEntry, Trust};
use super::seen::SeenLog;

/// Bounds the work for bytes that only look like entries: as much as reading the ring this many times.
const MAX_PASSES: u64 = 64;

/// A range of records in one entry.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
    /// The index of the entry.
    index: usize,
}

/// The remains of a log.
pub(super) struct DamagedLog {
    ring: DamagedRing,
    /// The entries found, by position.
    pub(super) entries: Vec<FoundEntry>,
    /// Ranges that contain each record once, in order.
    spans: Vec<Span>,
    /// The position up to which the log was on the disk, according to an entry or a head.
    sure: u64,
    /// The log positions at which entries are missing.
    pub(super) breaks: Vec<u64>,
    /// Whether entries may have followed the last one.
    pub(super) may_go_on: bool,
    /// What readers see of it, if there is a head.
    pub(super) seen: Option<SeenLog>,
}

impl DamagedLog {
    /// Reads the log of a file with this header, and the newest head, if there is one.
    pub(super) fn read(raw: &Raw<'_>, header: Header, head: Option<&Head>) -> Result<Self> {
        let mut log = Self {
            ring: DamagedRing::read(raw, header)?,
            entries: Vec::new(),
            spans: Vec::new(),
            sure: head.map_or(0, |head| head.sure),
            breaks: Vec::new(),
            may_go_on: false,
            seen: None,
        };
        if let Some(head) = head {
            let (seen, entries) = SeenLog::read(raw, &log.ring, head)?;
            (log.seen, log.entries) = (Some(seen), entries);
        }
        log.find_entries(head)?;
        log.judge(head);
        log.list_records()?;
        Ok(log)
    }

    /// Returns whether both logs have the same bytes.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.ring == other.ring
    }

    /// Returns the position of the first entry of a new file.
    pub(super) fn first_position(&self) -> u64 {
        self.ring.header.first_position()
    }

    /// Finds all complete entries that are not in the chain, and orders all by their positions.
    fn find_entries(&mut self, head: Option<&Head>) -> Result<()> {
        let mut left = (self.ring.bytes.len() as u64).saturating_mul(MAX_PASSES);
        let (mut at, mut found) = (0, std::mem::take(&mut self.entries));
        while at < self.ring.bytes.len() {
            if let Some(rest) = self.rest_of_chain(at) {
                at += rest;
                continue;
            }
            let header = self.ring.header_at(at).filter(|header| u64::from(header.total) <= left);
            let header = header.filter(|header| self.seen.as_ref().is_none_or(|seen| seen.is_beside(header)));
            let entry = header.and_then(|header| {
                left -= u64::from(header.total);
                self.ring.entry_at(header, at)
            });
            let is_proven = entry.is_some_and(|entry| entry.trust != Trust::Unproven);
            at += entry.filter(|_| is_proven).map_or(ALIGNMENT, |entry| entry.header.total as usize);
            if let Some(entry) = entry {
                reserve(&mut found, 1, "entries of the log")?;
                found.push(entry);
            }
        }
        found.sort_unstable_by_key(|entry| entry.header.position);
        self.entries = found;
        self.drop_unproven(head);
        Ok(())
    }

    /// Returns the length of the chain from this place of the ring on, if the place is in the chain.
    fn rest_of_chain(&self, at: usize) -> Option<usize> {
        let (seen, size) = (self.seen.as_ref()?, in_memory(self.ring.size()));
        let passed = (at + size - self.ring.place(seen.state.origin)) % size;
        in_memory(seen.length()).checked_sub(passed).filter(|rest| *rest > 0)
    }

    /// Drops false entries: those whose predecessor is complete, missing or known to the head, so that their own bytes are
    /// wrong, and those that are not followed by their successor.
    fn drop_unproven(&mut self, head: Option<&Head>) {
        let sure = self.entries.iter().filter(|entry| entry.trust != Trust::Unproven);
        let sure = sure.map(|entry| entry.header.sure).fold(self.sure, u64::max);
        let proven = |entry: &&FoundEntry| entry.trust != Trust::Unproven;
        let begin = head.filter(|head| self.ring.seed_before(head.begin) == head.seed).map(|head| head.begin);
        let ends = self.entries.iter().filter(proven).map(|entry| entry.header.end());
        let ends: HashSet<u64> = ends.chain([self.first_position()]).chain(begin).collect();
        let seeds: HashSet<(u64, u64)> =
            self.entries.iter().filter(proven).map(|entry| (entry.header.position, entry.seed)).collect();
        self.entries.retain(|entry| {
            let leads_on = seeds.contains(&(entry.header.end(), entry.check));
            let is_last = entry.header.position == entry.header.sure && entry.header.sure >= sure;
            entry.trust != Trust::Unproven || !ends.contains(&entry.header.position) && (leads_on || is_last)
        });
    }

    /// Distinguishes certain commits from the possible remains of a crashed writer, and notes what is missing.
    ///
    /// The chain from the head was committed. If it may end too early, so was more: each entry states how far the log
    /// was on the disk when the entry was written, and no writer ever goes back before that. So every entry before that
    /// point, or chained to it, was committed.
    fn judge(&mut self, head: Option<&Head>) {
        let seen = self.seen.as_ref().map(|seen| &seen.state);
        let is_intact = self.seen.as_ref().is_some_and(|seen| seen.is_intact);
        let chain = seen.map(|seen| seen.origin..seen.end);
        let in_chain =
            |entry: &FoundEntry| chain.as_ref().is_some_and(|chain| chain.contains(&entry.header.position));
        let sure = self.entries.iter().filter(|entry| !is_intact || in_chain(entry));
        self.sure = sure.map(|entry| entry.header.sure).fold(self.sure, u64::max);
        let mut end = seen.map(|seen| (seen.end, seen.check));
        end = end.or_else(|| self.entries.first().map(|entry| (entry.header.position, entry.seed)));
        let (mut stamp, mut last) = seen.map_or((0, 0), |seen| (seen.time, seen.total));
        // The records of entries before the head are in frames.
        let framed = head.map_or(0, |head| head.frames.count());
        let is_before =
            |entry: &FoundEntry| chain.as_ref().is_some_and(|chain| entry.header.position < chain.start);
        self.entries.retain(|entry| !is_before(entry) || entry.header.last() <= framed);
        for entry in &mut self.entries {
            if is_before(entry) || in_chain(entry) {
                entry.trust = if entry.trust == Trust::Left { Trust::Certain } else { entry.trust };
                continue;
            }
            let header = &entry.header;
            let continues = end == Some((header.position, entry.seed));
            if is_intact || !continues && header.position > self.sure {
                continue;
            }
            if entry.trust == Trust::Left {
                entry.trust = Trust::Certain;
            }
            (stamp, last) = (stamp.max(header.time), last.max(header.last()));
            self.breaks.extend(end.filter(|_| !continues).map(|(end, _)| end));
            end = Some((header.end(), entry.check));
        }
        let end = end.map_or(self.ring.header.first_position(), |(end, _)| end);
        // Remains of a crashed writer are older, or their numbers have been reused.
        let may_follow = |header: &EntryHeader| header.time >= stamp && header.first > last;
        let is_loose = |entry: &FoundEntry| {
            entry.trust != Trust::Certain && !is_before(entry) && entry.header.position > self.sure
        };
        self.entries.retain(|entry| !is_loose(entry) || may_follow(&entry.header));
        self.may_go_on = self.goes_on_at(end, head) || self.entries.iter().any(is_loose);
        self.breaks.extend(Some(end).filter(|_| self.may_go_on));
    }

    /// Returns whether the entry where a position is seems to be that of an earlier lap.
    fn is_older_at(&self, position: u64) -> bool {
        self.ring.header_at(self.ring.place(position)).is_some_and(|header| header.position < position)
    }

    /// Returns whether there are traces of an entry after the last certain one, which ends at `end`.
    fn goes_on_at(&self, end: u64, head: Option<&Head>) -> bool {
        // The log of every file has an entry at its beginning, and the log of a head is preceded by one.
        let is_bare = match head {
            Some(head) if head.begin == end => {
                end == self.ring.header.first_position() || self.ring.seed_before(end) != head.seed
            }
            Some(_) => false,
            None => self.entries.is_empty(),
        };
        let is_begun = self.ring.part(self.ring.place(end), EntryHeader::SIZE).is_none_or(|start| {
            let number = |at: usize| get_u64(&start, at).unwrap_or_default();
            let is_new = end < self.ring.header.first_position() + self.ring.size();
            // The mark, the position, and how far the log was on the disk: each as an entry here would have it.
            number(8) == end
                || start.starts_with(&EntryHeader::MARK) && !self.is_older_at(end)
                || (self.sure + 1..=end).contains(&number(64))
                || is_new && start.iter().any(|&byte| byte != 0)
        });
        end < self.sure || is_bare || is_begun
    }

    /// Lists the records of all entries, each record once: from the newest entry that is certain, since it may repeat the
    /// records of earlier ones, or else from the oldest one that is not.
    fn list_records(&mut self) -> Result<()> {
        const WHAT: &str = "records of the log";
        let mut spans: Vec<Span> = Vec::new();
        reserve(&mut spans, self.entries.len(), WHAT)?;
        let entries = || self.entries.iter().enumerate().filter(|(_, entry)| entry.header.records > 0);
        let mut lowest = u64::MAX;
        for (index, FoundEntry { header, .. }) in
            entries().rev().filter(|(_, entry)| entry.trust == Trust::Certain)
        {
            let (first, last) = (header.first, header.last().min(lowest - 1));
            if first <= last {
                spans.push(Span { first, last, index });
                lowest = first;
            }
        }
        spans.reverse();
        let certain = spans.len();
        let mut covered = 0;
        for (index, FoundEntry { header, .. }) in entries().filter(|(_, entry)| entry.trust != Trust::Certain)
        {
            let (mut first, last) = (header.first.max(covered + 1), header.last());
            while first <= last {
                let at = spans[..certain].partition_point(|span| span.last < first);
                let next = spans[..certain]
                    .get(at)
                    .map_or(NUMBER_LIMIT..=NUMBER_LIMIT, |span| span.first..=span.last);
                if next.contains(&first) {
                    first = next.end() + 1;
                    continue;
                }
                let end = last.min(next.start() - 1);
                reserve(&mut spans, 1, WHAT)?;
                spans.push(Span { first, last: end, index });
                first = end + 1;
            }
            covered = covered.max(last);
        }
        spans.sort_unstable_by_key(|span| span.first);
        self.spans = spans;
        Ok(())
    }

    /// Returns the entry that holds the record with this number, and the last number that it covers; or else
    /// the next number that an entry holds.
    pub(super) fn find(&self, number: u64) -> std::result::Result<(&FoundEntry, u64), Option<u64>> {
        let at = self.spans.partition_point(|span| span.last < number);
        match self.spans.get(at) {
            Some(span) if span.first <= number => Ok((&self.entries[span.index], span.last)),
            next => Err(next.map(|span| span.first)),
        }
    }

    /// Returns the bytes of an entry.
    pub(super) fn bytes_of(&self, entry: &FoundEntry) -> Cow<'_, [u8]> {
        let at = self.ring.place(entry.header.position);
        self.ring.part(at, entry.header.total as usize).unwrap_or_default()
    }

    /// Returns the entries that are certain.
    pub(super) fn certain(&self) -> impl Iterator<Item = &FoundEntry> {
        self.entries.iter().filter(|entry| entry.trust == Trust::Certain)
    }

    /// Returns the base of an entry, if it has a valid one.
    pub(super) fn base(&self, entry: &FoundEntry) -> Option<FrameArea> {
        let bytes = self.bytes_of(entry);
        EntryView::of(entry.header, &bytes).base(&self.ring.header).ok().flatten()
    }

    /// Returns the damage of the log.
    pub(super) fn problems(&self) -> impl Iterator<Item = Damage> {
        self.breaks.iter().map(|&end| {
            let found = format!("a log that breaks off at position {end}");
            Damage::new(found, "entries up to its end")
                .at(self.ring.header.log_start() + end % self.ring.size())
        })
    }
}
