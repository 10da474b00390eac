//! States of a file as readers see them: any record by its number, any moment by its time.

pub(crate) mod cache;
pub(crate) mod frames;
pub(crate) mod snapshot;
