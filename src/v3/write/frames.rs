//! Writing frames: blocks are compressed in the background and written in order, with the index over them.

use std::sync::Arc;

use super::cutter::{BlockTask, Cutter};
use crate::error::{Error, Result};
use crate::storage::{Standing, write_all};
use crate::sync::pipeline::Pipeline;
use crate::v3::codec::{Level, compress};
use crate::v3::format::checksum;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::format::head::{FrameArea, Head};
use crate::v3::format::index::{Child, encode_node};
use crate::v3::log::LogEntry;
use crate::v3::shared::Shared;
use crate::write::standing::Watch;

/// The file grows by at most this much at a time.
const MAX_GROWTH: u64 = 5 << 20;

/// The frames in the file, including those to which no head refers yet, and records that become frames.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    file: Arc<Shared>,
    level: Level,
    /// The frames in the file.
    pub(crate) frames: FrameArea,
    pub(crate) cutter: Cutter,
    pipeline: Pipeline<BlockTask>,
    /// Length of the file.
    length: u64,
    watch: Watch,
}

impl FrameWriter {
    pub(crate) fn new(file: Arc<Shared>, level: Level, frames: FrameArea, opened: Standing) -> Self {
        let pipeline = Pipeline::new(file.threads);
        let (length, watch) = (opened.length, Watch::new(opened));
        Self { file, level, frames, cutter: Cutter::default(), pipeline, length, watch }
    }

