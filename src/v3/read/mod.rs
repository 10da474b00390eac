//! States of a file as readers see them, with lookup by record number and by time.

pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod frames;
mod places;
mod run;
pub(crate) mod snapshot;
pub(crate) mod walk;
