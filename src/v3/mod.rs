//! Format 3: a log ring in which a commit is one entry, compressed frames behind it, an index over blocks.

pub(crate) mod codec;
pub(crate) mod format;
pub(crate) mod log;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod shared;
pub(crate) mod steps;
pub(crate) mod write;
