//! The frames of a state in order, and the records that are not in a frame yet.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::error::Result;
use crate::read::blocks::{BlockInfo, FrameInfo};
use crate::v3::format::frame::Kind;

/// The blocks of a state in the order of the file.
pub(crate) struct Blocks {
    snapshot: Arc<Snapshot>,
    /// Where the next frame starts; `None` at the end.
    next: Option<u64>,
    /// The number of the first record after the frames so far.
    next_record: u64,
}

impl Blocks {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        let next = Some(snapshot.frames.file.header.data_start());
        Self { snapshot, next, next_record: 1 }
    }

    fn take(&mut self, start: u64) -> Result<Option<BlockInfo>> {
        let limit = self.snapshot.frames.limit;
        if start >= limit {
            let (records, size) = self.snapshot.pending();
            return Ok((!records.is_empty()).then(|| BlockInfo {
                frame: None,
                size,
                record_count: Some(records.end() - records.start() + 1),
                records: Some(records),
            }));
        }
        let frame = match self.snapshot.frames.header(start) {
            Ok(frame) => frame,
            Err(error) => {
                self.next = Some(self.pass(start).unwrap_or(limit));
                return Err(error);
            }
        };
        self.next = Some(start + frame.total());
        let last = frame.first + u64::from(frame.count).saturating_sub(1);
        let records = (frame.kind == Kind::Records).then_some(frame.first..=last);
        if records.is_some() {
            self.next_record = last + 1;
        }
        let info = FrameInfo { position: start, compressed_size: frame.total() };
        let record_count = Some(records.as_ref().map_or(0, |_| frame.count.into()));
        Ok(Some(BlockInfo { frame: Some(info), size: frame.raw, records, record_count }))
    }

    /// Skips the frame at `start`, whose end is unknown; returns the position of the next one with records.
    fn pass(&mut self, start: u64) -> Result<u64> {
        let (child, first) = self.snapshot.find_block(self.next_record)?;
        if child.position > start {
            return Ok(child.position);
        }
        self.next_record = first + child.records;
        Ok(child.end())
    }
}

impl Iterator for Blocks {
    type Item = Result<BlockInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        // After any such error, iteration cannot continue.
        let start = self.next.take()?;
        self.take(start).transpose()
    }
}
