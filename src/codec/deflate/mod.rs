//! Fast deflate: blocks compressed into zlib streams by an encoder made for blocks of some ten thousand bytes.

#![expect(clippy::cast_possible_truncation, reason = "positions, symbols and lengths are small")]

use std::cell::RefCell;
use std::ops::Range;

use crate::error::{Error, Result, reserve};

/// What memory is for, where there is none.
const PURPOSE: &str = "a compressed block";

/// A zlib stream whose copies reach 32 KB back, made by the fastest algorithm.
const STREAM_HEADER: [u8; 2] = [0x78, 0x01];
/// Deflate copies from at most so far back.
const REACH: usize = 32_768;
/// What is looked at together: bytes to copy from and bytes to compress. A position in it has 16 bits.
const WINDOW: usize = 2 * REACH;
/// So many bytes are compared at once.
const WORD: usize = 8;
/// Shorter copies are not looked for: those of four or five bytes save next to nothing.
const SHORTEST: usize = 6;
const LONGEST: usize = 258;
/// So many positions are looked at together. They are no more than `SHORTEST`, which makes all of them part
/// of what they become; and they are even, because literals are taken in pairs.
const GROUP: usize = 6;
/// A group looks at so many bytes.
const AHEAD: usize = GROUP - 1 + WORD;
const SLOT_BITS: u32 = 13;
/// There is room for so many tokens, and a deflate block ends when hardly more would fit.
const TOKENS: usize = 1 << 14;
const ENOUGH_TOKENS: usize = TOKENS - 2 * AHEAD;
/// Written bits are gathered so many bytes at a time; a header fits.
const BUFFER: usize = 2048;
/// The bits of so many tokens fit the buffer. It is even.
const TOKENS_OF_A_BUFFER: usize = BUFFER / WORD;

const LITERALS: usize = 256;
/// The symbol that ends a deflate block.
const END: usize = 256;
/// Symbols of literals, of the end and of lengths; the last two are used in no block.
const SYMBOLS: usize = 288;
/// Symbols of distances; the last two are used in no block.
const DISTANCES: usize = 32;
const USED_DISTANCES: usize = 30;
/// Symbols of a header: lengths of codes, and runs of them.
const HEADER_SYMBOLS: usize = 19;
const LONGEST_CODE: usize = 15;
const LONGEST_HEADER_CODE: usize = 7;
const LONGEST_STORED: usize = 65_535;

