//! Dividing records into blocks, and compressing a block on any thread.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::sync::pipeline::Task;
use crate::v3::codec::{Columns, Level, RECORD_OVERHEAD, compress};
use crate::v3::format::entry_builder::Builder;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::format::{Codec, checksum};
use crate::v3::log::LogEntry;

/// Some records of one entry.
#[derive(Debug, Clone)]
pub(crate) struct EntrySlice {
    entry: LogEntry,
    records: Range<u32>,
    /// Their commit time.
    time: u64,
}

/// Collects the records that do not fill a block yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cutter {
    parts: Vec<EntrySlice>,
    size: u64,
}

impl Cutter {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds the records of an entry from the one with this number on, and passes each block that they fill to `full`.
    pub(crate) fn feed(
        &mut self,
        entry: &LogEntry,
        from: u64,
        time: u64,
        block: u64,
        mut full: impl FnMut(Vec<EntrySlice>),
    ) {
        let view = entry.view();
        let skipped = from.saturating_sub(entry.header.first);
        let mut next = u32::try_from(skipped).unwrap_or(u32::MAX).min(entry.header.records);
        while next < entry.header.records {
            let mut count = view.fitting(next, block - self.size.min(block), RECORD_OVERHEAD);
            if count == 0 && self.parts.is_empty() {
                // A record that is too large for a block becomes a block of its own.
                count = 1;
            }
            let records = next..next + count;
            if count > 0 {
                self.size += view.range(records.clone()).len() as u64 + RECORD_OVERHEAD * u64::from(count);
                self.parts.push(EntrySlice { entry: entry.clone(), records, time });
                next += count;
            }
            if next < entry.header.records || self.size > block {
                full(self.take());
            }
        }
    }

    /// Takes the records so far, whether or not they fill a block.
    pub(crate) fn take(&mut self) -> Vec<EntrySlice> {
        self.size = 0;
        std::mem::take(&mut self.parts)
    }

    /// Copies the records so far, for an entry.
    pub(crate) fn copy_to(&self, builder: &mut Builder) {
        for part in &self.parts {
            let view = part.entry.view();
            part.records.clone().for_each(|index| builder.push(view.records(index..index + 1)));
        }
    }
}

/// A block to be compressed.
#[derive(Debug)]
pub(crate) struct BlockTask {
    parts: Vec<EntrySlice>,
    codec: Codec,
    level: Level,
    /// The seed of the file's checksums.
    seed: u64,
}

/// A compressed block whose position is not known yet.
#[derive(Debug)]
pub(crate) struct ClosedBlock {
    header: FrameHeader,
    pub(crate) body: Vec<u8>,
}

impl ClosedBlock {
    /// Returns the header of its frame at `position`, with the first record number `first`.
    pub(crate) fn header_at(&self, position: u64, first: u64) -> FrameHeader {
        FrameHeader { position, first, ..self.header }
    }
}

impl BlockTask {
    pub(crate) fn new(parts: Vec<EntrySlice>, codec: Codec, level: Level, seed: u64) -> Self {
        Self { parts, codec, level, seed }
    }

    /// Returns the total length of the records.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.entry.view().range(part.records.clone()).len()).sum()
    }
}

impl Task for BlockTask {
    type Outcome = Arc<ClosedBlock>;

    fn run(&self) -> Result<Self::Outcome> {
        let mut columns = Columns::default();
        columns.try_reserve(self.bytes())?;
        for part in &self.parts {
            let view = part.entry.view();
            columns.add(view.records(part.records.clone()), view.lengths(part.records.clone()), part.time);
        }
        let block = columns.finish();
        let raw = block.raw.len() as u64;
        let (codec, body) = compress(block.raw, self.codec, self.level)?;
        let header = FrameHeader {
            kind: Kind::Records,
            codec,
            width: block.width,
            position: 0,
            first: 1,
            count: block.count,
            commits: block.commits,
            body: body.len() as u64,
            raw,
            times: block.times,
            body_sum: checksum(&body, self.seed),
        };
        Ok(Arc::new(ClosedBlock { header, body }))
    }
}
