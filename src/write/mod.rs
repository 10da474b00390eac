//! Writing: the uncommitted state of a file, and its way to the disk.

mod closed_block;
mod commit;
pub(crate) mod draft;
pub(crate) mod flight;
mod frame_writer;
pub(crate) mod health;
pub(crate) mod options;
mod repair;
mod slot_writer;
pub(crate) mod standing;
pub(crate) mod unmade;
pub(crate) mod writer;
