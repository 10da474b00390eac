//! The writer of a file: uncommitted data, frames in the background, commits, checkpoints.

mod commit;
mod cutter;
mod draft;
mod flight;
mod frames;
mod open;
mod part;
mod rollback;
mod room;
mod writer;

pub(crate) use flight::Flight;
pub(crate) use open::{broken_log, is_unmade};
pub(crate) use rollback::Savepoint;
pub(crate) use writer::{Writer, WriterOptions};
