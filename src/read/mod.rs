//! Reading: immutable snapshots, what they find records by, and what goes through many records.

pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod current;
pub(crate) mod fan_out;
pub(crate) mod node;
pub(crate) mod read_ahead;
pub(crate) mod records;
pub(crate) mod snapshot;