/// How many bits follow the symbols of lengths.
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// How many bits follow the last symbols of a header.
const RUN_EXTRA: [u8; 3] = [2, 3, 7];
/// In this order a header tells the lengths of its own codes.
const HEADER_ORDER: [usize; HEADER_SYMBOLS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// A token is a literal with perhaps another after it, or a copy. Its lowest 9 bits are a literal or, from 256
/// on, a length less 3. The next 9 are a literal or, from 256 on, the symbol of a distance, or this.
/// The other bits are those that follow the symbol of the distance.
const SINGLE: u32 = 511;
/// So many values have the two halves of a token.
const HALF: usize = 512;

thread_local! {
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

/// Appends `block` to `out` as a zlib stream; after an error `out` may end with a part of it.
pub(crate) fn compress(block: &[u8], out: &mut Vec<u8>) -> Result<()> {
    DEFLATER.with_borrow_mut(|slot| {
        let deflater = match slot {
            Some(deflater) => deflater,
            none => none.insert(Deflater { window: zeros()?, slots: zeros()?, tokens: zeros()? }),
        };
        deflater.compress(block, out)
    })
}

/// Memory to compress in. Nothing in it outlasts a block.
struct Deflater {
    window: Box<[u8; WINDOW + AHEAD]>,
    /// Where bytes of each hash were seen last. These are hints: what is there is compared.
    slots: Box<[u16; 1 << SLOT_BITS]>,
    tokens: Box<[u32; TOKENS + GROUP]>,
}

/// So many zeros, where there is memory for them.
fn zeros<T: Copy + Default, const N: usize>() -> Result<Box<[T; N]>> {
    let mut zeros = Vec::new();
    reserve(&mut zeros, N, PURPOSE)?;
    zeros.resize(N, T::default());
    // It has the length of the array, so this does not fail.
    let bytes = size_of::<[T; N]>() as u64;
    zeros.into_boxed_slice().try_into().map_err(|_| Error::OutOfMemory { bytes, what: PURPOSE })
}

impl Deflater {
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<()> {
        reserve(out, STREAM_HEADER.len(), PURPOSE)?;
        out.extend_from_slice(&STREAM_HEADER);
        let pending = Pending { bits: 0, count: 0, at: 0 };
        let mut writer = Writer { out, buffer: [0; BUFFER + WORD], pending };
        self.slots.fill(0);
        let (mut from, mut filled, mut rest) = (0, 0, block);
        loop {
            let (next, later) = rest.split_at(rest.len().min(WINDOW - filled));
            self.window[filled..filled + next.len()].copy_from_slice(next);
            filled += next.len();
            rest = later;
            loop {
                let (to, count) = self.tokenize(from, filled);
                let last = to == filled && rest.is_empty();
                writer.write_block(&self.window[from..to], &self.tokens[..count], last)?;
                from = to;
                if from == filled {
                    break;
                }
            }
            if rest.is_empty() {
                break;
            }
            self.window.copy_within(REACH..WINDOW, 0);
            for position in self.slots.iter_mut() {
                *position = position.saturating_sub(REACH as u16);
            }
            (from, filled) = (REACH, REACH);
        }
        writer.align();
        writer.flush();
        reserve(out, size_of::<u32>(), PURPOSE)?;
        out.extend_from_slice(&libdeflater::adler32(block).to_be_bytes());
        Ok(())
    }

    /// Turns a part of the window into tokens, up to its end or until there are enough. Tells where they end
    /// and how many they are.
    ///
    /// One branch that goes another way than the last ones costs as much as looking at several positions. So
    /// those of a group are all looked at, without branches, and the longest copy that starts in it is taken.
    #[inline(never)]
    fn tokenize(&mut self, from: usize, to: usize) -> (usize, usize) {
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
            if length < SHORTEST || at + step - source > REACH {
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
                let most = (to - at).min(LONGEST);
                while length < most {
                    let copied = word_of(window, (source + length) % WINDOW);
                    let differing = word_of(window, (at + length) % WINDOW) ^ copied;
                    if differing != 0 {
                        length += (differing.trailing_zeros() / 8) as usize;
                        break;
                    }
                    length += WORD;
                }
                length = length.min(most);
            }
            let less = (at - source - 1) as u32;
            let extra = (less | 2).ilog2() - 1;
            let symbol = 2 * extra + (less >> extra);
            let second = LITERALS as u32 + symbol;
            tokens[count % TOKENS] = token(length as u32 + 253, second, less & ((1 << extra) - 1));
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

/// Bits on their way into a buffer: those that do not make a byte yet, and where the next byte goes.
#[derive(Clone, Copy)]
struct Pending {
    bits: u64,
    count: u32,
    at: usize,
}

impl Pending {
    /// Adds bits, which must fit 64 together with those that are there.
    fn add(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
    }

    /// Moves whole bytes into the buffer, which leaves room for 56 bits.
    fn spill(&mut self, buffer: &mut [u8; BUFFER + WORD]) {
        buffer[self.at % BUFFER..][..WORD].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count %= 8;
    }
}

/// A code and the bits that follow it.
#[derive(Clone, Copy, Default)]
struct Code {
    bits: u32,
    length: u8,
    /// The length together with what follows.
    total: u8,
}

/// Writes deflate blocks.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    buffer: [u8; BUFFER + WORD],
    pending: Pending,
}

impl Writer<'_> {
    fn put(&mut self, bits: u64, count: u32) {
        self.pending.add(bits, count);
        self.pending.spill(&mut self.buffer);
    }

    fn put_code(&mut self, code: Code) {
        self.put(code.bits.into(), code.length.into());
    }

    /// Completes a byte.
    fn align(&mut self) {
        self.put(0, self.pending.count.wrapping_neg() % 8);
    }

    /// Empties the buffer into the vector, where room was made before.
    fn flush(&mut self) {
        let bytes = &self.buffer[..self.pending.at % BUFFER];
        debug_assert!(bytes.len() <= self.out.capacity() - self.out.len());
        self.out.extend_from_slice(bytes);
        self.pending.at = 0;
    }

    /// Writes what `tokens` and `bytes` both stand for as a deflate block of the kind that takes least, or as
    /// some stored ones.
    #[inline(never)]
    fn write_block(&mut self, bytes: &[u8], tokens: &[u32], last: bool) -> Result<()> {
        let mut firsts = [0_u32; HALF];
        let mut seconds = [0_u32; HALF];
        for &token in tokens {
            firsts[first_of(token)] += 1;
            seconds[second_of(token)] += 1;
        }
        let mut symbols = [0; SYMBOLS];
        for (symbol, frequency) in symbols[..LITERALS].iter_mut().enumerate() {
            *frequency = firsts[symbol] + seconds[symbol];
        }
        symbols[END] = 1;
        for (symbol, lengths) in length_symbols() {
            symbols[symbol] = firsts[lengths].iter().sum();
        }
        let mut distances = [0; DISTANCES];
        distances[..USED_DISTANCES].copy_from_slice(&seconds[LITERALS..][..USED_DISTANCES]);

        let own = Codes {
            symbols: code_lengths(&symbols, LONGEST_CODE),
            distances: code_lengths(&distances, LONGEST_CODE),
        };
        let header = Header::new(&own);
        let fixed = Codes::fixed();
        let own_size = header.size() + own.size(&symbols, &distances);
        let fixed_size = fixed.size(&symbols, &distances);
        let stored_size = 8 * bytes.len() + 40 * bytes.len().div_ceil(LONGEST_STORED);
        let size = own_size.min(fixed_size).min(stored_size.max(40));

        reserve(self.out, size / 8 + 2 * WORD, PURPOSE)?;
        if size == own_size {
            self.put(u64::from(last) | 2 << 1, 3);
            header.write(self);
            self.write_tokens(tokens, &own);
        } else if size == fixed_size {
            self.put(u64::from(last) | 1 << 1, 3);
            self.write_tokens(tokens, &fixed);
        } else {
            self.store(bytes, last);
        }
        Ok(())
    }

    fn store(&mut self, bytes: &[u8], last: bool) {
        let mut pieces = bytes.chunks(LONGEST_STORED).peekable();
        while let Some(piece) = pieces.next() {
            self.put((last && pieces.peek().is_none()).into(), 3);
            self.align();
            let length = piece.len() as u64;
            self.put(length | (length ^ 0xffff) << 16, 32);
            self.flush();
            self.out.extend_from_slice(piece);
        }
    }

    #[inline(never)]
    fn write_tokens(&mut self, tokens: &[u32], codes: &Codes) {
        let symbols = assign(&codes.symbols);
        let mut firsts = [Code::default(); HALF];
        firsts[..LITERALS].copy_from_slice(&symbols[..LITERALS]);
        for (symbol, lengths) in length_symbols() {
            let code = symbols[symbol];
            for (extra, first) in firsts[lengths].iter_mut().enumerate() {
                let total = code.length + length_extra(symbol);
                *first = Code { bits: code.bits | (extra as u32) << code.length, length: total, total };
            }
        }
        let mut seconds = [Code::default(); HALF];
        seconds[..LITERALS].copy_from_slice(&symbols[..LITERALS]);
        for (symbol, code) in assign(&codes.distances).into_iter().enumerate() {
            seconds[LITERALS + symbol] = Code { total: code.length + distance_extra(symbol), ..code };
        }
        let code_of = |token: u32| {
            let (first, second) = (firsts[first_of(token)], seconds[second_of(token)]);
            let rest = u64::from(second.bits) | u64::from(token >> 18) << second.length;
            (u64::from(first.bits) | rest << first.length, u32::from(first.length + second.total))
        };
        for tokens in tokens.chunks(TOKENS_OF_A_BUFFER) {
            self.flush();
            let mut pending = self.pending;
            let (pairs, odd) = tokens.as_chunks();
            for &[one, other] in pairs {
                // A token has 48 bits at most, but two of them seldom do not fit.
                let (code, count) = code_of(one);
                pending.add(code, count);
                let (code, count) = code_of(other);
                if pending.count + count >= u64::BITS {
                    pending.spill(&mut self.buffer);
                }
                pending.add(code, count);
                pending.spill(&mut self.buffer);
            }
            for &token in odd {
                let (code, count) = code_of(token);
                pending.add(code, count);
                pending.spill(&mut self.buffer);
            }
            self.pending = pending;
        }
        self.put_code(symbols[END]);
        self.flush();
    }
}

/// The lengths of the codes of all symbols: 0 for those that do not occur.
struct Codes {
    symbols: [u8; SYMBOLS],
    distances: [u8; DISTANCES],
}

impl Codes {
    /// Those that need no header.
    fn fixed() -> Self {
        let mut symbols = [8; SYMBOLS];
        symbols[144..256].fill(9);
        symbols[256..280].fill(7);
        Self { symbols, distances: [5; DISTANCES] }
    }

    /// How many bits a block takes, but for its header, when symbols are so frequent.
    fn size(&self, symbols: &[u32; SYMBOLS], distances: &[u32; DISTANCES]) -> usize {
        3 + total_size(symbols, &self.symbols, length_extra)
            + total_size(distances, &self.distances, distance_extra)
    }
}

/// How a block tells its codes: as lengths and runs of these, which have codes themselves.
struct Header {
    symbols: usize,
    distances: usize,
    /// Each symbol with the bits that follow it.
    runs: [(u8, u8); SYMBOLS + DISTANCES],
    count: usize,
    frequencies: [u32; HEADER_SYMBOLS],
    lengths: [u8; HEADER_SYMBOLS],
    /// How many of its own lengths it tells.
    told: usize,
}

impl Header {
    fn new(codes: &Codes) -> Self {
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
        let lengths = code_lengths(&frequencies, LONGEST_HEADER_CODE);
        let told = used(&HEADER_ORDER.map(|symbol| lengths[symbol]), 4);
        Self { symbols, distances, runs, count, frequencies, lengths, told }
    }

    /// How many bits it takes.
    fn size(&self) -> usize {
        14 + 3 * self.told + total_size(&self.frequencies, &self.lengths, run_extra)
    }

    fn write(&self, writer: &mut Writer) {
        let counts = (self.symbols - 257) | (self.distances - 1) << 5 | (self.told - 4) << 10;
        writer.put(counts as u64, 14);
        for &symbol in &HEADER_ORDER[..self.told] {
            writer.put(self.lengths[symbol].into(), 3);
        }
        let codes = assign(&self.lengths);
        for &(symbol, extra) in &self.runs[..self.count] {
            writer.put_code(codes[usize::from(symbol)]);
            writer.put(extra.into(), run_extra(symbol.into()).into());
        }
    }
}

fn token(first: u32, second: u32, extra: u32) -> u32 {
    first | second << 9 | extra << 18
}

fn first_of(token: u32) -> usize {
    token as usize % HALF
}

fn second_of(token: u32) -> usize {
    (token >> 9) as usize % HALF
}

/// The eight bytes from `at` on.
fn word_of(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WORD];
    word.copy_from_slice(&bytes[at..at + WORD]);
    u64::from_le_bytes(word)
}

/// The slot of the first bytes of a word, which may be copied.
fn slot_of(word: u64) -> usize {
    ((word << (64 - 8 * SHORTEST)).wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - SLOT_BITS)) as usize
}

