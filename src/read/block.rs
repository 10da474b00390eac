//! Inflated blocks in memory, which records are slices of.

use crate::codec::frame::{self, InflateError};
use crate::codec::inflate_stream;
use crate::read::validity::Validity;

/// An inflated block, or other bytes that records are slices of.
#[derive(Debug)]
pub(crate) struct Block {
    /// The whole block; if that is too large to be kept, the requested part of its start.
    pub(crate) bytes: Box<[u8]>,
    /// Length of the block in bytes, even if it is not kept.
    pub(crate) size: u64,
    pub(crate) validity: Validity,
}

impl Block {
    pub(crate) fn whole(bytes: Box<[u8]>, validity: Validity) -> Self {
        Self { size: bytes.len() as u64, bytes, validity }
    }

    /// Inflates the zlib stream of a frame in a file with blocks of `block_size`. A block that is too large
    /// to be inflated without proof of its length is measured, and its first `kept` bytes are kept.
    pub(crate) fn inflate(
        stream: &[u8],
        block_size: u32,
        kept: u64,
        validity: Validity,
    ) -> Result<Self, InflateError> {
        match frame::inflate(stream, block_size) {
            Err(InflateError::Oversized) => {
                let size = inflate_stream::measure(stream)?;
                let bytes = match size.min(kept) {
                    0 => Box::default(),
                    kept => inflate_stream::head(stream, kept)?,
                };
                Ok(Self { bytes, size, validity })
            }
            inflated => inflated.map(|bytes| Self::whole(bytes, validity)),
        }
    }

    /// Returns whether its bytes are in memory.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}
