//! Blocks as recovery finds them, and where a frame seems to start.

use std::ops::Range;
use std::sync::Arc;

use crate::format::LENGTH_SIZE;
use crate::read::block::Block;
use crate::read::frames::body_said;
use crate::read::validity::Validity;

/// Minimum length of a zlib stream: two bytes of header, at least one of data, four of checksum.
const MIN_STREAM: u64 = 7;
/// Length prefix and the two bytes that every zlib stream starts with.
pub(super) const FRAME_START: u64 = LENGTH_SIZE as u64 + 2;

/// A block, or the start of one that is too large to be kept, and what is known about its frame.
pub(super) struct FoundBlock {
    pub(super) at: u64,
    /// End of its frame.
    pub(super) end: u64,
    pub(super) block: Block,
    /// Whether it is complete, which its checksum proves. If not, the rest is lost.
    pub(super) whole: bool,
    /// Whether the stream ends, with its checksum, where the frame does.
    pub(super) sound: bool,
}

impl FoundBlock {
    /// A block without a frame.
    pub(super) fn in_memory(at: u64, bytes: Box<[u8]>) -> Self {
        let block = Block::whole(bytes, Validity::Always);
        Self { at, end: at, block, whole: true, sound: false }
    }

    /// Returns its bytes, or the first of them if it is too large.
    pub(super) fn head(&self) -> &[u8] {
        &self.block.bytes
    }

    /// Returns its length in bytes, without the lost part.
    pub(super) fn size(&self) -> u64 {
        self.block.size
    }
}

/// The content of a place among the frames.
pub(super) enum Found {
    Block(Arc<FoundBlock>),
    /// Bytes that are not a frame, up to the next one.
    Hole(Hole),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) range: Range<u64>,
    /// Whether the next frame is where the length of the damaged one says.
    pub(super) bridged: bool,
}

/// Returns the end of a frame that starts with `start` at `at`, or `None` if no frame starts like that.
pub(super) fn end_of(start: &[u8], at: u64) -> Option<u64> {
    let body = body_said(start, at)?;
    let plausible = body.end - body.start >= MIN_STREAM && starts_stream(start.get(LENGTH_SIZE..)?);
    plausible.then_some(body.end)
}

/// Returns whether a zlib stream without a preset dictionary can start with these bytes.
pub(super) fn starts_stream(bytes: &[u8]) -> bool {
    let &[method, flags, ..] = bytes else {
        return false;
    };
    let deflate = method & 0x0F == 8 && method >> 4 <= 7;
    let dictionary = flags & 0x20 != 0;
    deflate && !dictionary && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}