/// What a copy is chosen by: how many bytes are the same, then how soon it starts. From bit 22 on it is the
/// length, from 16 on the step, and below what is copied.
fn key(same_bits: u32, step: usize, source: usize) -> u32 {
    ((same_bits & !7) << 19) + ((GROUP - 1 - step) << 19 | step << 16 | source) as u32
}

/// The symbols of lengths, each with the halves of tokens that become it.
fn length_symbols() -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = LITERALS;
    LENGTH_EXTRA.iter().zip(END + 1..).map(move |(&extra, symbol)| {
        // The last but one would have the greatest length, too.
        let end = start + (1 << extra) - usize::from(symbol == END + LENGTH_EXTRA.len() - 1);
        (symbol, std::mem::replace(&mut start, end)..end)
    })
}

/// How many bits follow the symbol of a length, or of anything else in its place.
fn length_extra(symbol: usize) -> u8 {
    LENGTH_EXTRA.get(symbol.wrapping_sub(END + 1)).copied().unwrap_or(0)
}

/// How many bits follow the symbol of a distance.
fn distance_extra(symbol: usize) -> u8 {
    (symbol as u8 / 2).saturating_sub(1)
}

/// How many bits follow a symbol of a header.
fn run_extra(symbol: usize) -> u8 {
    RUN_EXTRA.get(symbol.wrapping_sub(16)).copied().unwrap_or(0)
}

