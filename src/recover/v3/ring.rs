//! The ring of a damaged file, and the entries that are complete in it.

use std::borrow::Cow;

use crate::error::Result;
use crate::format::in_memory;
use crate::v3::format::entry::{EntryHeader, EntryView};
use crate::v3::format::{Header, NUMBER_LIMIT};

use super::super::raw::Raw;

/// Alignment of entries, in bytes.
pub(super) const ALIGNMENT: usize = 8;

/// A complete entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundEntry {
    pub(super) header: EntryHeader,
    /// The checksum of the previous entry, from the bytes before this one.
    pub(super) seed: u64,
    /// Its own checksum.
    pub(super) check: u64,
    pub(super) trust: Trust,
}

/// How trustworthy an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It was committed.
    Certain,
    /// It is complete, but may be left over from a writer that crashed.
    Left,
    /// The checksum that would prove it is destroyed.
    Unproven,
}

/// The bytes of a ring that are in the file.
#[derive(PartialEq, Eq)]
pub(super) struct DamagedRing {
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

impl DamagedRing {
    pub(super) fn read(raw: &Raw<'_>, header: Header) -> Result<Self> {
        let start = header.log_start().min(raw.length);
        let bytes = raw.read(start..header.log_end().min(raw.length))?.unwrap_or_default();
        Ok(Self { header, bytes })
    }

    pub(super) fn size(&self) -> u64 {
        u64::from(self.header.log)
    }

    /// Returns the place of a position in the ring.
    pub(super) fn place(&self, position: u64) -> usize {
        in_memory(position % self.size())
    }

    /// Returns bytes of the ring, also across its end; `None` if the file ends before.
    pub(super) fn part(&self, at: usize, length: usize) -> Option<Cow<'_, [u8]>> {
        let before_end = length.min(in_memory(self.size()) - at);
        let first = self.bytes.get(at..at + before_end)?;
        if before_end == length {
            return Some(Cow::Borrowed(first));
        }
        Some(Cow::Owned([first, self.bytes.get(..length - before_end)?].concat()))
    }

    /// Returns the checksum before a position; at the beginning of the log, the initial seed.
    pub(super) fn seed_before(&self, position: u64) -> u64 {
        if position == self.header.first_position() {
            return self.header.seed();
        }
        let at = (self.place(position) + in_memory(self.size()) - ALIGNMENT) % in_memory(self.size());
        let bytes = self.part(at, ALIGNMENT);
        bytes.and_then(|bytes| bytes[..].try_into().ok()).map_or(0, u64::from_be_bytes)
    }

    /// Returns the header of an entry that seems to be at this place of the ring.
    pub(super) fn header_at(&self, at: usize) -> Option<EntryHeader> {
        if !self.bytes.get(at..)?.starts_with(&EntryHeader::MARK) {
            return None;
        }
        let start = self.part(at, EntryHeader::SIZE)?;
        let position = u64::from_be_bytes(start[8..16].try_into().ok()?);
        let in_log = (self.header.first_position()..NUMBER_LIMIT).contains(&position);
        let stands_there = in_log && self.place(position) == at;
        EntryHeader::decode(&start, position, self.header.log).filter(|_| stands_there)
    }

    /// Returns the entry at a position that continues one with this checksum.
    pub(super) fn entry_after(&self, position: u64, seed: u64) -> Option<FoundEntry> {
        let at = self.place(position);
        let header = self.header_at(at).filter(|header| header.position == position)?;
        let bytes = self.part(at, header.total as usize)?;
        let view = EntryView::decode(&bytes, position, seed, self.header.log)?;
        Some(FoundEntry { header, seed, check: view.checksum(), trust: Trust::Certain })
    }

    /// Returns the entry with this header, if it is complete according to the checksum before it, or would be
    /// with another one.
    pub(super) fn entry_at(&self, header: EntryHeader, at: usize) -> Option<FoundEntry> {
        let bytes = self.part(at, header.total as usize)?;
        let seed = self.seed_before(header.position);
        let proven = EntryView::decode(&bytes, header.position, seed, self.header.log);
        let trust = if proven.is_some() { Trust::Left } else { Trust::Unproven };
        let view = proven.or_else(|| EntryView::decode_unproven(&bytes, header.position, self.header.log))?;
        Some(FoundEntry { header, seed, check: view.checksum(), trust })
    }
}
