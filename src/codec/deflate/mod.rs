//! Fast deflate: blocks compressed into zlib streams by an encoder made for blocks of some ten thousand bytes.

#![expect(clippy::cast_possible_truncation, reason = "positions, symbols and lengths are small")]

mod bits;
mod block_writer;
mod huffman;
mod sizes;
mod tokens;

use std::cell::RefCell;

use self::bits::{BUFFER, Pending, Writer};
use self::sizes::{MAX_DISTANCE, PURPOSE, WINDOW, WORD};
use self::tokens::Deflater;
use crate::error::{Result, reserve};

/// A zlib stream whose copies reach 32 KB back, made by the fastest algorithm.
const STREAM_HEADER: [u8; 2] = [0x78, 0x01];
thread_local! {
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

/// Appends `block` to `out` as a zlib stream; after an error `out` may end with a part of it.
pub(crate) fn compress(block: &[u8], out: &mut Vec<u8>) -> Result<()> {
    DEFLATER.with_borrow_mut(|slot| {
        let deflater = match slot {
            Some(deflater) => deflater,
            none => none.insert(Deflater::new()?),
        };
        deflater.compress(block, out)
    })
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
            self.window.copy_within(MAX_DISTANCE..WINDOW, 0);
            for position in self.slots.iter_mut() {
                *position = position.saturating_sub(MAX_DISTANCE as u16);
            }
            (from, filled) = (MAX_DISTANCE, MAX_DISTANCE);
        }
        writer.align();
        writer.flush();
        reserve(out, size_of::<u32>(), PURPOSE)?;
        out.extend_from_slice(&libdeflater::adler32(block).to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
