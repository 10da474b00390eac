//! Looking at a file beside its writer: opening it to read, and refreshing what was seen.

pub(crate) mod heads;
pub(crate) mod reader;
pub(crate) mod repeated;
