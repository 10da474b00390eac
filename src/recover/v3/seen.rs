//! The log as readers see it: the newest head, and the chain of entries after it.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::in_memory;
use crate::v3::format::entry::EntryHeader;
use crate::v3::format::head::Head;
use crate::v3::log::{LogEntry, LogState, find_lost_entry, window_of};

use super::super::raw::Raw;
use super::ring::{DamagedRing, FoundEntry};

/// The state that readers see: of what was committed up to its end, they see exactly this.
pub(super) struct SeenLog {
    pub(super) state: LogState,
    /// Whether nothing shows that the chain ends too early, so that nothing else was committed.
    pub(super) is_intact: bool,
    size: u64,
}

impl SeenLog {
    /// Follows the chain from a head on; also returns its entries, including those that a base replaces.
    pub(super) fn read(raw: &Raw<'_>, ring: &DamagedRing, head: &Head) -> Result<(Self, Vec<FoundEntry>)> {
        let header = &ring.header;
        let mut state = LogState::of(head);
        let mut entries = chain_from(ring, head);
        let length = entries.iter().map(|entry| in_memory(entry.header.total.into())).sum();
        let window = ring.part(ring.place(head.begin), length).unwrap_or_default().into_owned();
        let window = window_of(window);
        let (mut start, mut count) = (0, 0);
        for entry in &entries {
            if !state.add(LogEntry::new(Arc::clone(&window), start, entry.header), header) {
                break;
            }
            (start, count) = (start + entry.header.total as usize, count + 1);
        }
        entries.truncate(count);
        // The search takes memory for a log of the length that the header states.
        let is_whole = raw.length >= header.log_end();
        let is_intact = is_whole && state.end >= head.sure && {
            let lost = find_lost_entry(&raw.open_version_3(*header), &state);
            lost.map_err(|error| Error::io(&raw.path, "read", error))?.is_none()
        };
        Ok((Self { state, is_intact, size: ring.size() }, entries))
    }

    /// Returns the length of the chain.
    pub(super) fn length(&self) -> u64 {
        self.state.end - self.state.origin
    }

    /// Returns whether an entry of the ring is before or after the chain, and neither of them has overwritten the other.
    pub(super) fn is_beside(&self, entry: &EntryHeader) -> bool {
        let (begin, end) = (self.state.origin, self.state.end);
        let is_before = entry.end() <= begin && entry.position + self.size >= end;
        is_before || entry.position >= end && entry.end() <= begin + self.size
    }
}

/// Returns the entries from the beginning of a head on whose checksums continue each other.
fn chain_from(ring: &DamagedRing, head: &Head) -> Vec<FoundEntry> {
    let end = head.begin + ring.size();
    let (mut position, mut seed, mut entries) = (head.begin, head.seed, Vec::new());
    while let Some(entry) = ring.entry_after(position, seed).filter(|entry| entry.header.end() <= end) {
        (position, seed) = (entry.header.end(), entry.check);
        entries.push(entry);
    }
    entries
}
