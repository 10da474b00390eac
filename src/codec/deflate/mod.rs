//! Deflate: compresses blocks into zlib streams, with encoders tuned for blocks of some ten thousand bytes.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "positions, symbols, lengths and counts are small"
)]

mod bits;
mod block_writer;
mod chains;
mod counts;
mod groups;
mod huffman;
mod lazy;
mod rows;
mod sizes;
mod tokens;

use std::cell::RefCell;
use std::ops::RangeInclusive;

use self::bits::{BUFFER, BitWriter, Pending};
use self::chains::Chains;
use self::groups::Groups;
use self::lazy::Effort;
use self::sizes::{MAX_MATCH_LEN, PURPOSE, WINDOW, WORD};
use self::tokens::{LITERAL_TOKENS, zeros};
use crate::error::{Result, reserve};

/// The levels that this encoder supports.
pub(crate) const LEVELS: RangeInclusive<u32> = 1..=8;

/// The header of a zlib stream: a window of 32 KB, compressed by the fastest algorithm.
const STREAM_HEADER: [u8; 2] = [0x78, 0x01];

/// Every token except the last encodes at least two bytes if single literals occur only before copies.
const TOKENS_OF_A_WINDOW: usize = WINDOW / 2 + 2 * LITERAL_TOKENS;

/// Blocks shorter than this compress faster with chains, because clearing the table for groups takes longer.
const MIN_FOR_GROUPS: usize = 512;

/// A deflate block may end at multiples of this many tokens: larger parts take less time, smaller ones less space.
const GROUPS_PART: usize = 4096;
const CHAINS_PART: usize = 1024;

thread_local! {
    static GROUPS: RefCell<Option<Groups>> = const { RefCell::new(None) };
    static CHAINS: RefCell<Option<Chained>> = const { RefCell::new(None) };
}

/// Working memory for compressing with chains. Nothing in it outlives a block.
struct Chained {
    chains: Chains,
    tokens: Box<[u32; TOKENS_OF_A_WINDOW]>,
}

/// Appends `block` to `out` as a zlib stream; after an error `out` may end with a part of it.
pub(crate) fn compress(block: &[u8], level: u32, out: &mut Vec<u8>) -> Result<()> {
    append_stream(block, out, |writer| match effort_of(level, block.len()) {
        None => made(&GROUPS, Groups::new, |groups| groups.compress(block, writer)),
        Some(effort) => {
            let make = || Ok(Chained { chains: Chains::new()?, tokens: zeros()? });
            made(&CHAINS, make, |chained| chained.compress(block, effort, writer))
        }
    })
}

/// Appends a block of rows of length `row` to `out` as a zlib stream, copying bytes only from the previous row.
pub(crate) fn compress_rows(block: &[u8], row: usize, out: &mut Vec<u8>) -> Result<()> {
    append_stream(block, out, |writer| {
        writer.write_blocks(block, &rows::tokenize(block, row)?, true, CHAINS_PART)
    })
}

/// Appends `block` to `out` as a zlib stream whose deflate blocks `write` writes.
fn append_stream(
    block: &[u8],
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut BitWriter) -> Result<()>,
) -> Result<()> {
    reserve(out, STREAM_HEADER.len(), PURPOSE)?;
    out.extend_from_slice(&STREAM_HEADER);
    let pending = Pending { bits: 0, count: 0, at: 0 };
    let mut writer = BitWriter { out, buffer: [0; BUFFER + WORD], pending };
    write(&mut writer)?;
    writer.align();
    writer.flush();
    reserve(out, size_of::<u32>(), PURPOSE)?;
    out.extend_from_slice(&libdeflater::adler32(block).to_be_bytes());
    Ok(())
}

/// Returns how thoroughly a level searches in chains; `None` for level 1 with blocks that justify the memory
/// for groups.
fn effort_of(level: u32, length: usize) -> Option<Effort> {
    let (depth, nice, threes) = match level {
        ..=1 if length >= MIN_FOR_GROUPS => return None,
        ..=2 => (1, 32, false),
        3 => (2, 32, false),
        4 => (3, 48, false),
        5 => (5, 65, true),
        6 => (6, 65, true),
        7 => (16, 130, true),
        _ => (40, MAX_MATCH_LEN, true),
    };
    Some(Effort { depth, nice, threes })
}

/// Calls `work` with the thread's value in `slot`, which is created on first use.
fn made<T>(
    slot: &'static std::thread::LocalKey<RefCell<Option<T>>>,
    make: impl FnOnce() -> Result<T>,
    work: impl FnOnce(&mut T) -> Result<()>,
) -> Result<()> {
    slot.with_borrow_mut(|slot| match slot {
        Some(value) => work(value),
        none => work(none.insert(make()?)),
    })
}

impl Groups {
    fn compress(&mut self, block: &[u8], writer: &mut BitWriter) -> Result<()> {
        self.clear();
        let (mut from, mut rest) = (0, block);
        loop {
            let (next, later) = rest.split_at(rest.len().min(WINDOW - from));
            let to = from + next.len();
            self.window[from..to].copy_from_slice(next);
            rest = later;
            loop {
                let (end, count) = self.tokenize(from, to);
                let last = end == to && rest.is_empty();
                writer.write_blocks(&self.window[from..end], &self.tokens[..count], last, GROUPS_PART)?;
                from = end;
                if from == to {
                    break;
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
            from = self.slide();
        }
    }
}

impl Chained {
    fn compress(&mut self, block: &[u8], effort: Effort, writer: &mut BitWriter) -> Result<()> {
        let (mut from, mut rest) = (self.chains.clear(), block);
        loop {
            let (next, later) = rest.split_at(rest.len().min(WINDOW - from));
            let to = from + next.len();
            self.chains.window[from..to].copy_from_slice(next);
            rest = later;
            let count = self.chains.tokenize(from, to, effort, &mut *self.tokens);
            writer.write_blocks(next, &self.tokens[..count], rest.is_empty(), CHAINS_PART)?;
            if rest.is_empty() {
                return Ok(());
            }
            from = self.chains.slide();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
