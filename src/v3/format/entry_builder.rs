//! Building an entry.

use super::entry::{Change, EntryHeader, HAS_BASE, IS_OPENING};
use super::head::FrameArea;
use super::{checksum, put_u64};

/// Collects records in the layout of their future entry.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    /// Space for the header, then the records.
    bytes: Vec<u8>,
    ends: Vec<u8>,
}

/// The fields of an entry, except its records.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) position: u64,
    pub(crate) first: u64,
    pub(crate) seed: u64,
    pub(crate) time: u64,
    pub(crate) sure: u64,
    /// Random bits; an entry with them is an opening entry.
    pub(crate) salt: Option<u64>,
    pub(crate) base: Option<&'a FrameArea>,
    pub(crate) change: Change,
    pub(crate) metadata: &'a [u8],
}

impl Builder {
    fn used(&self) -> usize {
        self.bytes.len().saturating_sub(EntryHeader::SIZE)
    }

    pub(crate) fn records(&self) -> usize {
        self.ends.len() / 4
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the length of the entry with this many bytes of base and metadata.
    pub(crate) fn total(&self, base: usize, metadata: usize) -> u64 {
        EntryHeader::total_of(self.records(), self.used(), base, metadata)
    }

    /// Adds a record. The caller ensures that the entry fits into the log.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.resize(EntryHeader::SIZE, 0);
        }
        self.bytes.extend_from_slice(record);
        let end = u32::try_from(self.bytes.len() - EntryHeader::SIZE).unwrap_or(u32::MAX);
        self.ends.extend_from_slice(&end.to_be_bytes());
    }

    /// Calls `work` with each record.
    pub(crate) fn each(&self, mut work: impl FnMut(&[u8])) {
        let mut start = EntryHeader::SIZE;
        for end in self.ends.chunks_exact(4) {
            let end = EntryHeader::SIZE + end.try_into().map_or(0, u32::from_be_bytes) as usize;
            work(&self.bytes[start..end]);
            start = end;
        }
    }

    /// Returns the finished entry.
    pub(crate) fn finish(mut self, fields: &Fields<'_>) -> Vec<u8> {
        let mut base = Vec::new();
        if let Some(frames) = fields.base {
            frames.encode(&mut base);
        }
        let small = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let total = self.total(base.len(), fields.metadata.len());
        let base_flag = if fields.base.is_some() { HAS_BASE } else { 0 };
        let header = EntryHeader {
            flags: base_flag | if fields.salt.is_some() { IS_OPENING } else { 0 },
            change: fields.change,
            position: fields.position,
            first: fields.first,
            records: small(self.records()),
            bytes: small(self.used()),
            total: u32::try_from(total).unwrap_or(u32::MAX),
            metadata: small(fields.metadata.len()),
            base: small(base.len()),
            salt: fields.salt.unwrap_or_default(),
            time: fields.time,
            sure: fields.sure,
        };
        if self.bytes.is_empty() {
            self.bytes.resize(EntryHeader::SIZE, 0);
        }
        let mut bytes = self.bytes;
        bytes.reserve_exact(usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(bytes.len()));
        bytes.extend_from_slice(&self.ends);
        bytes.extend_from_slice(&base);
        bytes.extend_from_slice(fields.metadata);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        header.encode(&mut bytes);
        let sum = checksum(&bytes, fields.seed);
        put_u64(&mut bytes, sum);
        bytes
    }
}
