//! Files of either format: the only modules that distinguish the two.

pub(crate) mod blocks;
pub(crate) mod file;
pub(crate) mod lookup;
pub(crate) mod open;
pub(crate) mod records;
pub(crate) mod records_at;
pub(crate) mod snapshot;
mod times;
pub(crate) mod writer;
