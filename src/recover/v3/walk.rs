//! Passing on the records of a damaged file in order: along the index where it is readable, by the headers of
//! frames where it is not, and from the log.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Damage, Error, Result};
use crate::v3::codec::RecordBlock;
use crate::v3::format::entry::EntryView;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::format::index::{Child, Path};
use crate::v3::read::frames::FrameSource;
use crate::verify::list_problem;

use super::super::raw::Raw;
use super::super::sink::Sink;
use super::log::DamagedLog;
use super::ring::Trust;
use super::scan::{FoundFrame, frame_at, search};

/// The counts that are known before the walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownCounts {
    /// Records up to this one are in frames of a commit, if those can be read.
    pub(super) framed: u64,
    /// Records up to this one were committed.
    pub(super) committed: u64,
}

/// A walk through a file.
pub(super) struct Walk<'a, 'b, 'c> {
    raw: &'a Raw<'c>,
    /// The source of frames.
    frames: FrameSource,
    log: &'a DamagedLog,
    sink: &'a mut Sink<'b>,
    known: KnownCounts,
    /// The end of the last frame to which the index has led.
    reached: u64,
    /// The latest time in a frame so far.
    time: u64,
    /// Records in frames older than this were committed.
    settled: u64,
    /// The position of the metadata, once found.
    pub(super) metadata: Option<u64>,
}

impl<'a, 'b, 'c> Walk<'a, 'b, 'c> {
    pub(super) fn new(
        raw: &'a Raw<'c>,
        frames: FrameSource,
        log: &'a DamagedLog,
        sink: &'a mut Sink<'b>,
        known: KnownCounts,
    ) -> Self {
        let reached = frames.file.header.data_start();
        Self { raw, frames, log, sink, known, reached, time: 0, settled: 0, metadata: None }
    }

    /// Returns the number of the next record.
    fn next(&self) -> u64 {
        self.sink.records.saturating_add(1)
    }

    fn note(&mut self, damage: Damage) {
        list_problem(&mut self.sink.recovery.problems, damage);
    }

    /// Notes damage and continues; other errors end the walk.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { damage, .. }) => {
                self.note(damage);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Processes all records below the rightmost path.
    pub(super) fn index(&mut self, path: &Path) -> Result<()> {
        let mut first = 1;
        for (height, child) in path.roots() {
            self.subtree(height, child, first)?;
            first += child.records;
        }
        self.fill(first)
    }

    /// Processes the records below a child of the index. Nothing is read twice, since positions ascend.
    fn subtree(&mut self, height: usize, child: &Child, first: u64) -> Result<()> {
        if child.position < self.reached {
            let found = "a frame that is repeated or out of order";
            self.note(Damage::new(found, "frames in the order of the index").at(child.position));
            return Ok(());
        }
        self.raw.monitor.add_work(child.length)?;
        self.raw.monitor.advance_to(child.position);
        if height == 0 {
            let block = self.frames.block(child, first);
            if let Some(block) = self.keep(block)? {
                self.block(&block, first)?;
            }
        } else {
            let children = self.frames.node(child, first);
            match self.keep(children)? {
                Some(children) => {
                    let mut first = first;
                    for child in children.iter() {
                        self.subtree(height - 1, child, first)?;
                        first += child.records;
                    }
                }
                None => self.scan(self.reached..child.position, first + child.records - 1)?,
            }
        }
        self.reached = self.reached.max(child.end());
        Ok(())
    }

    /// Processes the records in all frames after those to which the index leads.
    pub(super) fn rest(&mut self) -> Result<()> {
        let part = self.reached..self.raw.length;
        self.frames.limit = self.raw.length;
        self.settle(part.clone())?;
        self.scan(part, u64::MAX)
    }

