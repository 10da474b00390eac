//! Writing: the uncommitted state of a file, and its way to the disk.

mod closed_block;
pub(crate) mod draft;
mod frame_writer;
pub(crate) mod options;
mod repair;
mod slot_writer;
pub(crate) mod standing;
pub(crate) mod unmade;
pub(crate) mod writer;
