//! Sizes that the whole encoder shares.

/// The purpose of the memory, named in out-of-memory errors.
pub(super) const PURPOSE: &str = "a compressed block";

/// Maximum distance of a copy in deflate.
pub(super) const MAX_DISTANCE: usize = 32_768;
/// Size of the window: bytes to copy from and bytes to compress. Positions in it have 16 bits.
pub(super) const WINDOW: usize = 2 * MAX_DISTANCE;
/// Number of bytes that are compared in one step.
pub(super) const WORD: usize = 8;

pub(super) const MAX_MATCH_LEN: usize = 258;

pub(super) const LITERALS: usize = 256;
/// The symbol that ends a deflate block.
pub(super) const END: usize = 256;
