//! Records that are together in memory: those of a block, or of an entry of the log.

use std::sync::Arc;

use crate::error::Result;
use crate::read::record::Record;
use crate::read::record_run::RecordRun;
use crate::v3::codec::RecordBlock;
use crate::v3::log::LogEntry;

/// Maximum number of bytes of a run: the ends of its records must fit in 31 bits.
const MAX_BYTES: usize = (1 << 31) - 1;

/// Records that are together in memory.
#[derive(Debug, Clone)]
pub(crate) enum Run {
    /// A block, and the number of its first record.
    Block(Arc<RecordBlock>, u64),
    /// An entry, and the number of the first of its records that is not in a frame.
    Entry(LogEntry, u64),
}

impl Run {
    /// Returns whether the record with this number is among them.
    #[inline]
    pub(crate) fn has(&self, number: u64) -> bool {
        match self {
            Self::Block(block, first) => number.wrapping_sub(*first) < u64::from(block.count()),
            Self::Entry(entry, first) => (*first..=entry.header.last()).contains(&number),
        }
    }

    /// Returns the bytes of the record with this number, which must be one of them.
    #[inline]
    pub(crate) fn bytes(&self, number: u64) -> &[u8] {
        match self {
            Self::Block(block, first) => &block.bytes()[block.range(index(number, *first))],
            Self::Entry(entry, _) => entry.record_bytes(number),
        }
    }

    /// Returns the record with this number, which must be one of them.
    #[inline]
    pub(crate) fn record(&self, number: u64) -> Record {
        match self {
            Self::Block(block, first) => block.record(index(number, *first)),
            Self::Entry(entry, _) => entry.record(number),
        }
    }

    /// Returns the records from this number on, up to `last`, as they are in a block; `None` if they are not in one, or
    /// have fewer than `min_bytes` bytes.
    pub(crate) fn side_by_side(&self, number: u64, last: u64, min_bytes: usize) -> Result<Option<RecordRun>> {
        let Self::Block(block, first) = self else {
            return Ok(None);
        };
        let start = index(number, *first);
        let end = index(last.min(first + u64::from(block.count()) - 1), *first) + 1;
        let bytes = block.range(end - 1).end - block.range(start).start;
        if (min_bytes..=MAX_BYTES).contains(&bytes) { block.run(start..end).map(Some) } else { Ok(None) }
    }

    /// Returns the commit time of the record with this number, which must be one of them.
    pub(crate) fn time(&self, number: u64) -> u64 {
        match self {
            Self::Block(block, first) => block.time(index(number, *first)),
            Self::Entry(entry, _) => entry.header.time,
        }
    }

    /// Returns their size in memory.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Block(block, _) => block.size(),
            Self::Entry(entry, _) => entry.header.total.into(),
        }
    }
}

fn index(number: u64, first: u64) -> u32 {
    u32::try_from(number - first).unwrap_or(u32::MAX)
}
