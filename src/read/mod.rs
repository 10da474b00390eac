//! Reading: immutable snapshots, what they find records by, and what goes through many records.

pub(crate) mod block;
mod block_reader;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod current;
pub(crate) mod fan_out;
pub(crate) mod frames;
pub(crate) mod records_at;
pub(crate) mod index;
pub(crate) mod node;
pub(crate) mod open_file;
pub(crate) mod record_buffer;
pub(crate) mod read_ahead;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod validity;
