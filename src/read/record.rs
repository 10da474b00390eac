//! One record's bytes, inside of the inflated block that holds them.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::read::block::Block;

/// One record's bytes, inside the inflated block that holds them.
#[derive(Clone)]
pub struct Record {
    pub(super) block: Arc<Block>,
    pub(super) range: Range<usize>,
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block.bytes[self.range.clone()]
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Record of {} bytes", self.len())
    }
}
