//! Deflate blocks: chooses the smallest of the three kinds, and writes its tokens as bits.

use std::sync::LazyLock;

use super::bits::{BUFFER, BitWriter, Code};
use super::counts::Counts;
use super::huffman::{
    BlockHeader, Codes, LENGTH_EXTRA, MAX_CODE_LEN, assign, code_lengths, distance_extra, length_symbol,
};
use super::sizes::{END, LITERALS, PURPOSE, WORD};
use super::tokens::{HALF, first_of, second_of};
use crate::error::{Result, reserve};

/// Number of tokens whose bits always fit in the buffer; even.
const TOKENS_OF_A_BUFFER: usize = BUFFER / WORD;

pub(super) const MAX_STORED_LEN: usize = 65_535;

/// A block this short with the fixed codes, in bits, is rarely shorter with codes of its own, and never when stored.
const SHORT: usize = 256;

/// A separate block has to save this many bits, about the size of the header that describes its codes.
const PRICE_OF_A_BLOCK: f32 = 900.0;

static FIXED: LazyLock<Tables> = LazyLock::new(|| Tables::of(&Codes::fixed()));

/// The codes for both halves of a token.
struct Tables {
    firsts: [Code; HALF],
    seconds: [Code; HALF],
    end: Code,
}

impl Tables {
    fn of(codes: &Codes) -> Self {
        let symbols = assign(&codes.symbols);
        let mut firsts = [Code::default(); HALF];
        let mut seconds = [Code::default(); HALF];
        firsts[..LITERALS].copy_from_slice(&symbols[..LITERALS]);
        seconds[..LITERALS].copy_from_slice(&symbols[..LITERALS]);
        let mut before = END;
        let mut nth = 0;
        for (less, first) in firsts[LITERALS..].iter_mut().enumerate() {
            let symbol = length_symbol(less);
            nth = if symbol == before { nth + 1 } else { 0 };
            before = symbol;
            let Code { bits, length, .. } = symbols[symbol];
            let total = length + LENGTH_EXTRA[symbol - END - 1];
            *first = Code { bits: bits | nth << length, length: total, total };
        }
        for (symbol, code) in assign(&codes.distances).into_iter().enumerate() {
            seconds[LITERALS + symbol] = Code { total: code.length + distance_extra(symbol), ..code };
        }
        Self { firsts, seconds, end: symbols[END] }
    }

    /// Returns the bits of a token and their number.
    #[inline]
    fn code_of(&self, token: u32) -> (u64, u32) {
        let (first, second) = (self.firsts[first_of(token)], self.seconds[second_of(token)]);
        let rest = u64::from(second.bits) | u64::from(token >> 18) << second.length;
        (u64::from(first.bits) | rest << first.length, u32::from(first.length + second.total))
    }

    /// Returns the size in bits of tokens followed by the end symbol.
    fn size(&self, tokens: &[u32]) -> usize {
        tokens.iter().map(|&token| self.code_of(token).1 as usize).sum::<usize>()
            + usize::from(self.end.length)
    }
}

impl BitWriter<'_> {
    /// Writes `tokens`, which encode `bytes`, as deflate blocks. A new block starts at each part of `part`
    /// tokens that differs enough from the one before it.
    pub(super) fn write_blocks(
        &mut self,
        mut bytes: &[u8],
        mut tokens: &[u32],
        last: bool,
        part: usize,
    ) -> Result<()> {
        if tokens.len() <= SHORT / 8 && 3 + FIXED.size(tokens) <= SHORT {
            reserve(self.out, SHORT / 8 + 2 * WORD, PURPOSE)?;
            self.write_fixed(tokens, last);
            return Ok(());
        }
        let mut block = Counts::of(&tokens[..tokens.len().min(part)]);
        let mut length = tokens.len().min(part);
        let mut bits = block.code_bits();
        while length < tokens.len() {
            let next_length = part.min(tokens.len() - length);
            let next = Counts::of(&tokens[length..][..next_length]);
            let both = block.with(&next);
            let (next_bits, both_bits) = (next.code_bits(), both.code_bits());
            if bits + next_bits + PRICE_OF_A_BLOCK < both_bits {
                let (own_bytes, later_bytes) = bytes.split_at(block.bytes);
                let (own_tokens, later_tokens) = tokens.split_at(length);
                self.write_block(own_bytes, own_tokens, &block, false)?;
                (bytes, tokens) = (later_bytes, later_tokens);
                (block, bits, length) = (next, next_bits, next_length);
            } else {
                (block, bits) = (both, both_bits);
                length += next_length;
            }
        }
        self.write_block(bytes, tokens, &block, last)
    }

    fn write_fixed(&mut self, tokens: &[u32], last: bool) {
        self.put(u64::from(last) | 1 << 1, 3);
        self.write_tokens(tokens, &FIXED);
    }

    /// Writes a deflate block of the smallest kind, or several stored ones.
    #[inline(never)]
    pub(super) fn write_block(
        &mut self,
        bytes: &[u8],
        tokens: &[u32],
        counts: &Counts,
        last: bool,
    ) -> Result<()> {
        let own = Codes {
            symbols: code_lengths(&counts.symbols, MAX_CODE_LEN),
            distances: code_lengths(&counts.distances, MAX_CODE_LEN),
        };
        let header = BlockHeader::new(&own);
        let extra = counts.extra_bits();
        let own_size = 3 + header.size() + own.size(&counts.symbols, &counts.distances) + extra;
        let fixed_size = 3 + Codes::fixed().size(&counts.symbols, &counts.distances) + extra;
        let size = own_size.min(fixed_size).min(stored_size(bytes));

        reserve(self.out, size / 8 + 2 * WORD, PURPOSE)?;
        if size == own_size {
            self.put(u64::from(last) | 2 << 1, 3);
            header.write(self);
            self.write_tokens(tokens, &Tables::of(&own));
        } else if size == fixed_size {
            self.write_fixed(tokens, last);
        } else {
            self.store(bytes, last);
        }
        Ok(())
    }

    pub(super) fn store(&mut self, bytes: &[u8], last: bool) {
        let mut pieces = bytes.chunks(MAX_STORED_LEN).peekable();
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
    fn write_tokens(&mut self, tokens: &[u32], tables: &Tables) {
        for tokens in tokens.chunks(TOKENS_OF_A_BUFFER) {
            self.flush();
            let mut pending = self.pending;
            let (pairs, odd) = tokens.as_chunks();
            for &[one, other] in pairs {
                // A token has up to 48 bits, but two of them nearly always fit.
                let (code, count) = tables.code_of(one);
                pending.add(code, count);
                let (code, count) = tables.code_of(other);
                if pending.count + count >= u64::BITS {
                    pending.spill(&mut self.buffer);
                }
                pending.add(code, count);
                pending.spill(&mut self.buffer);
            }
            for &token in odd {
                let (code, count) = tables.code_of(token);
                pending.add(code, count);
                pending.spill(&mut self.buffer);
            }
            self.pending = pending;
        }
        self.put_code(tables.end);
        self.flush();
    }
}

/// Returns the size in bits of stored bytes that start at a byte boundary.
fn stored_size(bytes: &[u8]) -> usize {
    8 * bytes.len() + 40 * bytes.len().div_ceil(MAX_STORED_LEN).max(1)
}
