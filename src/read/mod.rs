//! Reading files of version 2, and iterating over many records in both formats.

pub(crate) mod announce;
pub(crate) mod block;
mod block_reader;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod current;
pub(crate) mod fan_out;
pub(crate) mod frames;
pub(crate) mod gather;
pub(crate) mod index;
pub(crate) mod node;
pub(crate) mod open_file;
mod places;
pub(crate) mod record_buffer;
pub(crate) mod record_run;
pub(crate) mod read_ahead;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod snapshot;
pub(crate) mod source;
pub(crate) mod validity;
pub(crate) mod walk;
