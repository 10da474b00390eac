//! Tokens: the intermediate form of a block, literals and copies of earlier bytes.

use super::sizes::{LITERALS, MAX_DISTANCE, MAX_MATCH_LEN, PURPOSE, WINDOW, WORD};
use crate::error::{Error, Result, reserve};

/// A token is a literal with perhaps another after it, or a copy. Its lowest 9 bits are a literal or, from 256
/// on, a length less 3. The next 9 are a literal or, from 256 on, the symbol of a distance, or this.
/// The other bits are those that follow the symbol of the distance.
pub(super) const SINGLE: u32 = 511;

/// Number of values of each half of a token.
pub(super) const HALF: usize = 512;

/// Padding after a window, in bytes, so that a word can be read at any position in it.
pub(super) const AHEAD: usize = 16;

/// Bytes to copy from and to compress, with padding after them.
pub(super) type Window = [u8; WINDOW + AHEAD];

pub(super) fn token(first: u32, second: u32, extra: u32) -> u32 {
    first | second << 9 | extra << 18
}

/// Returns the token for a copy of `length` bytes from `distance` back.
pub(super) fn copy(length: usize, distance: usize) -> u32 {
    debug_assert!((3..=MAX_MATCH_LEN).contains(&length) && (1..=MAX_DISTANCE).contains(&distance));
    let less = (distance - 1) as u32;
    let extra = (less | 2).ilog2() - 1;
    let symbol = LITERALS as u32 + 2 * extra + (less >> extra);
    token(length as u32 + 253, symbol, less & ((1 << extra) - 1))
}

pub(super) fn first_of(token: u32) -> usize {
    token as usize % HALF
}

pub(super) fn second_of(token: u32) -> usize {
    (token >> 9) as usize % HALF
}

/// Number of literal tokens that are written in one step, even if fewer are needed.
pub(super) const LITERAL_TOKENS: usize = WORD / 2;

/// Emits the bytes between `from` and `to` as literals, and returns the number of tokens. There must be room
/// for `LITERAL_TOKENS` more after them.
#[inline]
pub(super) fn literals(window: &Window, from: usize, to: usize, tokens: &mut [u32]) -> usize {
    let count = (to - from).div_ceil(2);
    for start in (0..count).step_by(LITERAL_TOKENS) {
        let word = word_of(window, (from + 2 * start) % WINDOW);
        for (pair, place) in tokens[start..][..LITERAL_TOKENS].iter_mut().enumerate() {
            let two = (word >> (16 * pair)) as u32;
            *place = token(two & 255, two >> 8 & 255, 0);
        }
    }
    if !(to - from).is_multiple_of(2) {
        tokens[count - 1] |= token(0, SINGLE, 0);
    }
    count
}

/// Reads the eight bytes from `at` on.
#[inline]
pub(super) fn word_of(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(&bytes[at..at + WORD]);
    u64::from_le_bytes(word)
}

/// Allocates an array of zeros; fails if there is no memory for it.
pub(super) fn zeros<T: Copy + Default, const N: usize>() -> Result<Box<[T; N]>> {
    let mut zeros = Vec::new();
    reserve(&mut zeros, N, PURPOSE)?;
    zeros.resize(N, T::default());
    // It has the length of the array, so this cannot fail.
    let bytes = size_of::<[T; N]>() as u64;
    zeros.into_boxed_slice().try_into().map_err(|_| Error::OutOfMemory { bytes, what: PURPOSE })
}
