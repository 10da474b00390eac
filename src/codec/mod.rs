//! Compression of blocks into frames, and decompression.

pub(crate) mod deflate;
pub(crate) mod frame;
pub(crate) mod inflate_stream;
pub(crate) mod level;
mod noise;
