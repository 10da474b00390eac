//! How a block becomes a frame and a frame a block again.

pub(crate) mod deflate;
pub(crate) mod frame;
pub(crate) mod inflate_stream;
pub(crate) mod level;
mod noise;
