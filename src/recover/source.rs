//! The frames of a damaged file, and where they continue after damage.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use libdeflater::adler32;

use crate::codec::inflate_stream;
use crate::error::{Damage, Result};
use crate::format::master::MasterNode;
use crate::format::{Coordinates, Geometry, LENGTH_SIZE, in_memory};
use crate::read::frames::Frames;
use crate::read::validity::new_epoch;
use crate::verify::list_problem;

use super::block::{FRAME_START, Found, FoundBlock, Hole, end_of, starts_stream};
use super::raw::Raw;

/// Frames are searched in chunks of increasing length, from this one, because most are near.
const FIRST_CHUNK: u64 = 1 << 12;

const MAX_CHUNK: u64 = 1 << 20;

/// Number of bytes of a candidate's stream that are tried before all of it is read.
const FIRST_TRY: u64 = 16 * 1024;
/// Every zlib stream ends with a checksum of this many bytes.
const CHECKSUM_SIZE: u64 = 4;
/// Maximum number of inflated blocks that are kept, more than the search for the fan-out needs, and of their bytes.
const BLOCKS_KEPT: usize = 256;

const BYTES_KEPT: usize = 24 * 1024 * 1024;

/// The frames of a damaged file.
pub(super) struct DamagedFrames<'a> {
    pub(super) raw: Raw<'a>,
    pub(super) frames: Frames,
    /// Whether the end of the frames is unknown, so that they may extend to the end of the file.
    open_ended: bool,
    /// The last frame whose records were passed on, and the last one that was counted before, for progress reports.
    handed: u64,
    surveyed: u64,
    /// Whether the file's sizes are only guessed. Then blocks of any size are accepted, and the first frames may
    /// have been anywhere.
    pub(super) guessed: bool,
    /// The block at the limit, which is not in the file; empty if there is none.
    pub(super) pending: Arc<FoundBlock>,
    /// The most recently used blocks, newest last.
    blocks: VecDeque<Arc<FoundBlock>>,
    /// The last block that was inflated to check whether a frame starts there, which is probably needed next.
    ahead: Option<FoundBlock>,
    broken: HashSet<u64>,
    holes: BTreeMap<u64, Hole>,
    problems: Vec<Damage>,
}

impl<'a> DamagedFrames<'a> {
    /// Covers everything that may be frames, up to the end of the file.
    pub(super) fn open_ended(raw: Raw<'a>, geometry: Geometry) -> Self {
        let limit = raw.length;
        let frames = Frames {
            file: raw.open_file(geometry),
            start: geometry.data_start(),
            limit,
            stable: limit,
            written: limit,
            tail: Vec::new(),
            epoch: new_epoch(),
            transaction: None,
        };
        Self {
            raw,
            frames,
            open_ended: true,
            handed: 0,
            surveyed: 0,
            guessed: false,
            pending: Arc::new(FoundBlock::in_memory(limit, Box::default())),
            blocks: VecDeque::new(),
            ahead: None,
            broken: HashSet::new(),
            holes: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Reports progress after the records of `frame` were passed on.
    pub(super) fn hand_over(&mut self, frame: u64) {
        self.handed = self.handed.max(frame);
        self.tell();
    }

    /// Reports progress once the frames before `position` are counted, which is half of the work on them.
    pub(super) fn survey(&mut self, position: u64) {
        self.surveyed = self.surveyed.max(position);
        self.tell();
    }

    fn tell(&self) {
        self.raw.monitor.advance_to(self.handed.max(self.handed.midpoint(self.surveyed)));
    }

    /// Ends the frames where the commit of `master` ends, and uses its bytes that are not in the file.
    pub(super) fn end_with(&mut self, master: &MasterNode) {
        let written = self.geometry().whole_pages(master.file_limit);
        self.end_at(master.file_limit, written, master.tail.clone());
        self.open_ended = false;
        self.pending = Arc::new(FoundBlock::in_memory(master.file_limit, master.pending.as_slice().into()));
    }

    /// Starts again with the sizes that were found. Intact blocks that were read to find them are kept.
    pub(super) fn start_over(&mut self, fan_out: u32) {
        self.set_fan_out(fan_out);
        if self.open_ended {
            // The places of frames do not depend on the fan-out. Their damage has to be reported again.
            self.blocks.retain(|block| block.sound);
            self.ahead = None;
        } else {
            self.open_end();
        }
        self.problems.clear();
    }

    /// Extends the frames beyond the commit to the end of the file.
    pub(super) fn open_end(&mut self) {
        self.end_at(self.raw.length, self.raw.length, Vec::new());
        self.open_ended = true;
        self.pending = Arc::new(FoundBlock::in_memory(self.raw.length, Box::default()));
    }

    /// Ends the frames at `limit`, with `tail` as the bytes from `written` on, and forgets what depends on the end.
    fn end_at(&mut self, limit: u64, written: u64, tail: Vec<u8>) {
        let frames = &mut self.frames;
        (frames.limit, frames.written, frames.tail) = (limit, written, tail);
        // Missing bytes between the end of the file and the tail are an error only if they are needed.
        frames.stable = written.min(self.raw.length);
        self.blocks.retain(|block| block.sound && block.end <= written);
        self.ahead = None;
        self.broken.clear();
        self.holes.clear();
    }

    pub(super) fn note(&mut self, damage: Damage) {
        list_problem(&mut self.problems, damage);
    }

    pub(super) fn take_problems(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.problems)
    }

    /// Returns the sizes of the file, as far as they are known.
    pub(super) fn geometry(&self) -> Geometry {
        self.frames.file.geometry
    }

    pub(super) fn set_fan_out(&mut self, fan_out: u32) {
        self.frames.file = self.raw.open_file(Geometry { fan_out, ..self.geometry() });
    }

    /// Returns the bytes of `range`, from the file and the master node, or `None` if they are incomplete.
    pub(super) fn bytes(&self, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        if range.start > range.end {
            return Ok(None);
        }
        let bytes = unless_damaged(self.frames.bytes(range))?;
        self.raw.monitor.add_work(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))?;
        Ok(bytes)
    }

