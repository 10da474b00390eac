//! Deflate blocks: of the three kinds the one that takes least, and its tokens as bits.

use super::bits::{BUFFER, Code, Writer};
use super::huffman::{
    Codes, DISTANCES, Header, MAX_CODE_LEN, SYMBOLS, USED_DISTANCES, assign, code_lengths, distance_extra,
    length_extra, length_symbols,
};
use super::sizes::{END, LITERALS, PURPOSE, WORD};
use super::tokens::{HALF, first_of, second_of};
use crate::error::{Result, reserve};

/// The bits of this many tokens fit the buffer. It is even.
const TOKENS_OF_A_BUFFER: usize = BUFFER / WORD;

pub(super) const MAX_STORED_LEN: usize = 65_535;

impl Writer<'_> {
    /// Writes what `tokens` and `bytes` both stand for as a deflate block of the kind that takes least, or as
    /// some stored ones.
    #[inline(never)]
    pub(super) fn write_block(&mut self, bytes: &[u8], tokens: &[u32], last: bool) -> Result<()> {
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
            symbols: code_lengths(&symbols, MAX_CODE_LEN),
            distances: code_lengths(&distances, MAX_CODE_LEN),
        };
        let header = Header::new(&own);
        let fixed = Codes::fixed();
        let own_size = header.size() + own.size(&symbols, &distances);
        let fixed_size = fixed.size(&symbols, &distances);
        let stored_size = 8 * bytes.len() + 40 * bytes.len().div_ceil(MAX_STORED_LEN);
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
    pub(super) fn write_tokens(&mut self, tokens: &[u32], codes: &Codes) {
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
