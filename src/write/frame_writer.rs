//! Writing closed blocks to the file as consecutive frames.

use std::path::Path;
use std::sync::Arc;

use crate::codec::frame;
use crate::codec::level::ZlibLevel;
use crate::error::Result;
use crate::format::master::MasterNode;
use crate::format::{Coordinates, in_memory};
use crate::read::open_file::OpenFile;
use crate::storage::{Standing, read_up_to, write_all};
use crate::sync::pipeline::Pipeline;
use crate::write::closed_block::ClosedBlock;
use crate::write::standing::Watch;

/// Maximum number of bytes by which a file is extended at a time.
const MAX_GROWTH: u64 = 5 * 1024 * 1024;

/// Maximum number of bytes of closed blocks in the pipeline, beyond which the next one waits.
const MAX_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// Compresses closed blocks on several threads and writes them in order.
#[derive(Debug)]
pub(super) struct FrameWriter {
    file: Arc<OpenFile>,
    level: ZlibLevel,
    /// The closed blocks that are not in the file yet.
    pipeline: Pipeline<ClosedBlock>,
    /// The length of the file in bytes.
    length: u64,
    /// Whether frames, or the length, were written since the last sync.
    unsynced: bool,
    watch: Watch,
}

impl FrameWriter {
    /// Creates the frame writer of a file, whose present attributes are `opened`.
    pub(super) fn new(file: Arc<OpenFile>, level: ZlibLevel, opened: Standing) -> Self {
        let pipeline = Pipeline::new(file.threads);
        Self { file, level, pipeline, length: opened.length, unsynced: false, watch: Watch::new(opened) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    /// Size at which a block is closed.
    #[inline]
    pub(super) fn block_size(&self) -> usize {
        self.file.geometry.block_size as usize
    }

    /// Number of children of a full index node.
    pub(super) fn fan_out(&self) -> usize {
        self.file.geometry.fan_out as usize
    }

    /// Number of blocks in the pipeline.
    pub(super) fn len(&self) -> usize {
        self.pipeline.len()
    }

    /// Returns whether the pipeline is empty.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.pipeline.is_empty()
    }

    /// Returns whether frames, or the length, were written since the last call, and so need a sync.
    pub(super) fn take_unsynced(&mut self) -> bool {
        std::mem::take(&mut self.unsynced)
    }

    pub(super) fn watch(&self) -> Watch {
        self.watch
    }

    /// Records what a commit has noticed about the file.
    pub(super) fn note_watch(&mut self, seen: Watch) {
        if self.watch.harm().is_none() {
            self.watch = seen;
        }
    }

    /// Compresses a block in this thread.
    pub(super) fn compress(&self, block: &[u8]) -> Result<Vec<u8>> {
        frame::deflate(block, self.level)
    }

    /// Queues a closed block.
    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        let size = bytes.len();
        self.pipeline.push(ClosedBlock { bytes, level: self.level }, size);
    }

    /// Queues a closed block that is already compressed.
    pub(super) fn push_compressed(&mut self, frame: Vec<u8>) {
        let size = frame.len();
        self.pipeline.push_outcome(Arc::new(frame), size);
    }

