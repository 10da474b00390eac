//! Blocks of records as columns, and their compression.

mod columns;
mod compression;

pub(crate) use columns::{Columns, RECORD_OVERHEAD, RecordBlock};
pub(crate) use compression::{DecompressError, Level, compress, decompress};
