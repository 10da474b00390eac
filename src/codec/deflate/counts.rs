//! Symbol frequencies in tokens, and estimates of the bits that they take.

#![expect(clippy::cast_precision_loss, reason = "estimates are wanted")]

use super::huffman::{DISTANCES, SYMBOLS, USED_DISTANCES, distance_extra, length_extra, length_symbol};
use super::sizes::{END, LITERALS};
use super::tokens::{HALF, first_of, second_of};

/// Symbol frequencies, and the number of bytes that the symbols encode.
#[derive(Clone)]
pub(super) struct Counts {
    pub(super) symbols: [u32; SYMBOLS],
    pub(super) distances: [u32; DISTANCES],
    pub(super) bytes: usize,
}

impl Counts {
    #[inline(never)]
    pub(super) fn of(tokens: &[u32]) -> Self {
        let mut firsts = [0_u32; HALF];
        let mut seconds = [0_u32; HALF];
        for &token in tokens {
            firsts[first_of(token)] += 1;
            seconds[second_of(token)] += 1;
        }
        let mut symbols = [0; SYMBOLS];
        let mut bytes = 0;
        for (literal, count) in symbols[..LITERALS].iter_mut().enumerate() {
            *count = firsts[literal] + seconds[literal];
            bytes += *count as usize;
        }
        symbols[END] = 1;
        for (less, &count) in firsts[LITERALS..].iter().enumerate() {
            symbols[length_symbol(less)] += count;
            bytes += count as usize * (less + 3);
        }
        let mut distances = [0; DISTANCES];
        distances[..USED_DISTANCES].copy_from_slice(&seconds[LITERALS..][..USED_DISTANCES]);
        Self { symbols, distances, bytes }
    }

    /// Returns the sum of both, for consecutive parts of one deflate block.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.symbols.iter_mut().zip(&other.symbols).for_each(|(sum, more)| *sum += more);
        both.distances.iter_mut().zip(&other.distances).for_each(|(sum, more)| *sum += more);
        both.symbols[END] = 1;
        both.bytes += other.bytes;
        both
    }

    /// Returns the number of extra bits, which does not depend on the codes.
    pub(super) fn extra_bits(&self) -> usize {
        let lengths = (END..).zip(&self.symbols[END..]).map(|(symbol, &count)| (count, length_extra(symbol)));
        let distances = (0..).zip(&self.distances).map(|(symbol, &count)| (count, distance_extra(symbol)));
        lengths.chain(distances).map(|(count, extra)| count as usize * usize::from(extra)).sum()
    }

    /// Estimates the size in bits of the symbols with the best codes for them.
    pub(super) fn code_bits(&self) -> f32 {
        entropy(&self.symbols) + entropy(&self.distances)
    }
}

/// Number of values that are processed in parallel.
const LANES: usize = 8;

/// Returns the entropy of symbols with these counts, in bits.
fn entropy<const N: usize>(counts: &[u32; N]) -> f32 {
    let mut saved = [0.0; LANES];
    let (chunks, _) = counts.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, &count) in saved.iter_mut().zip(chunk) {
            *sum += count as i32 as f32 * log(count as i32 as f32);
        }
    }
    let total = counts.iter().sum::<u32>() as f32;
    total * log(total) - saved.iter().sum::<f32>()
}

/// Approximates the logarithm to base 2: the exponent, and a parabola for the rest. For 0 the result is
/// finite but arbitrary.
fn log(number: f32) -> f32 {
    const MANTISSA_BITS: u32 = f32::MANTISSA_DIGITS - 1;
    let bits = number.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 + 1 - f32::MAX_EXP;
    let rest = f32::from_bits(bits & ((1 << MANTISSA_BITS) - 1) | 1.0_f32.to_bits());
    exponent as f32 + (rest - 1.0) * (1.0 + 0.344 * (2.0 - rest))
}
