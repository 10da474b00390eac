//! The bytes of a file of format 3: what is where, and what a number may be. No I/O and no threads.
//!
//! Every integer is unsigned and big-endian, but for those of an index node, which have a variable length.

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