    /// Returns the block whose frame starts at `at`, or the pending one; `None` if it cannot be read.
    pub(super) fn block(&mut self, at: u64) -> Result<Option<Arc<FoundBlock>>> {
        if at == self.pending.at {
            return Ok(Some(Arc::clone(&self.pending)).filter(|pending| pending.size() > 0));
        }
        if let Some(index) = self.blocks.iter().position(|block| block.at == at) {
            let block = self.blocks.remove(index);
            self.blocks.extend(block.clone());
            return Ok(block);
        }
        if self.broken.contains(&at) {
            return Ok(None);
        }
        let found = self.read_block(at)?;
        match &found {
            Some(block) => self.keep(block),
            None => {
                self.broken.insert(at);
            }
        }
        Ok(found)
    }

    fn read_block(&mut self, at: u64) -> Result<Option<Arc<FoundBlock>>> {
        if let Some(mut block) = self.frame(at)? {
            if !self.ends_well(&block)? {
                // The stream is complete, so only the length can be wrong.
                self.note_broken(at);
                block.end = self.end_of_stream(&block)?;
            }
            return Ok(Some(Arc::new(block)));
        }
        let found = match self.frame_of_unknown_length(at)? {
            None => self.frame_cut_off(at)?,
            found => found,
        };
        if found.is_some() {
            self.note_broken(at);
        }
        Ok(found)
    }

    /// Returns whether the stream of a frame fills it, or other evidence confirms its length.
    fn ends_well(&self, block: &FoundBlock) -> Result<bool> {
        let partial = !block.block.is_whole();
        Ok(partial || block.sound || block.end == self.frames.limit || self.frame_end(block.end)?.is_some())
    }

    /// Returns the end of the stream in a frame whose length is too large: after its checksum.
    fn end_of_stream(&self, block: &FoundBlock) -> Result<u64> {
        let checksum = adler32(block.head()).to_be_bytes();
        let stream = self.bytes(block.at..block.end)?.unwrap_or_default();
        let found = stream.windows(checksum.len()).position(|bytes| bytes == checksum);
        Ok(found.map_or(block.end, |start| block.at + start as u64 + CHECKSUM_SIZE))
    }

    fn keep(&mut self, block: &Arc<FoundBlock>) {
        self.blocks.push_back(Arc::clone(block));
        let bytes =
            |blocks: &VecDeque<Arc<FoundBlock>>| blocks.iter().map(|block| block.head().len()).sum::<usize>();
        while self.blocks.len() > BLOCKS_KEPT || (self.blocks.len() > 1 && bytes(&self.blocks) > BYTES_KEPT) {
            self.blocks.pop_front();
        }
    }

