//! A closed block, which any thread can compress.

use std::sync::Arc;

use crate::codec::frame::deflate;
use crate::codec::level::ZlibLevel;
use crate::error::Result;
use crate::sync::pipeline::Task;

/// A closed block on its way to the file.
pub(crate) struct ClosedBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) level: ZlibLevel,
}

impl Task for ClosedBlock {
    /// The frame.
    type Outcome = Arc<Vec<u8>>;

    fn run(&self) -> Result<Self::Outcome> {
        deflate(&self.bytes, self.level).map(Arc::new)
    }
}
