//! Reading a file beside its writer: opening it, and refreshing an earlier state.

pub(crate) mod heads;
pub(crate) mod reader;
pub(crate) mod repeated;