    /// Returns the frame at `at`, if it is complete.
    fn frame(&mut self, at: u64) -> Result<Option<FoundBlock>> {
        if let Some(block) = self.ahead.take_if(|block| block.at == at) {
            return Ok(Some(block));
        }
        match self.frame_end(at)? {
            Some(end) => self.inflate(at, end),
            None => Ok(None),
        }
    }

    /// Returns the end of the frame at `at`, if it starts like one.
    fn frame_end(&self, at: u64) -> Result<Option<u64>> {
        Ok(self.frame_start_end(at)?.filter(|&end| end <= self.frames.limit))
    }

    /// Returns the end of the frame at `at` according to its length, if it starts like one.
    fn frame_start_end(&self, at: u64) -> Result<Option<u64>> {
        let start = self.bytes(at..at.saturating_add(FRAME_START))?;
        Ok(start.and_then(|start| end_of(&start, at)))
    }

    /// Returns the block whose frame extends from `at` to `end`: all of it, or, if it is very large, the part that can
    /// contain entries which start before a writer would have closed it.
    fn inflate(&self, at: u64, end: u64) -> Result<Option<FoundBlock>> {
        let Some(stream) = self.bytes(at + LENGTH_SIZE as u64..end)? else {
            return Ok(None);
        };
        let geometry = self.geometry();
        let node = u64::from(geometry.fan_out) * Coordinates::SIZE as u64;
        let kept = u64::from(geometry.block_size) + node + LENGTH_SIZE as u64;
        let Some(block) = unless_damaged(self.frames.inflate_stream(&stream, at, end, kept))? else {
            return Ok(None);
        };
        let checksum = stream.last_chunk().copied().map(u32::from_be_bytes);
        let sound = block.is_whole() && checksum == Some(adler32(&block.bytes));
        Ok(Some(FoundBlock { at, end, block, whole: true, sound }))
    }

    /// Returns the frame at `at` whose length is damaged but whose stream is not: it extends to the next frame.
    fn frame_of_unknown_length(&mut self, at: u64) -> Result<Option<Arc<FoundBlock>>> {
        if at < self.frames.start || at >= self.frames.limit {
            return Ok(None);
        }
        let start = self.bytes(at..self.frames.limit.min(at + FRAME_START))?;
        if !start.is_some_and(|start| starts_stream(&start[LENGTH_SIZE.min(start.len())..])) {
            return Ok(None);
        }
        let hole = self.hole(at)?;
        if hole.bridged || hole.range.end < at + FRAME_START {
            return Ok(None);
        }
        Ok(self.inflate(at, hole.range.end)?.map(|block| Arc::new(FoundBlock { sound: false, ..block })))
    }

    /// Returns the remaining part of the frame at `at`, if its end is not in the file: the file was truncated, or
    /// the master node with the end of the last frame is lost.
    fn frame_cut_off(&mut self, at: u64) -> Result<Option<Arc<FoundBlock>>> {
        let Some(end) = self.frame_start_end(at)? else {
            return Ok(None);
        };
        let last = self.open_ended && self.hole(at)?.range.end == self.frames.limit;
        let cut = if last { self.cut(end) } else { self.raw.length };
        if cut >= end.min(self.frames.written) && !last {
            return Ok(None);
        }
        let Some(stream) = self.bytes((at + LENGTH_SIZE as u64).min(cut)..cut)? else {
            return Ok(None);
        };
        let Geometry { block_size, page_size, .. } = self.geometry();
        let most = u64::from(block_size.max(page_size)) * 2;
        let start = inflate_stream::start(&stream, most)
            .map_err(|error| self.frames.file.inflate_error(error, at))?;
        let found = FoundBlock { whole: false, end, ..FoundBlock::in_memory(at, start) };
        Ok((found.size() > 0).then(|| Arc::new(found)))
    }

    /// Returns the end of the part of a frame up to `end` that is in the file, if the rest was in a master node.
    fn cut(&self, end: u64) -> u64 {
        self.geometry().whole_pages(end).min(self.raw.length)
    }