    #[inline]
    pub(crate) fn harm(&self) -> Option<&'static str> {
        self.watch.harm()
    }

    /// Checks that the file was neither truncated nor removed.
    pub(crate) fn check_standing(&mut self) -> Result<()> {
        self.length = self.watch.check(&self.file, self.frames.limit)?;
        Ok(())
    }

    /// Adds the records of an entry from the one with this number on.
    pub(crate) fn feed(&mut self, entry: &LogEntry, from: u64, time: u64) {
        let (codec, level, seed) = (self.file.header.codec, self.level, self.file.header.seed());
        let pipeline = &mut self.pipeline;
        self.cutter.feed(entry, from, time, self.file.header.block.into(), |parts| {
            let task = BlockTask::new(parts, codec, level, seed);
            let bytes = task.bytes();
            pipeline.push(task, bytes);
        });
    }

    /// Closes the block that is not full.
    pub(crate) fn close_block(&mut self) {
        if !self.cutter.is_empty() {
            let parts = self.cutter.take();
            let task = BlockTask::new(parts, self.file.header.codec, self.level, self.file.header.seed());
            let bytes = task.bytes();
            self.pipeline.push(task, bytes);
        }
    }

    /// Returns whether blocks are being compressed or wait to be written.
    pub(crate) fn is_busy(&self) -> bool {
        !self.pipeline.is_empty()
    }

    /// Compresses and writes everything queued, if there is no other thread to do it.
    pub(crate) fn help_if_alone(&mut self, due: bool) {
        if due && self.pipeline.threads() == 1 {
            // A full or failing disk is reported once the log is full.
            let _ = self.settle();
        }
    }

    /// Writes the blocks whose compression is complete.
    pub(crate) fn write_ready(&mut self) -> Result<()> {
        while self.pipeline.front_is_ready() {
            self.write_front()?;
        }
        Ok(())
    }

    /// Writes blocks until at most twice as many remain as there are threads.
    pub(crate) fn write_surplus(&mut self) -> Result<()> {
        while self.pipeline.len() > 2 * self.pipeline.threads() {
            self.write_front()?;
        }
        self.write_ready()
    }

    /// Writes all closed blocks.
    pub(crate) fn settle(&mut self) -> Result<()> {
        while self.is_busy() {
            self.write_front()?;
        }
        Ok(())
    }

    /// Writes the oldest closed block, as soon as it is compressed, and the index nodes that it fills.
    pub(crate) fn write_front(&mut self) -> Result<()> {
        let Some(block) = self.pipeline.front()? else {
            return Ok(());
        };
        let mut next = self.frames.clone();
        let first = next.count() + 1;
        let header = block.header_at(next.limit, first);
        let sum = self.write_frame(&header, &block.body, &mut next)?;
        let mut child = Child {
            sum,
            position: header.position,
            length: header.total(),
            records: header.count.into(),
            time: header.times.1,
        };
        let mut height = 1;
        while let Some(children) = next.path.add(height, child, self.file.header.fan_out) {
            child = self.write_node(&children, &mut next)?;
            height += 1;
        }
        if !Head::fits(&next, &self.file.header) {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        self.frames = next;
        self.pipeline.pop();
        Ok(())
    }

    fn write_node(&mut self, children: &[Child], frames: &mut FrameArea) -> Result<Child> {
        let body = encode_node(children);
        let records = children.iter().map(|child| child.records).sum();
        let times =
            (children.first().map_or(0, |child| child.time), children.last().map_or(0, |child| child.time));
        let header = FrameHeader {
            // Its children are blocks, or nodes; their records end with the last one written.
            first: frames.count() + 1 - records,
            count: u32::try_from(children.len()).unwrap_or(u32::MAX),
            times,
            ..self.plain_header(Kind::Node, &body, frames)
        };
        let sum = self.write_frame(&header, &body, frames)?;
        Ok(Child { position: header.position, length: header.total(), records, time: times.1, sum })
    }

    fn plain_header(&self, kind: Kind, body: &[u8], frames: &FrameArea) -> FrameHeader {
        FrameHeader {
            kind,
            codec: crate::v3::format::Codec::None,
            width: 0,
            position: frames.limit,
            first: frames.count() + 1,
            count: 0,
            commits: 0,
            body: body.len() as u64,
            raw: body.len() as u64,
            times: (0, 0),
            body_sum: checksum(body, self.file.header.seed()),
        }
    }

    /// Writes metadata as a frame, which becomes the current metadata.
    pub(crate) fn write_metadata(&mut self, metadata: &[u8]) -> Result<()> {
        let (codec, body) = compress(metadata.to_vec(), self.file.header.codec, self.level)?;
        let mut next = self.frames.clone();
        let header = FrameHeader {
            codec,
            raw: metadata.len() as u64,
            ..self.plain_header(Kind::Metadata, &body, &next)
        };
        next.metadata = header.position;
        self.write_frame(&header, &body, &mut next)?;
        self.frames = next;
        Ok(())
    }

    /// Writes a frame at the limit. Returns the bytes by which the index distinguishes it from others.
    fn write_frame(&mut self, header: &FrameHeader, body: &[u8], frames: &mut FrameArea) -> Result<u32> {
        let end = header.position + header.total();
        self.check_standing()?;
        self.grow(end)?;
        let storage = &*self.file.storage;
        let encoded = header.encode(&self.file.header);
        write_all(storage, &encoded, header.position)
            .and_then(|()| write_all(storage, body, header.position + FrameHeader::SIZE as u64))
            .map_err(self.file.failed("write to"))?;
        frames.limit = end;
        Ok(FrameHeader::sum(&encoded))
    }

    /// Extends the file to at least `needed` bytes, and further, so that this is rarely necessary.
    fn grow(&mut self, needed: u64) -> Result<()> {
        if needed <= self.length {
            return Ok(());
        }
        let page = u64::from(self.file.header.page);
        let ample = (needed + self.length.min(MAX_GROWTH)).next_multiple_of(page);
        let set_length = |length| self.file.storage.set_length(length).map(|()| length);
        // If there is no space for the larger extension, there may be enough for this one.
        self.length =
            set_length(ample).or_else(|_| set_length(needed)).map_err(self.file.failed("enlarge"))?;
        Ok(())
    }

    /// Restores an earlier state; frames that were written since are overwritten later.
    pub(crate) fn restore(&mut self, frames: FrameArea, cutter: Cutter) {
        self.pipeline.truncate(0);
        self.frames = frames;
        self.cutter = cutter;
    }
}