    /// Finds the time in the last block in a part of the file. An open transaction has a single time, and no block
    /// follows it: everything older was committed.
    fn settle(&mut self, part: Range<u64>) -> Result<()> {
        let (mut at, mut next, mut time) = (part.start, self.next(), self.time);
        while let Some(FoundFrame { header, child }) = self.frame_from(at, part.end)? {
            at = child.end();
            if header.kind == Kind::Records && header.first >= next && header.times.0 >= time {
                let older = if header.times.0 < header.times.1 { header.first } else { next - 1 };
                if time < header.times.1 {
                    self.known.committed = self.known.committed.max(older);
                }
                (next, time) = (header.first + child.records, header.times.1);
            }
        }
        self.settled = time;
        Ok(())
    }

    /// Returns the first valid frame from `at` on.
    fn frame_from(&self, at: u64, end: u64) -> Result<Option<FoundFrame>> {
        let header = &self.frames.file.header;
        if let Some(frame) = frame_at(self.raw, header, at, end)? {
            return Ok(Some(frame));
        }
        let found = search(self.raw, header, at + 1..end)?;
        found.map_or(Ok(None), |at| frame_at(self.raw, header, at, end))
    }

    /// Processes the records of blocks in a part of the file to which no index leads, up to the number `last`.
    fn scan(&mut self, part: Range<u64>, last: u64) -> Result<()> {
        let (mut at, end) = (part.start, part.end.min(self.frames.limit));
        while at < end {
            self.raw.monitor.advance_to(at);
            let found = self.frame_from(at, end)?;
            // After the last frame there may be anything.
            let is_damaged = found.as_ref().map_or(last < u64::MAX, |frame| frame.child.position > at);
            if is_damaged {
                self.note(Damage::new("bytes that are not a frame", "a frame").at(at));
            }
            let Some(FoundFrame { header, child }) = found else {
                break;
            };
            at = child.end();
            match header.kind {
                Kind::Records => self.found_block(&header, &child, last)?,
                Kind::Metadata => self.metadata = Some(header.position),
                Kind::Node => {}
            }
        }
        Ok(())
    }

    /// Processes the records of a block found without the index.
    fn found_block(&mut self, header: &FrameHeader, child: &Child, last: u64) -> Result<()> {
        let follows = header.first >= self.next() && header.times.0 >= self.time;
        if follows && child.records > 0 && header.first.saturating_add(child.records - 1) <= last {
            let block = self.frames.block(child, header.first);
            if let Some(block) = self.keep(block)? {
                self.block(&block, header.first)?;
            }
        }
        Ok(())
    }

    /// Processes the records of a block, after filling the gap before it. Records that may not have been
    /// committed are taken from the log, if they are there.
    fn block(&mut self, block: &Arc<RecordBlock>, first: u64) -> Result<()> {
        self.fill(first)?;
        for index in 0..block.count() {
            let number = first + u64::from(index);
            if number < self.next() {
                continue;
            }
            if number > self.known.framed && self.log.find(number).is_ok() {
                self.fill(number + 1)?;
                continue;
            }
            self.time = block.time(index);
            self.sink.set_commit_time(self.time)?;
            let certain = number <= self.known.framed || self.time < self.settled;
            self.sink.add(&block.bytes()[block.range(index)], certain)?;
        }
        Ok(())
    }

    /// Processes the records before `to` from the log; those that it does not have are lost.
    pub(super) fn fill(&mut self, to: u64) -> Result<()> {
        while self.next() < to {
            let next = self.next();
            match self.log.find(next) {
                Ok((entry, last)) => {
                    let bytes = self.log.bytes_of(entry);
                    let view = EntryView::of(entry.header, &bytes);
                    for number in next..=last.min(to - 1) {
                        let index = u32::try_from(number - entry.header.first).unwrap_or(u32::MAX);
                        let certain = entry.trust == Trust::Certain;
                        self.sink.set_commit_time(entry.header.time)?;
                        self.sink.add(view.records(index..index + 1), certain)?;
                    }
                }
                Err(found) => {
                    let until = found.unwrap_or(to).min(to);
                    self.sink.lose(until - next, until - 1 <= self.known.committed)?;
                }
            }
        }
        Ok(())
    }
}
