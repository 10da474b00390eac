//! Huffman codes: their lengths from frequencies, the codes themselves, and the header that describes them.

use super::bits::{BitWriter, Code};
use super::sizes::END;
use super::tokens::HALF;

/// Number of symbols for literals, the end, and lengths; no block uses the last two.
pub(super) const SYMBOLS: usize = 288;

/// Number of symbols for distances; no block uses the last two.
pub(super) const DISTANCES: usize = 32;

pub(super) const USED_DISTANCES: usize = 30;

/// Number of symbols in a header: code lengths, and runs of them.
pub(super) const HEADER_SYMBOLS: usize = 19;

pub(super) const MAX_CODE_LEN: usize = 15;

pub(super) const MAX_HEADER_CODE_LEN: usize = 7;

/// Number of extra bits after the symbols of lengths.
pub(super) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Number of extra bits after the last symbols of a header.
pub(super) const RUN_EXTRA: [u8; 3] = [2, 3, 7];

/// The order in which a header lists the lengths of its own codes.
pub(super) const HEADER_ORDER: [usize; HEADER_SYMBOLS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The lengths of the codes of all symbols: 0 for those that do not occur.
pub(super) struct Codes {
    pub(super) symbols: [u8; SYMBOLS],
    pub(super) distances: [u8; DISTANCES],
}

impl Codes {
    /// Returns the fixed codes, which need no header.
    pub(super) fn fixed() -> Self {
        let mut symbols = [8; SYMBOLS];
        symbols[144..256].fill(9);
        symbols[256..280].fill(7);
        Self { symbols, distances: [5; DISTANCES] }
    }

    /// Returns the number of bits of symbols with these frequencies, without extra bits.
    pub(super) fn size(&self, symbols: &[u32; SYMBOLS], distances: &[u32; DISTANCES]) -> usize {
        total_size(symbols, &self.symbols) + total_size(distances, &self.distances)
    }
}

/// The header of a block, which describes its codes by their lengths, run-length encoded and then Huffman-coded.
pub(super) struct BlockHeader {
    symbols: usize,
    distances: usize,
    /// Each symbol with its extra bits.
    runs: [(u8, u8); SYMBOLS + DISTANCES],
    count: usize,
    frequencies: [u32; HEADER_SYMBOLS],
    lengths: [u8; HEADER_SYMBOLS],
    /// Number of `lengths` that are written.
    written: usize,
}

impl BlockHeader {
    pub(super) fn new(codes: &Codes) -> Self {
        let used = |lengths: &[u8], least: usize| {
            lengths.iter().rposition(|length| *length > 0).map_or(least, |last| least.max(last + 1))
        };
        let symbols = used(&codes.symbols, END + 1);
        let distances = used(&codes.distances, 1);
        let mut lengths = [0; SYMBOLS + DISTANCES];
        lengths[..symbols].copy_from_slice(&codes.symbols[..symbols]);
        lengths[symbols..symbols + distances].copy_from_slice(&codes.distances[..distances]);

        let mut runs = [(0, 0); SYMBOLS + DISTANCES];
        let mut count = 0;
        let mut frequencies = [0; HEADER_SYMBOLS];
        let mut rest = &lengths[..symbols + distances];
        let mut before = None;
        while let Some(&length) = rest.first() {
            let same = rest.iter().take_while(|other| **other == length).count();
            let (symbol, extra, taken) = match (length, same) {
                (0, 11..) => (18, same.min(138) - 11, same.min(138)),
                (0, 3..) => (17, same - 3, same),
                (_, 3..) if before == Some(length) => (16, same.min(6) - 3, same.min(6)),
                _ => (length, 0, 1),
            };
            runs[count] = (symbol, extra as u8);
            count += 1;
            frequencies[usize::from(symbol)] += 1;
            rest = &rest[taken..];
            before = Some(length);
        }
        let lengths = code_lengths(&frequencies, MAX_HEADER_CODE_LEN);
        let written = used(&HEADER_ORDER.map(|symbol| lengths[symbol]), 4);
        Self { symbols, distances, runs, count, frequencies, lengths, written }
    }

    /// Returns its size in bits.
    pub(super) fn size(&self) -> usize {
        let runs =
            self.frequencies[16..].iter().zip(RUN_EXTRA).map(|(&count, extra)| count * u32::from(extra));
        14 + 3 * self.written + total_size(&self.frequencies, &self.lengths) + runs.sum::<u32>() as usize
    }

    pub(super) fn write(&self, writer: &mut BitWriter) {
        let counts = (self.symbols - 257) | (self.distances - 1) << 5 | (self.written - 4) << 10;
        writer.put(counts as u64, 14);
        for &symbol in &HEADER_ORDER[..self.written] {
            writer.put(self.lengths[symbol].into(), 3);
        }
        let codes = assign(&self.lengths);
        for &(symbol, extra) in &self.runs[..self.count] {
            writer.put_code(codes[usize::from(symbol)]);
            writer.put(extra.into(), run_extra(symbol.into()).into());
        }
    }
}

/// The symbol of each length, indexed by the length minus 3, relative to the first such symbol.
const LENGTH_SYMBOLS: [u8; 256] = {
    let mut symbols = [0; 256];
    let (mut symbol, mut less) = (0, 0);
    while less < 255 {
        let mut rest = 1 << LENGTH_EXTRA[symbol];
        while rest > 0 && less < 255 {
            symbols[less] = symbol as u8;
            less += 1;
            rest -= 1;
        }
        symbol += 1;
    }
    // The symbol before it could also express the maximum length.
    symbols[255] = LENGTH_EXTRA.len() as u8 - 1;
    symbols
};

/// Returns the symbol of a length, given the length minus 3.
pub(super) fn length_symbol(less: usize) -> usize {
    END + 1 + usize::from(LENGTH_SYMBOLS[less % LENGTH_SYMBOLS.len()])
}

/// Returns the number of extra bits after a symbol; only lengths have any.
pub(super) fn length_extra(symbol: usize) -> u8 {
    LENGTH_EXTRA.get(symbol.wrapping_sub(END + 1)).copied().unwrap_or(0)
}

/// Returns the number of extra bits after the symbol of a distance.
pub(super) fn distance_extra(symbol: usize) -> u8 {
    (symbol as u8 / 2).saturating_sub(1)
}

/// Returns the number of extra bits after a symbol of a header.
pub(super) fn run_extra(symbol: usize) -> u8 {
    RUN_EXTRA.get(symbol.wrapping_sub(16)).copied().unwrap_or(0)
}

/// Returns the number of bits of the codes of symbols with these frequencies.
fn total_size(frequencies: &[u32], lengths: &[u8]) -> usize {
    frequencies.iter().zip(lengths).map(|(&frequency, &length)| frequency * u32::from(length)).sum::<u32>()
        as usize
}

/// Returns the code lengths that encode symbols of these frequencies in the fewest bits, or nearly so if
/// codes would exceed `longest`. There are at least two codes, because some decoders reject a single one.
pub(super) fn code_lengths<const N: usize>(frequencies: &[u32; N], longest: usize) -> [u8; N] {
    let mut lengths = [0; N];
    let mut leaves = [0; N];
    let mut used = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        leaves[used] = frequency << 9 | symbol as u32;
        used += usize::from(frequency > 0);
    }
    if used < 2 {
        let only = if used == 0 { 0 } else { leaves[0] as usize % HALF };
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return lengths;
    }
    let leaves = &mut leaves[..used];
    leaves.sort_unstable();

    // The two lightest nodes are merged until one is left. New nodes arise in the order of their weights.
    let mut weights = [u32::MAX; N];
    let mut parents_of_leaves = [0_u16; N];
    let mut parents = [0_u16; N];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..used - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf < used && leaves[leaf] >> 9 <= weights[inner] {
                weight += leaves[leaf] >> 9;
                parents_of_leaves[leaf] = node as u16;
                leaf += 1;
            } else {
                weight += weights[inner];
                parents[inner] = node as u16;
                inner += 1;
            }
        }
        weights[node] = weight;
    }
    let mut depths = [0; N];
    for node in (0..used - 2).rev() {
        depths[node] = depths[usize::from(parents[node])] + 1;
    }
    let mut counts = [0_usize; MAX_CODE_LEN + 1];
    for &parent in &parents_of_leaves[..used] {
        counts[longest.min(depths[usize::from(parent)] + 1)] += 1;
    }

    shorten(&mut counts, longest);
    let mut rarest = leaves.iter();
    for length in (1..=longest).rev() {
        for &leaf in rarest.by_ref().take(counts[length]) {
            lengths[leaf as usize % HALF] = length as u8;
        }
    }
    lengths
}

/// Limits code lengths to `longest`, by adjusting the number of codes of each length.
fn shorten(counts: &mut [usize; MAX_CODE_LEN + 1], longest: usize) {
    // Shortened codes take up too much of the code space. One of the longest other codes is lengthened, and
    // cedes half of its space to a shortened one.
    let mut room = (1..=longest).map(|length| counts[length] << (longest - length)).sum::<usize>();
    while room > 1 << longest {
        let length = (1..longest).rfind(|length| counts[*length] > 0).unwrap_or(1);
        counts[length] -= 1;
        counts[length + 1] += 2;
        counts[longest] -= 1;
        room -= 1;
    }
}

/// Returns the codes with these lengths.
pub(super) fn assign<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut counts = [0; MAX_CODE_LEN + 1];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    let mut next = [0_u32; MAX_CODE_LEN + 1];
    for length in 2..=MAX_CODE_LEN {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    let mut codes = [Code::default(); N];
    for (code, &length) in codes.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        let bits = &mut next[usize::from(length)];
        *code = Code { bits: bits.reverse_bits() >> (u32::BITS - u32::from(length)), length, total: length };
        *bits += 1;
    }
    codes
}
