//! An inflated block.

use crate::read::validity::Validity;

/// An inflated block.
#[derive(Debug)]
pub(crate) struct Block {
    /// All of it; empty where it is too large to be kept.
    pub(crate) bytes: Box<[u8]>,
    /// Its length in bytes, also where it is not kept.
    pub(crate) size: u64,
    pub(crate) validity: Validity,
}

impl Block {
    pub(crate) fn whole(bytes: Box<[u8]>, validity: Validity) -> Self {
        Self { size: bytes.len() as u64, bytes, validity }
    }

    /// Whether its bytes are at hand.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}
