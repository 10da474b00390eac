//! Fast deflate: blocks compressed into zlib streams by an encoder made for blocks of some ten thousand bytes.

#![expect(clippy::cast_possible_truncation, reason = "positions, symbols and lengths are small")]

mod bits;
mod block_writer;
mod huffman;
mod tokens;

use std::cell::RefCell;

use self::bits::{BUFFER, Pending, Writer};
use self::tokens::{AHEAD, GROUP, SLOT_BITS, TOKENS};
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

const LITERALS: usize = 256;
/// The symbol that ends a deflate block.
const END: usize = 256;

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
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
