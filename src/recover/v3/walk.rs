//! Handing over the records of a damaged file in order: along the index where it can be read, by what frames say of
//! themselves where it cannot, and from the log.

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
use super::log::{DamagedLog, Trust};
use super::scan::{FoundFrame, frame_at, search};

/// What is known before the walk.
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
    /// What is read as frames.
    frames: FrameSource,
    log: &'a DamagedLog,
    sink: &'a mut Sink<'b>,
    known: KnownCounts,
    /// Where the last frame ends that the index has led to.
    reached: u64,
    /// The latest stamp of a frame so far.
    time: u64,
    /// Records of frames that are older were committed.
    settled: u64,
    /// Where metadata was found.
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

    /// The number of the next record.
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

    /// All records below the rightmost path.
    pub(super) fn index(&mut self, path: &Path) -> Result<()> {
        let mut first = 1;
        for (height, child) in path.roots() {
            self.subtree(height, child, first)?;
            first += child.records;
        }
        self.fill(first)
    }

    /// The records below a child of the index. Nothing is read twice, since positions rise.
    fn subtree(&mut self, height: usize, child: &Child, first: u64) -> Result<()> {
        if child.position < self.reached {
            let found = "a frame that comes again or before others";
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

    /// The records in all frames behind those that the index leads to.
    pub(super) fn rest(&mut self) -> Result<()> {
        let part = self.reached..self.raw.length;
        self.frames.limit = self.raw.length;
        self.settled = self.last_time(part.clone())?;
        self.scan(part, u64::MAX)
    }

    /// The stamp of the last block in a part of the file. An open transaction has one stamp, and no block is behind it:
    /// whatever is older was committed.
    fn last_time(&self, part: Range<u64>) -> Result<u64> {
        let (mut at, mut next, mut time) = (part.start, self.next(), self.time);
        while let Some(frame) = self.frame_from(at, part.end)? {
            at = frame.child.end();
            if frame.header.kind == Kind::Records
                && frame.header.first >= next
                && frame.header.times.0 >= time
            {
                (next, time) = (frame.header.first + frame.child.records, frame.header.times.1);
            }
        }
        Ok(time)
    }

    /// The first frame from `at` on that proves itself.
    fn frame_from(&self, at: u64, end: u64) -> Result<Option<FoundFrame>> {
        let seed = self.frames.file.header.seed();
        if let Some(frame) = frame_at(self.raw, seed, at, end)? {
            return Ok(Some(frame));
        }
        let found = search(self.raw, seed, at + 1, end)?;
        found.map_or(Ok(None), |at| frame_at(self.raw, seed, at, end))
    }

    /// The records of blocks in a part of the file that no index leads to, up to the number `last`.
    fn scan(&mut self, part: Range<u64>, last: u64) -> Result<()> {
        let (mut at, end) = (part.start, part.end.min(self.frames.limit));
        while at < end {
            self.raw.monitor.advance_to(at);
            let found = self.frame_from(at, end)?;
            // Behind the last frame there may be anything.
            let is_damaged = found.as_ref().map_or(last < u64::MAX, |frame| frame.child.position > at);
            if is_damaged {
                self.note(Damage::new("bytes that are no frame", "a frame").at(at));
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

    /// The records of a block that says itself which they are.
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

    /// The records of a block, after those before it. What is not known to have been committed counts from the log, if
    /// it is there.
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

    /// The records before `to` from the log, as far as it has them; the others are lost.
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
