//! Writing: the uncommitted state of a file, and its way to the disk.

mod closed_block;
pub(crate) mod options;
mod repair;
pub(crate) mod writer;
