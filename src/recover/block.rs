//! Blocks as recovery finds them, and where a frame seems to start.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;
use crate::format::{LENGTH_SIZE, get_u32};

/// Two bytes of header, one of an empty block at least, four of a checksum.
const MIN_STREAM: u32 = 7;
/// Length prefix and the two bytes that every zlib stream starts with.
pub(super) const FRAME_START: u64 = LENGTH_SIZE as u64 + 2;

/// An inflated block, or the start of one that is too large to be kept.
pub(super) struct Block {
    pub(super) at: u64,
    /// Where its frame ends.
    pub(super) end: u64,
    pub(super) head: Box<[u8]>,
    pub(super) size: u64,
    /// Whether it ends where it was closed, which its checksum proves. If not, the rest is lost.
    pub(super) whole: bool,
    /// Whether the stream ends, with its checksum, where the frame does.
    pub(super) sound: bool,
}

impl Block {
    pub(super) fn in_memory(at: u64, bytes: &[u8]) -> Self {
        Self { at, end: at, head: bytes.into(), size: bytes.len() as u64, whole: true, sound: false }
    }
}

/// What stands somewhere among the frames.
pub(super) enum Found {
    Block(Arc<Block>),
    /// Bytes that are no frame, up to the next one.
    Hole(Hole),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) range: Range<u64>,
    /// Whether the next frame is where the length of the damaged one says.
    pub(super) bridged: bool,
}

/// Where a frame that starts with `start` at `at` would end; `None` if no frame starts like that.
pub(super) fn end_of(start: &[u8], at: u64) -> Option<u64> {
    let length = get_u32(start, 0)?;
    let plausible = length >= MIN_STREAM && starts_stream(start.get(LENGTH_SIZE..)?);
    plausible.then(|| at + LENGTH_SIZE as u64 + u64::from(length))
}

/// Whether a zlib stream without a preset dictionary can start with these bytes.
pub(super) fn starts_stream(bytes: &[u8]) -> bool {
    let &[method, flags, ..] = bytes else {
        return false;
    };
    let deflate = method & 0x0F == 8 && method >> 4 <= 7;
    let dictionary = flags & 0x20 != 0;
    deflate && !dictionary && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

pub(super) fn out_of_memory(bytes: u64) -> Error {
    Error::OutOfMemory { bytes, what: "an inflated block" }
}
