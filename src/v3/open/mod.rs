//! Reading a file that may be being written: opening it, and refreshing an earlier state.

pub(crate) mod heads;
pub(crate) mod reader;
pub(crate) mod repeated;
