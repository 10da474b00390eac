//! The frames of one state of a file, sound or damaged: inflates blocks from the bytes of all sources.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::frame::InflateError;
use crate::codec::inflate_stream::Stream;
use crate::error::{Damage, Error, Result, reserve};
use crate::format::{Coordinates, LENGTH_SIZE, get_u32, in_memory};
use crate::read::block::Block;
use crate::read::open_file::OpenFile;
use crate::read::validity::Validity;
use crate::storage::{read_up_to, too_short};
use crate::sync::transaction::{Saved, Transaction};

/// Reads and inflates frames, bypassing all caches.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) file: Arc<OpenFile>,
    /// Where the first frame can start.
    pub(crate) start: u64,
    /// Where the next frame would start.
    pub(crate) limit: u64,
    /// Whole pages up to here belong to a commit, are in the file, and never change.
    pub(crate) stable: u64,
    /// Whole pages up to here are in the file, or saved in `transaction`. Without one, those from `stable` on are missing.
    pub(crate) written: u64,
    /// The partial page after them.
    pub(crate) tail: Vec<u8>,
    pub(crate) epoch: u64,
    /// The transaction of the frames after `stable`, if any.
    pub(crate) transaction: Option<Arc<Transaction>>,
}

impl Frames {
    /// Returns where the frame that starts at `frame` ends.
    pub(crate) fn end_of(&self, frame: u64) -> Result<u64> {
        self.with_segments(None, |segments| Ok(self.body_of(segments, frame)?.end))
    }

    /// Reads and inflates the frame at `frame`.
    pub(crate) fn inflate(&self, frame: u64) -> Result<Block> {
        self.with_frames(|segments| {
            let body = self.body_of(segments, frame)?;
            let end = body.end;
            self.inflate_stream(&segments.bytes(body)?, frame, end, 0)
        })
    }

    /// Inflates the stream of the frame from `frame` to `end`, and keeps the first `kept` bytes of a block
    /// that is too large to be inflated in one go.
    pub(crate) fn inflate_stream(&self, stream: &[u8], frame: u64, end: u64, kept: u64) -> Result<Block> {
        let validity = if end <= self.stable { Validity::Always } else { Validity::Epoch(self.epoch) };
        Block::inflate(stream, self.file.geometry.block_size, kept, validity)
            .map_err(|error| self.file.inflate_error(error, frame))
    }

    /// Copies the bytes of `range`, which must be among the frames.
    pub(crate) fn bytes(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.check_inside(range.start, range.end)?;
        self.with_frames(|segments| segments.bytes(range.clone()).map(Cow::into_owned))
    }

    /// Appends a part of the file to `bytes`, bypassing its map.
    fn read(&self, range: Range<u64>, bytes: &mut Vec<u8>) -> Result<()> {
        let start = bytes.len();
        let length = in_memory(range.end - range.start);
        reserve(bytes, length, "a compressed block")?;
        bytes.resize(start + length, 0);
        let there = read_up_to(&*self.file.storage, &mut bytes[start..], range.start)
            .map_err(self.file.failed("read"))?;
        if there == length {
            return Ok(());
        }
        Err(self.file.map_error(too_short(range.start + there as u64, range.end)))
    }

    /// Extracts the entry at `at` from a block that is too large to be kept.
    pub(super) fn entry_of_oversized<T>(
        &self,
        at: Coordinates,
        take: impl Fn(&[u8]) -> std::result::Result<T, InflateError>,
    ) -> Result<T> {
        self.check_near(at)?;
        self.with_frames(|segments| {
            let stream = segments.bytes(self.body_of(segments, at.frame)?)?;
            take(&stream).map_err(|error| self.file.inflate_error(error, at.frame))
        })
    }

    /// Checks that an entry can start here: a writer closes a full block, so an entry starts near its
    /// beginning, even of a long block.
    pub(crate) fn check_near(&self, at: Coordinates) -> Result<()> {
        let full = self.file.geometry.block_size.max(1);
        if at.offset < full {
            return Ok(());
        }
        let found = format!("an entry at offset {}", at.offset);
        let expected = format!("one that starts before its block is full, at {full} bytes");
        Err(self.file.corrupt(Damage::new(found, expected).at(at.frame)))
    }

    /// Copies the compressed bytes of the block whose frame starts at `frame`.
    pub(crate) fn stream_of(&self, frame: u64) -> Result<Stream> {
        self.with_frames(|segments| {
            let stream = segments.bytes(self.body_of(segments, frame)?)?;
            let mut copy = Vec::new();
            reserve(&mut copy, stream.len(), "a compressed block")?;
            copy.extend_from_slice(&stream);
            Ok(Stream::new(copy))
        })
    }