    /// Returns the end of the readable bytes of a block's frame.
    pub(super) fn readable_end(&self, block: &FoundBlock) -> u64 {
        if block.whole { block.end } else { self.cut(block.end) }
    }

    /// Returns what is at `at`, which is below the limit.
    pub(super) fn find(&mut self, at: u64) -> Result<Found> {
        if let Some(block) = self.block(at)? {
            return Ok(Found::Block(block));
        }
        let hole = self.hole(at)?;
        // If the end of the frames is unknown, the bytes after the last one need not be damage.
        if hole.range.end < self.frames.limit || !self.open_ended {
            self.note_broken(at);
        }
        Ok(Found::Hole(hole))
    }

    fn note_broken(&mut self, at: u64) {
        self.note(Damage::new("bytes that are not a compressed block", "a length and a zlib stream").at(at));
    }

    /// Returns the block of the entry at `at`, if it can be inflated; otherwise notes the damage.
    pub(super) fn block_of(&mut self, at: Coordinates) -> Result<Option<Arc<FoundBlock>>> {
        let block = self.block(at.frame)?;
        if block.is_none() {
            self.note_broken(at.frame);
        }
        Ok(block)
    }

    /// Returns the damage that starts at `at`, up to the next frame or the limit.
    fn hole(&mut self, at: u64) -> Result<Hole> {
        if let Some((_, around)) = self.holes.range(..=at).next_back().filter(|(_, hole)| hole.range.end > at)
        {
            let same = around.range.start == at;
            return Ok(Hole { range: at..around.range.end, bridged: same && around.bridged });
        }
        let hole = match self.frame_end(at)? {
            Some(end) if end == self.frames.limit || self.frame_start_end(end)?.is_some() => {
                Hole { range: at..end, bridged: true }
            }
            _ => Hole { range: at..self.search(at + 1)?.unwrap_or(self.frames.limit), bridged: false },
        };
        self.holes.insert(at, hole.clone());
        Ok(hole)
    }

    /// Returns the next frame that starts at `from` or later: a length and a stream that inflates completely.
    pub(super) fn search(&mut self, from: u64) -> Result<Option<u64>> {
        let mut start = from.max(self.frames.start);
        let mut length = FIRST_CHUNK;
        while start + FRAME_START <= self.frames.limit {
            if (self.frames.stable..self.frames.written).contains(&start) {
                start = self.frames.written;
                continue;
            }
            let end = (start + length).min(self.frames.limit);
            length = (2 * length).min(MAX_CHUNK);
            if let Some(chunk) = self.bytes(start..end)? {
                for offset in 0..chunk.len().saturating_sub(in_memory(FRAME_START) - 1) {
                    let at = start + offset as u64;
                    if end_of(&chunk[offset..], at).is_some() && self.is_frame(at)? {
                        return Ok(Some(at));
                    }
                }
            }
            start = end - (FRAME_START - 1).min(end - start - 1);
        }
        Ok(None)
    }

    /// Returns whether a frame starts at `at` that is likely to belong to the file, and not to be part of a record:
    /// its block has a usual length, or another frame follows.
    fn is_frame(&mut self, at: u64) -> Result<bool> {
        let Some(end) = self.frame_end(at)? else {
            return Ok(false);
        };
        let known = self.blocks.iter().find(|block| block.at == at && block.end == end && block.whole);
        let size = if let Some(block) = known {
            block.size()
        } else if let Some(block) = self.inflate_candidate(at, end)? {
            self.ahead.insert(block).size()
        } else {
            return Ok(false);
        };
        let full = size >= u64::from(self.geometry().block_size.max(1));
        Ok(full || (self.guessed && size > 0) || end == self.frames.limit || self.frame_end(end)?.is_some())
    }

    /// Returns the block whose frame extends from `at` to `end`, if there is one. The first bytes are tried first.
    fn inflate_candidate(&self, at: u64, end: u64) -> Result<Option<FoundBlock>> {
        let stream = at + LENGTH_SIZE as u64;
        let first = self.bytes(stream..end.min(stream + FIRST_TRY))?;
        if !first.is_some_and(|first| inflate_stream::could_begin(&first)) {
            return Ok(None);
        }
        self.inflate(at, end)
    }
}

/// Returns what was read, or `None` if it is damaged.
pub(super) fn unless_damaged<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.is_corrupt() => Ok(None),
        read => read.map(Some),
    }
}