    /// Discards all blocks except the `kept` oldest ones.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.pipeline.truncate(kept);
    }

    /// Returns whether the oldest block should be written before another one is closed: it is compressed, or the
    /// pipeline is full.
    pub(super) fn should_write(&self) -> bool {
        let threads = self.pipeline.threads();
        let for_threads = if threads == 1 { 1 } else { 2 * threads };
        self.pipeline.len() >= for_threads
            || self.pipeline.bytes() >= MAX_IN_FLIGHT
            || self.pipeline.front_is_ready()
    }

    /// Writes the frame of the oldest block at the file limit of `node`, and advances the limit and the
    /// partial page.
    pub(super) fn write_front(&mut self, node: &mut MasterNode) -> Result<()> {
        let Some(frame) = self.pipeline.front()? else {
            return Ok(());
        };
        node.tail = self.write_frame(&frame, node)?;
        node.file_limit += frame.len() as u64;
        self.pipeline.pop();
        Ok(())
    }

    /// Writes a block of index nodes at the file limit of `node`, like [`write_front`](Self::write_front).
    pub(super) fn write_nodes(&mut self, nodes: &[u8], node: &mut MasterNode) -> Result<()> {
        let frame = frame::deflate_rows(nodes, Coordinates::SIZE)?;
        node.tail = self.write_frame(&frame, node)?;
        node.file_limit += frame.len() as u64;
        Ok(())
    }

    /// Writes a frame at the file limit, in whole pages; returns the remainder for the partial page.
    fn write_frame(&mut self, frame: &[u8], node: &MasterNode) -> Result<Vec<u8>> {
        let geometry = self.file.geometry;
        let start = geometry.whole_pages(node.file_limit);
        let end = geometry.whole_pages(node.file_limit + frame.len() as u64);
        if start == end {
            return Ok([&node.tail, frame].concat());
        }
        self.check_standing(node.file_limit)?;
        self.unsynced = true;
        self.grow(end, node.file_limit)?;
        let (first, rest) = frame.split_at(geometry.page_size as usize - node.tail.len());
        let first_page = [&node.tail, first].concat();
        let (pages, tail) = rest.split_at(rest.len() - rest.len() % geometry.page_size as usize);
        write_all(&*self.file.storage, &first_page, start)
            .and_then(|()| write_all(&*self.file.storage, pages, start + geometry.page()))
            .map_err(self.file.failed("write to"))?;
        Ok(tail.to_vec())
    }

    #[inline]
    pub(super) fn harm(&self) -> Option<&'static str> {
        self.watch.harm()
    }

    /// Checks that the file still has what was written before `file_limit`, and a name.
    fn check_standing(&mut self, file_limit: u64) -> Result<()> {
        self.length = self.watch.check(&self.file, self.file.geometry.whole_pages(file_limit))?;
        Ok(())
    }

    /// Extends the file to at least `needed` bytes, and far beyond, so that this is rare.
    fn grow(&mut self, needed: u64, file_limit: u64) -> Result<()> {
        if needed <= self.length {
            return Ok(());
        }
        let step = self.file.geometry.whole_pages(file_limit.min(MAX_GROWTH));
        let length = needed.max(self.length + step);
        let set_length = |length| self.file.storage.set_length(length).map(|()| length);
        // If there is no space for the reserve, there may be enough for now.
        self.length =
            set_length(length).or_else(|_| set_length(needed)).map_err(self.file.failed("enlarge"))?;
        Ok(())
    }

    /// Saves the whole pages between two file limits.
    pub(super) fn pages_between(&self, committed: u64, written: u64) -> Vec<u8> {
        let geometry = &self.file.geometry;
        let (start, end) = (geometry.whole_pages(committed), geometry.whole_pages(written));
        let mut pages = Vec::new();
        // If they cannot be saved, a reader finds its pages missing and reports it.
        if pages.try_reserve_exact(in_memory(end - start)).is_ok() {
            pages.resize(in_memory(end - start), 0);
            let there = read_up_to(&*self.file.storage, &mut pages, start).unwrap_or_default();
            pages.truncate(there);
        }
        pages
    }

    /// Truncates the reserve by which the file was extended and that no commit uses.
    pub(super) fn trim(&self, committed_limit: u64) {
        let geometry = &self.file.geometry;
        let used = committed_limit.next_multiple_of(geometry.page());
        let length = used.max(geometry.initial_length());
        // A file that was truncated further is left alone.
        if self.file.storage.length().is_ok_and(|now| length < now) {
            // The reserve does no harm, so an error does not matter.
            let _ = self.file.storage.set_length(length);
        }
    }
}