    /// Calls `work` with all bytes below the limit, and again if they are overwritten meanwhile.
    fn with_frames<T>(&self, work: impl Fn(&Segments<'_>) -> Result<T>) -> Result<T> {
        match &self.transaction {
            Some(open) => open.read(|saved| self.with_segments(saved, &work)),
            None => self.with_segments(None, work),
        }
    }

    fn with_segments<T>(
        &self,
        saved: Option<&Saved>,
        work: impl FnOnce(&Segments<'_>) -> Result<T>,
    ) -> Result<T> {
        let in_file = match saved {
            // Commits made since this state was current are in the file.
            Some(saved) => self.stable.max(saved.start.min(self.written)),
            None if self.transaction.is_some() => self.written,
            None => self.stable,
        };
        let map = self.file.storage.map(in_file).map_err(|error| self.file.map_error(error))?;
        let saved = saved.map_or(&[][..], |saved| &saved.pages);
        work(&Segments { frames: self, file: map.as_deref(), in_file, saved })
    }

    /// Returns the range of the zlib stream of a frame.
    fn body_of(&self, segments: &Segments<'_>, frame: u64) -> Result<Range<u64>> {
        let start = frame.saturating_add(LENGTH_SIZE as u64);
        self.check_inside(frame, start)?;
        let body = body_said(&segments.bytes(frame..start)?, frame).unwrap_or(start..start);
        if body.end > self.limit {
            let found = format!("a frame of {} bytes", body.end - body.start);
            let expected = format!("one that ends at or before byte {}, the file limit", self.limit);
            return Err(self.file.corrupt(Damage::new(found, expected).at(frame)));
        }
        Ok(body)
    }

    /// Checks that the range from `frame` to `end` is within the frames.
    fn check_inside(&self, frame: u64, end: u64) -> Result<()> {
        if self.start <= frame && end <= self.limit {
            return Ok(());
        }
        let found = format!("a reference to a frame at byte {frame}");
        let expected = format!("a frame between bytes {} and {}", self.start, self.limit);
        Err(self.file.corrupt(Damage::new(found, expected)))
    }

    /// Returns the error for bytes that are neither in the file nor in memory.
    fn not_saved(&self) -> Error {
        if self.transaction.is_none() {
            return self.file.map_error(too_short(self.stable, self.written));
        }
        if self.transaction.as_ref().is_some_and(|open| open.is_forked()) {
            return Error::Forked { path: self.file.path.clone() };
        }
        // They could not be copied into memory when the transaction was rolled back.
        let bytes = self.written - self.stable;
        Error::OutOfMemory { bytes, what: "the bytes that a transaction wrote before it was rolled back" }
    }
}

/// Returns the range of the zlib stream of the frame at `frame` according to its first bytes `start`, which
/// may be wrong.
pub(crate) fn body_said(start: &[u8], frame: u64) -> Option<Range<u64>> {
    let length = get_u32(start, 0)?;
    let body = frame.saturating_add(LENGTH_SIZE as u64);
    Some(body..body.saturating_add(u64::from(length)))
}

/// The bytes below the limit: those in the file, those saved from a transaction that was rolled back, and the partial
/// page of the master node.
struct Segments<'a> {
    frames: &'a Frames,
    /// The map of the file; `None` if it has to be read by position.
    file: Option<&'a [u8]>,
    in_file: u64,
    saved: &'a [u8],
}

impl<'a> Segments<'a> {
    /// Returns the bytes of `range`, copied only where they are in more than one segment.
    fn bytes(&self, range: Range<u64>) -> Result<Cow<'a, [u8]>> {
        let written = self.frames.written;
        let segments = [
            (0, self.in_file, self.file),
            (self.in_file, written, Some(self.saved)),
            (written, u64::MAX, Some(self.frames.tail.as_slice())),
        ];
        let mut joined = Vec::new();
        for (start, end, bytes) in segments {
            let from = range.start.max(start);
            let to = range.end.min(end);
            if from >= to {
                continue;
            }
            let Some(bytes) = bytes else {
                self.frames.read(from..to, &mut joined)?;
                continue;
            };
            let Some(part) = bytes.get(in_memory(from - start)..in_memory(to - start)) else {
                return Err(self.frames.not_saved());
            };
            if part.len() == in_memory(range.end - range.start) {
                return Ok(Cow::Borrowed(part));
            }
            reserve(&mut joined, part.len(), "a compressed block")?;
            joined.extend_from_slice(part);
        }
        Ok(Cow::Owned(joined))
    }
}
