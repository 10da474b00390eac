//! Chains: for each position of a block, the previous position of its first bytes.

use super::sizes::{MAX_DISTANCE, WINDOW, WORD};
use super::tokens::{Window, word_of, zeros};
use crate::error::Result;

/// Position of a block's first byte: a word can be read before any byte, and no byte is at position 0.
pub(super) const BASE: usize = WORD;

const HEAD_BITS: u32 = 15;

/// Length of a sample of a block, and number of samples.
const SAMPLE: usize = 128;
const SAMPLES: usize = 16;

/// Bytes, and for each position the previous occurrence of the bytes that start there. The whole block is
/// linked before any of it is compressed, so a search can also look ahead.
pub(super) struct Chains {
    pub(super) window: Box<Window>,
    /// The last position of each hash, used while linking.
    heads: Box<[u16; 1 << HEAD_BITS]>,
    /// The previous position with the same hash, or 0. These are hints: the bytes there are compared.
    pub(super) links: Box<[u16; WINDOW]>,
    /// Links for three bytes, if copies of three bytes are searched for.
    pub(super) threes: Box<[u16; WINDOW]>,
}

impl Chains {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { window: zeros()?, heads: zeros()?, links: zeros()?, threes: zeros()? })
    }

    /// Forgets all positions. Returns the position for the first bytes.
    pub(super) fn clear(&mut self) -> usize {
        self.window[..BASE].fill(0);
        BASE
    }

    /// Makes room for new bytes after those that may still be copied, and returns their position.
    pub(super) fn slide(&mut self) -> usize {
        let kept = BASE + MAX_DISTANCE;
        self.window.copy_within(WINDOW - kept..WINDOW, 0);
        kept
    }

    /// Links `gram` bytes at each position up to `to`.
    pub(super) fn link(&mut self, to: usize, gram: usize) {
        link(&self.window, &mut self.heads, &mut self.links, to, gram);
    }

    /// Links three bytes at each position up to `to`.
    pub(super) fn link_threes(&mut self, to: usize) {
        link(&self.window, &mut self.heads, &mut self.threes, to, 3);
    }

    /// Returns the number of byte values that are frequent in samples between `from` and `to`.
    pub(super) fn common_bytes(&self, from: usize, to: usize) -> usize {
        let mut counts = [0_u8; 1 << u8::BITS];
        for part in self.window[from..to].chunks(((to - from) / SAMPLES).max(SAMPLE)) {
            for &byte in &part[..part.len().min(SAMPLE)] {
                let count = &mut counts[usize::from(byte)];
                *count = count.saturating_add(1);
            }
        }
        // Rarer byte values have long codes, and hardly matter as literals.
        let rare = ((to - from) / SAMPLES).min(SAMPLE) / (SAMPLE / 2);
        counts.iter().filter(|count| usize::from(**count) > rare).count()
    }
}

/// Links `gram` bytes at each position up to `to`.
#[inline(never)]
fn link(
    window: &Window,
    heads: &mut [u16; 1 << HEAD_BITS],
    chain: &mut [u16; WINDOW],
    to: usize,
    gram: usize,
) {
    let bits = (to.ilog2() + 3).min(HEAD_BITS);
    heads[..1 << bits].fill(0);
    let end = (to + 1).saturating_sub(gram).max(BASE);
    for at in BASE..end {
        let bytes = word_of(window, at % WINDOW) << (u64::BITS as usize - 8 * gram);
        let hash = bytes.wrapping_mul(0x9e37_79b1_85eb_ca6b) >> (u64::BITS - bits);
        let head = &mut heads[hash as usize % (1 << HEAD_BITS)];
        chain[at % WINDOW] = *head;
        *head = at as u16;
    }
    // A search may look at the bytes right after these.
    chain[end..(end + WORD).min(WINDOW)].fill(0);
}