/// How many bits symbols take that are so frequent, with what follows them.
fn total_size(frequencies: &[u32], lengths: &[u8], extra: fn(usize) -> u8) -> usize {
    let all = frequencies.iter().zip(lengths).enumerate();
    all.map(|(symbol, (&frequency, &length))| frequency as usize * usize::from(length + extra(symbol))).sum()
}

/// The lengths of the codes in which symbols that are so frequent take the fewest bits; about the fewest, when
/// codes would be longer than `longest`. There are at least two, for not everyone reads one alone.
fn code_lengths<const N: usize>(frequencies: &[u32; N], longest: usize) -> [u8; N] {
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

    // The two rarest nodes become one, until all are one. New nodes come in the order of their weights.
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
    let mut counts = [0_usize; LONGEST_CODE + 1];
    for &parent in &parents_of_leaves[..used] {
        counts[longest.min(depths[usize::from(parent)] + 1)] += 1;
    }

    // Codes that were shortened take too much room. One of the longest that are not becomes longer, and gives
    // half of its room to one that was shortened.
    let mut room = (1..=longest).map(|length| counts[length] << (longest - length)).sum::<usize>();
    while room > 1 << longest {
        let length = (1..longest).rfind(|length| counts[*length] > 0).unwrap_or(1);
        counts[length] -= 1;
        counts[length + 1] += 2;
        counts[longest] -= 1;
        room -= 1;
    }
    let mut rarest = leaves.iter();
    for length in (1..=longest).rev() {
        for &leaf in rarest.by_ref().take(counts[length]) {
            lengths[leaf as usize % HALF] = length as u8;
        }
    }
    lengths
}

