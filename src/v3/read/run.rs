//! Records that lie together in memory: those of a block, or of an entry of the log.

use std::sync::Arc;

use crate::read::record::Record;
use crate::v3::codec::RecordBlock;
use crate::v3::log::LogEntry;

/// Records that lie together in memory.
#[derive(Debug, Clone)]
pub(crate) enum Run {
    /// A block, and the number of its first record.
    Block(Arc<RecordBlock>, u64),
    Entry(LogEntry),
}

impl Run {
    /// Whether the record with this number is among them.
    #[inline]
    pub(crate) fn has(&self, number: u64) -> bool {
        match self {
            Self::Block(block, first) => number.wrapping_sub(*first) < u64::from(block.count()),
            Self::Entry(entry) => entry.has(number),
        }
    }

    /// The bytes of the record with this number, which must be one of them.
    #[inline]
    pub(crate) fn bytes(&self, number: u64) -> &[u8] {
        match self {
            Self::Block(block, first) => &block.bytes()[block.range(index(number, *first))],
            Self::Entry(entry) => entry.record_bytes(number),
        }
    }

    /// The record with this number, which must be one of them.
    #[inline]
    pub(crate) fn record(&self, number: u64) -> Record {
        match self {
            Self::Block(block, first) => block.record(index(number, *first)),
            Self::Entry(entry) => entry.record(number),
        }
    }

    /// When the record with this number, which must be one of them, was committed.
    pub(crate) fn time(&self, number: u64) -> u64 {
        match self {
            Self::Block(block, first) => block.time(index(number, *first)),
            Self::Entry(entry) => entry.header.time,
        }
    }

    /// Bytes that they take in memory.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Block(block, _) => block.size(),
            Self::Entry(entry) => entry.header.total.into(),
        }
    }
}

fn index(number: u64, first: u64) -> u32 {
    u32::try_from(number - first).unwrap_or(u32::MAX)
}
