//! The bytes of a file of format 3: positions, encodings and bounds. No I/O and no threads.
//!
//! All integers are unsigned and big-endian, except those of index nodes, which have a variable length.

mod bytes;
pub(crate) mod entry;
pub(crate) mod entry_builder;
pub(crate) mod frame;
pub(crate) mod head;
mod header;
pub(crate) mod index;

pub(crate) use bytes::{Reader, checksum, put_u32, put_u64, put_varint};
pub(crate) use header::{Codec, Header, VERSION};

/// Positions in the log, serial numbers, times and record counts of a sound file are below this, so that sums
/// of two never overflow.
pub(crate) const NUMBER_LIMIT: u64 = 1 << 62;