/// The codes of these lengths.
fn assign<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut counts = [0; LONGEST_CODE + 1];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    let mut next = [0_u32; LONGEST_CODE + 1];
    for length in 2..=LONGEST_CODE {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
        }

        fn below(&mut self, limit: usize) -> usize {
            (self.next() % limit as u64) as usize
        }

        fn noise(&mut self, length: usize) -> Vec<u8> {
            (0..length).map(|_| self.next() as u8).collect()
        }
    }

    fn text(length: usize) -> Vec<u8> {
        let words = ["def ", "return ", "self.", "value", "(", "):\n    ", "length", " = ", "0x1f", "#"];
        let mut dice = Dice(7);
        let mut text = Vec::new();
        while text.len() < length {
            text.extend_from_slice(words[dice.below(10)].as_bytes());
        }
        text.truncate(length);
        text
    }

    fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
        let mut block = vec![0; length + 1];
        let inflated = libdeflater::Decompressor::new().zlib_decompress(stream, &mut block).unwrap();
        block.truncate(inflated);
        assert!(block == miniz_oxide::inflate::decompress_to_vec_zlib(stream).unwrap());
        block
    }

    /// Compresses, and has two others inflate.
    fn check(block: &[u8]) -> usize {
        let mut stream = vec![1, 2, 3];
        compress(block, &mut stream).unwrap();
        let stream = &stream[3..];
        assert!(inflate(stream, block.len()) == block, "{} bytes come back as others", block.len());
        assert!(stream.len() <= block.len() + 11 + block.len() / 16_000 * 6);
        stream.len()
    }

    fn kinds(length: usize) -> [Vec<u8>; 7] {
        let mut dice = Dice(length as u64 + 1);
        let noise = dice.noise(length);
        [
            vec![b'a'; length],
            text(length),
            noise.iter().map(|byte| b'a' + byte % 2).collect(),
            noise.iter().map(|byte| b'a' + (byte.leading_zeros() * 3) as u8).collect(),
            [&noise[..length / 2], &text(length - length / 2)].concat(),
            (0..length).map(|index| (index / 3) as u8).collect(),
            noise,
        ]
    }

    #[test]
    fn blocks_of_every_length_come_back() {
        let lengths = (0..=300).chain(32_700..32_800).step_by(3);
        let lengths = lengths.chain(65_505..65_570).chain(98_290..98_310).chain([1_000_000, 5_000_001]);
        for length in lengths {
            for block in kinds(length) {
                check(&block);
            }
        }
        for length in 0..=300 {
            for block in kinds(length) {
                check(&block);
            }
        }
    }

    #[test]
    fn what_does_not_compress_is_stored() {
        let mut dice = Dice(5);
        for (length, headers) in [(0, 0), (1, 5), (65_000, 5 * 4), (1_000_000, 5 * 62)] {
            assert!(check(&dice.noise(length)) <= length + 6 + headers.max(2));
        }
    }

    #[test]
    fn what_compresses_well_becomes_small() {
        assert!(check(&vec![b'x'; 1_000_000]) < 2000);
        assert!(check(b"abcabcabcabcabcabcabcabcabc") < 16);
        assert!(check(&text(32_768)) < 32_768 / 3);
        assert!(check(&Dice(9).noise(1000).repeat(32)) < 1500);
    }

    #[test]
    fn copies_reach_as_far_back_as_they_may_and_no_farther() {
        let marker = Dice(3).noise(64);
        for start in [0, 1, 20_000, 32_768, 33_000, 65_000, 70_000, 131_000] {
            let size = |distance: usize| {
                check(&[&vec![0; start], &marker, &vec![0; distance - 64], &marker[..]].concat())
            };
            let near = size(30_000);
            assert!(size(32_768) < near + 20);
            assert!(size(32_769) > near + 50);
            assert!(size(32_770) > near + 50);
            assert!(size(65_536) > near + 50);
            assert!(size(65_600) > near + 50);
        }
    }

    #[test]
    fn nothing_outlasts_a_block() {
        let streams = || {
            kinds(40_000).map(|block| {
                let mut stream = Vec::new();
                compress(&block, &mut stream).unwrap();
                stream
            })
        };
        let first = streams();
        check(&text(200_000));
        assert!(first == streams());
    }

    /// What a writer makes of bytes, which is inflated, too.
    fn written(bytes: &[u8], write: impl Fn(&mut Writer)) -> Vec<u8> {
        let mut out = STREAM_HEADER.to_vec();
        let pending = Pending { bits: 0, count: 0, at: 0 };
        out.reserve(bytes.len() + 100);
        let mut writer = Writer { out: &mut out, buffer: [0; BUFFER + WORD], pending };
        write(&mut writer);
        writer.align();
        writer.flush();
        out.extend_from_slice(&libdeflater::adler32(bytes).to_be_bytes());
        assert!(inflate(&out, bytes.len()) == bytes);
        out
    }

    fn write(tokens: &[u32], bytes: &[u8]) -> Vec<u8> {
        written(bytes, |writer| writer.write_block(bytes, tokens, true).unwrap())
    }

    #[test]
    fn stored_bytes_can_be_many() {
        for length in [1, 65_535, 65_536, 131_070, 131_071, 200_000] {
            let noise = Dice(2).noise(length);
            let stored = written(&noise, |writer| writer.store(&noise, true));
            assert_eq!(stored.len(), length + 6 + 5 * length.div_ceil(LONGEST_STORED));
        }
    }

    fn copy(tokens: &mut Vec<u32>, bytes: &mut Vec<u8>, length: usize, distance: usize) {
        let symbol = (0..30).rfind(|symbol| distance > start_of(*symbol)).unwrap();
        let extra = (distance - 1 - start_of(symbol)) as u32;
        tokens.push(token(length as u32 + 253, 256 + symbol, extra));
        for _ in 0..length {
            bytes.push(bytes[bytes.len() - distance]);
        }
    }

    /// The first distance of a symbol, less 1.
    fn start_of(symbol: u32) -> usize {
        if symbol < 2 { symbol as usize } else { (2 + symbol as usize % 2) << (symbol / 2 - 1) }
    }

    #[test]
    fn every_length_and_distance_can_be_written() {
        let mut dice = Dice(1);
        let noise = dice.noise(REACH);
        let literals: Vec<u32> = noise.iter().map(|byte| token((*byte).into(), SINGLE, 0)).collect();
        // Each kind of copy alone, which takes the fixed codes, and all together.
        let (mut tokens, mut bytes) = (literals.clone(), noise.clone());
        for length in 3..=LONGEST {
            for symbol in [0, length as u32 % 30] {
                copy(&mut tokens, &mut bytes, length, start_of(symbol) + 1);
                let mut alone = (vec![token(b'x'.into(), SINGLE, 0)], vec![b'x']);
                copy(&mut alone.0, &mut alone.1, length, 1);
                assert_eq!(write(&alone.0, &alone.1)[2] & 7, 3);
            }
        }
        for symbol in 0..30 {
            for distance in [start_of(symbol) + 1, start_of(symbol + 1)] {
                copy(&mut tokens, &mut bytes, 3 + dice.below(256), distance);
            }
        }
        copy(&mut tokens, &mut bytes, LONGEST, REACH);
        write(&tokens, &bytes);
    }

    #[test]
    fn codes_are_never_too_long() {
        for (used, longest) in [(19, 7), (25, 15), (2, 15), (3, 15), (16, 15), (17, 15), (22, 15)] {
            let mut frequencies = [0; 288];
            let (mut a, mut b) = (1, 1);
            for frequency in frequencies.iter_mut().step_by(7).take(used) {
                *frequency = a;
                (a, b) = (b, a + b);
            }
            let lengths = code_lengths(&frequencies, longest);
            let room: usize =
                lengths.iter().filter(|l| **l > 0).map(|l| 1 << (longest - usize::from(*l))).sum();
            assert_eq!(room, 1 << longest);
            assert_eq!(lengths.iter().filter(|length| **length > 0).count(), used);
            assert!(lengths.iter().all(|length| usize::from(*length) <= longest));
            for (some, other) in
                frequencies.iter().zip(&lengths).zip(frequencies.iter().zip(&lengths).skip(7))
            {
                assert!(some.0 >= other.0 || some.1 >= other.1 || *other.1 == 0);
            }
        }
        // Literals alone, as frequent as Fibonacci's numbers together with the end.
        let mut bytes = Vec::new();
        let (mut a, mut b) = (1, 2);
        for byte in 0..19 {
            bytes.extend(std::iter::repeat_n(byte * 5, a));
            (a, b) = (b, a + b);
        }
        let pairs = bytes.chunks_exact(2).map(|pair| token(pair[0].into(), pair[1].into(), 0));
        let tokens: Vec<u32> = pairs.chain([token(bytes[bytes.len() - 1].into(), SINGLE, 0)]).collect();
        assert_eq!(bytes.len() % 2, 1);
        assert_eq!(write(&tokens, &bytes)[2] & 7, 5);
    }

    #[test]
    fn codes_of_one_symbol_or_none_are_complete() {
        assert_eq!(code_lengths(&[0; 30], 15)[..3], [1, 1, 0]);
        assert_eq!(code_lengths(&[9, 0, 0], 15), [1, 1, 0]);
        assert_eq!(code_lengths(&[0, 0, 9], 15), [1, 0, 1]);
        for symbol in 0..12 {
            // One distance alone, often enough for codes of its own.
            let (mut tokens, mut bytes) = (Vec::new(), Vec::new());
            for byte in 0..64 {
                tokens.push(token(byte, SINGLE, 0));
                bytes.push(byte as u8);
            }
            for _ in 0..300 {
                copy(&mut tokens, &mut bytes, 9, start_of(symbol) + 1);
            }
            assert_eq!(write(&tokens, &bytes)[2] & 7, 5);
        }
        // No distance.
        let noise: Vec<u8> = Dice(8).noise(9000).iter().map(|byte| byte % 50).collect();
        let tokens: Vec<u32> = noise.iter().map(|byte| token((*byte).into(), SINGLE, 0)).collect();
        assert_eq!(write(&tokens, &noise)[2] & 7, 5);
    }

    #[test]
    fn whatever_is_compressed_comes_back() {
        let cases = std::env::var("DEFLATE_CASES").map_or(20_000, |cases| cases.parse().unwrap());
        let seed = std::env::var("DEFLATE_SEED").map_or(1, |seed| seed.parse().unwrap());
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        for case in 0..cases {
            let length = match case % 64 {
                0 => dice.below(150_000),
                1..8 => dice.below(5000),
                _ => dice.below(400),
            };
            let letters = [2, 4, 20, 100, 256][dice.below(5)];
            let longest = [4, 12, 40, 600][dice.below(4)];
            let farthest = [3, 40, 5000, 70_000][dice.below(4)];
            let mut block = Vec::new();
            while block.len() < length {
                let more = 1 + dice.below(longest);
                if block.is_empty() || dice.below(2) == 0 {
                    block.extend((0..more).map(|_| dice.below(letters) as u8));
                } else {
                    let distance = 1 + dice.below(farthest.min(block.len()));
                    for _ in 0..more {
                        block.push(block[block.len() - distance]);
                    }
                }
            }
            block.truncate(length);
            check(&block);
        }
    }
}
