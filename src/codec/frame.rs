//! Blocks and frames: entries packed into a block, deflated into a frame, and inflated again.

use std::cell::RefCell;

use libdeflater::{CompressionError, CompressionLvl, Compressor, DecompressionError, Decompressor};

use crate::codec::deflate;
use crate::codec::level::ZlibLevel;
use crate::codec::noise::is_noise;
use crate::error::{Damage, Error, Result, reserve};
use crate::format::{LENGTH_SIZE, MAX_ENTRY_LEN};

/// Blocks up to this multiple of their frame's length are inflated in one go. Deflate can expand 1000:1, so
/// anything larger is measured first.
const LIKELY_EXPANSION: usize = 8;
/// Blocks up to this length are inflated in one go, whatever the length of their frames.
const SMALL_BLOCK: usize = 1024 * 1024;
/// Initial size of the buffer for inflating, which is sufficient for most blocks.
const SCRATCH_SIZE: usize = 256 * 1024;

thread_local! {
    /// One compressor for each level that the thread has used.
    static COMPRESSORS: RefCell<Vec<(CompressionLvl, Compressor)>> = const { RefCell::new(Vec::new()) };
    static INFLATER: RefCell<Option<(Decompressor, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Compresses `block` into a frame: a length, then one zlib stream. Incompressible data is stored, which
/// takes a tenth of the time of an attempt to compress, and none to inflate.
pub(crate) fn deflate(block: &[u8], level: ZlibLevel) -> Result<Vec<u8>> {
    frame_of(|frame| {
        if is_noise(block) {
            append_stream(block, ZlibLevel::STORED, frame)
        } else if deflate::LEVELS.contains(&level.get()) {
            deflate::compress(block, level.get(), frame)
        } else {
            append_stream(block, level.0, frame)
        }
    })
}

/// Compresses a block of rows of length `row`, each similar to the one before it, into a frame.
pub(crate) fn deflate_rows(block: &[u8], row: usize) -> Result<Vec<u8>> {
    frame_of(|frame| deflate::compress_rows(block, row, frame))
}

/// Makes a frame: a length, followed by the zlib stream that `append` appends.
fn frame_of(append: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    reserve(&mut frame, LENGTH_SIZE, "a compressed block")?;
    frame.resize(LENGTH_SIZE, 0);
    append(&mut frame)?;
    let length = frame.len() - LENGTH_SIZE;
    let prefix = u32::try_from(length).map_err(|_| too_large(length))?;
    frame[..LENGTH_SIZE].copy_from_slice(&prefix.to_be_bytes());
    Ok(frame)
}

/// Appends `block` to `out` as a zlib stream by libdeflate.
fn append_stream(block: &[u8], level: CompressionLvl, out: &mut Vec<u8>) -> Result<()> {
    COMPRESSORS.with_borrow_mut(|compressors| {
        let index = compressors.iter().position(|(made_for, _)| *made_for == level).unwrap_or_else(|| {
            compressors.push((level, Compressor::new(level)));
            compressors.len() - 1
        });
        let compressor = &mut compressors[index].1;
        let (start, bound) = (out.len(), compressor.zlib_compress_bound(block.len()));
        reserve(out, bound, "a compressed block")?;
        out.resize(start + bound, 0);
        let length = compressor
            .zlib_compress(block, &mut out[start..])
            .map_err(|CompressionError::InsufficientSpace| too_large(bound))?;
        out.truncate(start + length);
        Ok(())
    })
}

/// Returns whether a block of `length` bytes could compress to more than a frame can hold.
pub(crate) fn may_not_fit(length: usize) -> bool {
    // Deflate stores incompressible data, at a cost of far less than one byte in a thousand.
    length as u64 > MAX_ENTRY_LEN / 1000 * 999
}

fn too_large(length: usize) -> Error {
    Error::TooLarge { length: length as u64, limit: MAX_ENTRY_LEN }
}

/// Inflates the zlib stream of a frame in a file of blocks of `block_size`, unless it takes more memory
/// than an honest block is likely to.
pub(crate) fn inflate(stream: &[u8], block_size: u32) -> std::result::Result<Box<[u8]>, InflateError> {
    INFLATER.with_borrow_mut(|slot| {
        let (inflater, scratch) = slot.get_or_insert_with(|| (Decompressor::new(), vec![0; SCRATCH_SIZE]));
        match inflater.zlib_decompress(stream, scratch) {
            Ok(length) => Ok(scratch[..length].into()),
            Err(DecompressionError::BadData) => Err(InflateError::broken_stream()),
            Err(DecompressionError::InsufficientSpace) => inflate_large(inflater, stream, block_size),
        }
    })
}

/// Why a frame could not be inflated.
#[derive(Debug)]
pub(crate) enum InflateError {
    Damage(Damage),
    OutOfMemory(u64),
    /// It is longer than the limit for inflating in one go; it may be sound.
    Oversized,
}

impl InflateError {
    pub(crate) fn broken_stream() -> Self {
        Self::Damage(Damage::new("a broken zlib stream", "one that inflates"))
    }
}

/// Inflates a block whose size is not known, in a buffer that doubles up to what an honest block takes.
fn inflate_large(
    inflater: &mut Decompressor,
    stream: &[u8],
    block_size: u32,
) -> std::result::Result<Box<[u8]>, InflateError> {
    let limit = stream.len().saturating_mul(LIKELY_EXPANSION).max(2 * block_size as usize).max(SMALL_BLOCK);
    let mut room = SCRATCH_SIZE;
    let mut block = Vec::new();
    while room < limit {
        room = room.saturating_mul(2).min(limit);
        block.clear();
        if block.try_reserve_exact(room).is_err() {
            return Err(InflateError::OutOfMemory(room as u64));
        }
        block.resize(room, 0);
        match inflater.zlib_decompress(stream, &mut block) {
            Ok(length) => {
                block.truncate(length);
                return Ok(block.into_boxed_slice());
            }
            Err(DecompressionError::BadData) => return Err(InflateError::broken_stream()),
            Err(DecompressionError::InsufficientSpace) => {}
        }
    }
    Err(InflateError::Oversized)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::codec::noise::MIN_NOISE_LEN;
    use crate::format::get_u32;

    #[test]
    fn blocks_of_every_size_survive_the_round_trip() {
        let lengths = [0, 1, 32_768, SCRATCH_SIZE, SCRATCH_SIZE + 1, 5_000_000];
        for length in lengths.into_iter().take(if cfg!(miri) { 2 } else { 6 }) {
            let block: Vec<u8> = (0..length).map(|index| (index * index / 7).to_le_bytes()[0]).collect();
            let frame = deflate(&block, ZlibLevel::default()).unwrap();
            assert_eq!(get_u32(&frame, 0).unwrap() as usize, frame.len() - LENGTH_SIZE);
            assert_eq!(*inflate(&frame[LENGTH_SIZE..], 4_000_000).unwrap(), *block);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_block_that_inflates_to_far_more_than_its_frame_is_not_taken_into_memory() {
        let frame = deflate(&vec![0; 9_000_000], ZlibLevel::default()).unwrap();
        let stream = &frame[LENGTH_SIZE..];
        assert!(matches!(inflate(stream, 32_768), Err(InflateError::Oversized)));
        assert_eq!(inflate(stream, 4_500_000).unwrap().len(), 9_000_000);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn only_what_does_not_compress_is_stored() {
        let mut state = 1_u32;
        let mut noise = |length: usize| -> Vec<u8> {
            let byte = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            };
            (0..length).map(byte).collect()
        };
        let is_stored = |block: &[u8]| deflate(block, ZlibLevel::default()).unwrap().len() > block.len();
        assert!(is_stored(&noise(65_536)));
        assert!(is_stored(&noise(MIN_NOISE_LEN)));
        // An index node in front of a large record makes no difference.
        assert!(is_stored(&[vec![0; 384], noise(65_536)].concat()));
        assert!(!is_stored(&noise(1000).repeat(32)));
        assert!(!is_stored(&noise(7000).repeat(5)));
        assert!(!is_stored(&[noise(16_384), vec![b' '; 16_384]].concat()));
        assert!(!is_stored(&noise(32_768).iter().map(|byte| byte & 127).collect::<Vec<_>>()));
        assert!(is_noise(&noise(32_768)));
    }

    #[test]
    fn a_flipped_bit_in_a_frame_is_noticed() {
        let mut frame = deflate(&[b'x'; 1000], ZlibLevel::default()).unwrap();
        for at in (LENGTH_SIZE..frame.len()).step_by(if cfg!(miri) { 7 } else { 1 }) {
            frame[at] ^= 4;
            if let Ok(block) = inflate(&frame[LENGTH_SIZE..], 4096) {
                // Inflaters ignore some header bits of zlib; the result is right.
                assert_eq!(*block, [b'x'; 1000]);
            }
            frame[at] ^= 4;
        }
        assert!(inflate(&frame[LENGTH_SIZE..frame.len() - 1], 4096).is_err());
        assert!(inflate(&[], 4096).is_err());
    }
}
