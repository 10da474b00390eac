//! The one writer of a file: what is uncommitted, frames in the background, commits, checkpoints.

mod commit;
mod cutter;
mod draft;
mod frames;
mod rollback;
mod room;
mod open;
mod writer;

pub(crate) use open::broken_log;
pub(crate) use writer::{Writer, WriterOptions};
