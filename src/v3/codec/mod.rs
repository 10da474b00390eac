//! Blocks of records as columns, and their compression.

mod columns;
mod compression;

pub(crate) use columns::{Block, Columns, RECORD_OVERHEAD};
pub(crate) use compression::{DecompressError, Level, compress, decompress};
