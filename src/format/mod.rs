//! The bytes of a capture file: what is where, and what a number may be. No I/O and no threads.

mod header;
pub(crate) mod master;

pub use header::Geometry;
pub(crate) use header::*;
