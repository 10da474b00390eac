//! Tokens: what a block becomes before it becomes bits, literals and copies of what stood earlier.

use crate::error::{Error, Result, reserve};

use super::sizes::{LITERALS, MAX_DISTANCE, PURPOSE, WINDOW, WORD};

/// Shorter copies are not looked for: those of four or five bytes save next to nothing.
pub(super) const MIN_MATCH_LEN: usize = 6;

pub(super) const MAX_MATCH_LEN: usize = 258;

/// Positions examined per step. At most `MIN_MATCH_LEN`, so that a match never ends inside its own group; even, because
/// literals are emitted in pairs.
pub(super) const GROUP: usize = 6;

/// Bytes from the first position of a group to the end of what it examines.
pub(super) const AHEAD: usize = GROUP - 1 + WORD;

pub(super) const SLOT_BITS: u32 = 13;

/// There is room for this many tokens, and a deflate block ends when hardly more would fit.
pub(super) const TOKENS: usize = 1 << 14;

pub(super) const ENOUGH_TOKENS: usize = TOKENS - 2 * AHEAD;

/// A token is a literal with perhaps another after it, or a copy. Its lowest 9 bits are a literal or, from 256
/// on, a length less 3. The next 9 are a literal or, from 256 on, the symbol of a distance, or this.
/// The other bits are those that follow the symbol of the distance.
pub(super) const SINGLE: u32 = 511;

/// This many values have the two halves of a token.
pub(super) const HALF: usize = 512;

pub(super) fn token(first: u32, second: u32, extra: u32) -> u32 {
    first | second << 9 | extra << 18
}

/// The token of `length` bytes that are copied from `distance` back.
fn copy(length: usize, distance: usize) -> u32 {
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

/// The eight bytes from `at` on.
pub(super) fn word_of(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(&bytes[at..at + WORD]);
    u64::from_le_bytes(word)
}

/// The slot of the first bytes of a word, which may be copied.
pub(super) fn slot_of(word: u64) -> usize {
    ((word << (64 - 8 * MIN_MATCH_LEN)).wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - SLOT_BITS)) as usize
}

/// What a copy is chosen by: how many bytes are the same, then how soon it starts. From bit 22 on it is the
/// length, from 16 on the step, and below what is copied.
pub(super) fn key(same_bits: u32, step: usize, source: usize) -> u32 {
    ((same_bits & !7) << 19) + ((GROUP - 1 - step) << 19 | step << 16 | source) as u32
}

/// Memory to compress in. Nothing in it outlasts a block.
pub(super) struct Deflater {
    pub(super) window: Box<[u8; WINDOW + AHEAD]>,
    /// Where bytes of each hash were seen last. These are hints: what is there is compared.
    pub(super) slots: Box<[u16; 1 << SLOT_BITS]>,
    pub(super) tokens: Box<[u32; TOKENS + GROUP]>,
}

/// This many zeros, where there is memory for them.
fn zeros<T: Copy + Default, const N: usize>() -> Result<Box<[T; N]>> {
    let mut zeros = Vec::new();
    reserve(&mut zeros, N, PURPOSE)?;
    zeros.resize(N, T::default());
    // It has the length of the array, so this does not fail.
    let bytes = size_of::<[T; N]>() as u64;
    zeros.into_boxed_slice().try_into().map_err(|_| Error::OutOfMemory { bytes, what: PURPOSE })
}

impl Deflater {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { window: zeros()?, slots: zeros()?, tokens: zeros()? })
    }

    /// Turns a part of the window into tokens, up to its end or until there are enough. Tells where they end
    /// and how many they are.
    ///
    /// One branch that goes another way than the last ones costs as much as looking at several positions. So
    /// those of a group are all looked at, without branches, and the longest copy that starts in it is taken.
    #[inline(never)]
    pub(super) fn tokenize(&mut self, from: usize, to: usize) -> (usize, usize) {
        let (window, slots, tokens) = (&*self.window, &mut *self.slots, &mut *self.tokens);
        let (mut at, mut count) = (from, 0);
        if at == 0 && to > 0 {
            // Empty slots tell position 0, so what looks for copies must be behind.
            tokens[0] = token(window[0].into(), SINGLE, 0);
            (at, count) = (1, 1);
        }
        while at + AHEAD <= to && count < ENOUGH_TOKENS {
            let near = &window[at % WINDOW..][..AHEAD];
            let mut words = [0; GROUP];
            let mut keys = [0; GROUP];
            for step in 0..GROUP {
                words[step] = word_of(near, step);
                let slot = &mut slots[slot_of(words[step])];
                let candidate = usize::from(*slot);
                *slot = (at + step) as u16;
                let same_bits = (words[step] ^ word_of(window, candidate)).trailing_zeros();
                keys[step] = key(same_bits, step, candidate);
            }
            let best = keys.chunks_exact(2).map(|pair| pair[0].max(pair[1])).fold(0, u32::max);
            let mut length = (best >> 22) as usize;
            let step = (best >> 16) as usize % 8;
            let source = best as usize % WINDOW;

            let literal = |step: usize| u32::from(words[step] as u8);
            let place = &mut tokens[count % TOKENS..][..GROUP / 2];
            if length < MIN_MATCH_LEN || at + step - source > MAX_DISTANCE {
                for (pair, place) in place.iter_mut().enumerate() {
                    *place = token(literal(2 * pair), literal(2 * pair + 1), 0);
                }
                count += GROUP / 2;
                at += GROUP;
                continue;
            }
            for (pair, place) in place.iter_mut().enumerate() {
                let single = if step < 2 * pair + 2 { SINGLE } else { 0 };
                *place = token(literal(2 * pair), literal(2 * pair + 1) | single, 0);
            }
            count += step.div_ceil(2);
            at += step;

            if length == WORD {
                length = length_of_copy(window, source, at, (to - at).min(MAX_MATCH_LEN));
            }
            tokens[count % TOKENS] = copy(length, at - source);
            count += 1;
            at += length;
            slots[slot_of(word_of(window, (at - 1) % WINDOW))] = (at - 1) as u16;
        }
        if at + AHEAD > to {
            for &byte in &window[at..to] {
                tokens[count] = token(byte.into(), SINGLE, 0);
                count += 1;
            }
            at = to;
        }
        (at, count)
    }
}

/// How many bytes, up to `most`, are the same from `source` on as from `at` on. The first eight are.
#[inline]
fn length_of_copy(window: &[u8; WINDOW + AHEAD], source: usize, at: usize, most: usize) -> usize {
    let mut length = WORD;
    while length < most {
        let copied = word_of(window, (source + length) % WINDOW);
        let differing = word_of(window, (at + length) % WINDOW) ^ copied;
        if differing != 0 {
            length += (differing.trailing_zeros() / 8) as usize;
            break;
        }
        length += WORD;
    }
    length.min(most)
}
