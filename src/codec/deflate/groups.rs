//! The fastest way from bytes to tokens: positions in groups, each of which becomes at most one copy.

use super::sizes::{MAX_DISTANCE, MAX_MATCH_LEN, WINDOW, WORD};
use super::tokens::{AHEAD, SINGLE, Window, copy, token, word_of, zeros};
use crate::error::Result;

/// Shorter copies are not searched for: those of four or five bytes would hide longer ones.
const MIN_MATCH_LEN: usize = 6;

/// Positions examined per step. At most `MIN_MATCH_LEN`, so that a match never ends inside its own group; even, because
/// literals are emitted in pairs.
const GROUP: usize = 6;

/// Bytes from the first position of a group to the end of what it examines.
const GROUP_AHEAD: usize = GROUP - 1 + WORD;

const SLOT_BITS: u32 = 14;

/// Positions recorded for later copies, as distances from the end of each copy.
const NOTED: [usize; 3] = [1, 3, 5];

/// Room for tokens; a deflate block ends when it is almost full.
const TOKENS: usize = 1 << 14;

pub(super) const ENOUGH_TOKENS: usize = TOKENS - 2 * AHEAD;

/// Returns the slot for the first bytes of a word, by hash.
fn slot_of(word: u64) -> usize {
    ((word << (64 - 8 * MIN_MATCH_LEN)).wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - SLOT_BITS)) as usize
}

/// Returns the sort key of a copy: the longest wins, then the earliest. The length is in the bits from 22 on,
/// the step from 16 on, the source below.
fn key(same_bits: u32, step: usize, source: usize) -> u32 {
    ((same_bits & !7) << 19) + ((GROUP - 1 - step) << 19 | step << 16 | source) as u32
}

/// Working memory of the compressor. Nothing in it outlives a block.
pub(super) struct Groups {
    pub(super) window: Box<Window>,
    /// The last position of each hash. These are hints: the bytes there are compared.
    slots: Box<[u16; 1 << SLOT_BITS]>,
    pub(super) tokens: Box<[u32; TOKENS + GROUP]>,
}

impl Groups {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { window: zeros()?, slots: zeros()?, tokens: zeros()? })
    }

    /// Forgets all positions.
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
    }

    /// Makes room for new bytes after those that may still be copied, and returns their position.
    pub(super) fn slide(&mut self) -> usize {
        self.window.copy_within(MAX_DISTANCE..WINDOW, 0);
        for position in self.slots.iter_mut() {
            *position = position.saturating_sub(MAX_DISTANCE as u16);
        }
        MAX_DISTANCE
    }

    /// Turns a part of the window into tokens, up to its end or until there are enough. Returns the position
    /// of the end and the number of tokens.
    ///
    /// A mispredicted branch costs as much as examining several positions. All positions of a group are
    /// therefore examined without branches, and the longest copy that starts in the group is taken.
    #[inline(never)]
    pub(super) fn tokenize(&mut self, from: usize, to: usize) -> (usize, usize) {
        let (window, slots, tokens) = (&*self.window, &mut *self.slots, &mut *self.tokens);
        let (mut at, mut count) = (from, 0);
        if at == 0 && to > 0 {
            // Empty slots point to position 0, so the search must start after it.
            tokens[0] = token(window[0].into(), SINGLE, 0);
            (at, count) = (1, 1);
        }
        while at + GROUP_AHEAD <= to && count < ENOUGH_TOKENS {
            let near = &window[at % WINDOW..][..GROUP_AHEAD];
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
            let (mut length, step) = ((best >> 22) as usize, (best >> 16) as usize % 8);
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
            for back in NOTED {
                slots[slot_of(word_of(window, (at - back) % WINDOW))] = (at - back) as u16;
            }
        }
        if at + GROUP_AHEAD > to {
            for &byte in &window[at..to] {
                tokens[count] = token(byte.into(), SINGLE, 0);
                count += 1;
            }
            at = to;
        }
        (at, count)
    }
}

/// Returns the number of equal bytes, up to `limit`, at `source` and at `at`. The first eight are known to be equal.
#[inline]
fn length_of_copy(window: &Window, source: usize, at: usize, limit: usize) -> usize {
    let mut length = WORD;
    while length < limit {
        let copied = word_of(window, (source + length) % WINDOW);
        let differing = word_of(window, (at + length) % WINDOW) ^ copied;
        if differing != 0 {
            length += (differing.trailing_zeros() / 8) as usize;
            break;
        }
        length += WORD;
    }
    length.min(limit)
}
