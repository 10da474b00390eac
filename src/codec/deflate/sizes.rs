//! Numbers that all of the encoder shares.

/// What memory is for, where there is none.
pub(super) const PURPOSE: &str = "a compressed block";

/// Deflate copies from at most so far back.
pub(super) const MAX_DISTANCE: usize = 32_768;
/// What is looked at together: bytes to copy from and bytes to compress. A position in it has 16 bits.
pub(super) const WINDOW: usize = 2 * MAX_DISTANCE;
/// This many bytes are compared at once.
pub(super) const WORD: usize = 8;

pub(super) const MAX_MATCH_LEN: usize = 258;

pub(super) const LITERALS: usize = 256;
/// The symbol that ends a deflate block.
pub(super) const END: usize = 256;
