//! Format 3: a ring log with one entry for each commit, compressed frames after it, and an index over blocks.

pub(crate) mod codec;
pub(crate) mod format;
pub(crate) mod log;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod shared;
pub(crate) mod write;
