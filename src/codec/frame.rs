//! Blocks and frames: entries packed into a block, deflated into a frame, and inflated again.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use libdeflater::{CompressionError, CompressionLvl, Compressor, DecompressionError, Decompressor};

use crate::codec::deflate;
use crate::error::{Damage, Error, Result, reserve};
use crate::format::{Coordinates, LENGTH_SIZE, LONGEST_ENTRY, get_u32};
use crate::sync::pipeline::Task;

/// A block is inflated on trust up to so many times the length of its frame, though deflate can make a
/// thousand bytes out of one.
const LIKELY_EXPANSION: usize = 8;
/// A block of this length is inflated whatever the length of its frame.
const SMALL_BLOCK: usize = 1024 * 1024;
/// Inflating starts with this much room, which holds most blocks whole.
const SCRATCH_SIZE: usize = 256 * 1024;

/// Shorter blocks are compressed whatever they hold.
const SMALLEST_NOISE: usize = 4096;
/// So many samples of a block show whether all bytes are as frequent.
const SAMPLES: usize = 16;
const BYTES_OF_A_SAMPLE: usize = 64;
/// The squares of the counts of 1024 random bytes come to 5116 together, in all likelihood to less than this;
/// bytes of which each holds half a bit less information come to more.
const MOST_EVEN: u32 = 6000;
/// So much of what looks like noise is searched for parts that come again.
const PROBE: usize = 8192;
/// A part that comes again is looked for at each position of this many.
const STRIDE: usize = 8;
/// With more positions than one in so many at which one begins, it is worth compressing.
const POSITIONS_OF_NOISE: usize = 100;
const HASH_BITS: u32 = 12;
/// 2^64 divided by the golden ratio, which spreads what it multiplies over the upper bits.
const HASH_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// How hard blocks are compressed: 1 is fastest, 12 makes the smallest files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompressionLevel(CompressionLvl);

impl CompressionLevel {
    /// The one that has an encoder of its own.
    const FASTEST: i32 = 1;
    /// No compression.
    const STORED: CompressionLvl = CompressionLvl::fastest();

    /// The level from 1 to 12.
    pub fn new(level: u32) -> Result<Self> {
        i32::try_from(level)
            .ok()
            .filter(|level| *level >= 1)
            .and_then(|level| CompressionLvl::new(level).ok())
            .map(Self)
            .ok_or(Error::Setting {
                name: "compression_level",
                got: level.to_string(),
                expected: "it must be from 1, the fastest, to 12, the smallest",
            })
    }

    /// The level as a number.
    pub fn number(self) -> i32 {
        self.0.into()
    }
}

thread_local! {
    /// One for each level that was used, which are few.
    static COMPRESSORS: RefCell<Vec<(CompressionLvl, Compressor)>> = const { RefCell::new(Vec::new()) };
    static INFLATER: RefCell<Option<(Decompressor, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Appends a record or metadata, with its length before it.
pub(crate) fn push_entry(block: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    let length = u32::try_from(entry.len())
        .map_err(|_| Error::TooLarge { length: entry.len() as u64, limit: LONGEST_ENTRY })?;
    reserve(block, LENGTH_SIZE + entry.len(), "a record")?;
    block.extend_from_slice(&length.to_be_bytes());
    block.extend_from_slice(entry);
    Ok(())
}

/// Appends an index node, which has no length: its fan-out gives it.
pub(crate) fn push_node(block: &mut Vec<u8>, children: &[Coordinates]) {
    for child in children {
        child.encode(block);
    }
}

/// Where in `block` the entry at `offset` has its bytes.
pub(crate) fn entry_range(block: &[u8], offset: u32) -> std::result::Result<std::ops::Range<usize>, Damage> {
    let size = block.len() as u64;
    let length = get_u32(block, offset as usize).ok_or_else(|| entry_outside(offset, size))?;
    check_entry(offset, length, size)?;
    let start = offset as usize + LENGTH_SIZE;
    Ok(start..start + length as usize)
}

/// Checks that an entry of `length` bytes ends inside its block of `size` bytes.
pub(crate) fn check_entry(offset: u32, length: u32, size: u64) -> std::result::Result<(), Damage> {
    if u64::from(offset) + LENGTH_SIZE as u64 + u64::from(length) <= size {
        return Ok(());
    }
    Err(Damage::new(
        format!("an entry of {length} bytes at offset {offset} of a block of {size} bytes"),
        "an entry that ends inside its block",
    ))
}

/// The damage of an entry whose length is not in its block of `size` bytes.
pub(crate) fn entry_outside(offset: u32, size: u64) -> Damage {
    Damage::new(
        format!("an entry at offset {offset} of a block of {size} bytes"),
        "an offset inside the block",
    )
}

/// The damage of an index node of `length` bytes that does not end inside its block of `size` bytes.
pub(crate) fn node_outside(offset: u32, length: u64, size: u64) -> Damage {
    Damage::new(
        format!("an index node at offset {offset} of a block of {size} bytes"),
        format!("{length} bytes from there"),
    )
}

/// Decodes the index node at `offset` of `block`.
pub(crate) fn node_at(
    block: &[u8],
    offset: u32,
    fan_out: u32,
) -> std::result::Result<Vec<Coordinates>, Damage> {
    children_at(block, offset, fan_out, 0..fan_out)
}

/// Decodes some children of the index node at `offset` of `block`, all of which must be in the block.
pub(crate) fn children_at(
    block: &[u8],
    offset: u32,
    fan_out: u32,
    children: Range<u32>,
) -> std::result::Result<Vec<Coordinates>, Damage> {
    let length = u64::from(fan_out) * Coordinates::SIZE as u64;
    let outside = || node_outside(offset, length, block.len() as u64);
    let node = block.get(offset as usize..).filter(|rest| rest.len() as u64 >= length).ok_or_else(outside)?;
    let place = |index: u32| index as usize * Coordinates::SIZE;
    let bytes = node.get(place(children.start)..place(children.end)).ok_or_else(outside)?;
    // Each chunk is long enough to be decoded, and a length known beforehand takes the memory once.
    let children = bytes.chunks_exact(Coordinates::SIZE);
    Ok(children.map(|child| Coordinates::decode(child, 0).unwrap_or_default()).collect())
}

/// A closed block on its way to the file.
pub(crate) struct ClosedBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) level: CompressionLevel,
}

impl Task for ClosedBlock {
    /// The frame.
    type Outcome = Arc<Vec<u8>>;

    fn run(&self) -> Result<Self::Outcome> {
        deflate(&self.bytes, self.level).map(Arc::new)
    }
}

/// Compresses `block` into a frame: a length, then one zlib stream. What does not compress is stored as it
/// is, which takes a tenth of the time of trying, and to inflate none.
pub(crate) fn deflate(block: &[u8], level: CompressionLevel) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    reserve(&mut frame, LENGTH_SIZE, "a compressed block")?;
    frame.resize(LENGTH_SIZE, 0);
    if is_noise(block) {
        append_stream(block, CompressionLevel::STORED, &mut frame)?;
    } else if level.number() == CompressionLevel::FASTEST {
        deflate::compress(block, &mut frame)?;
    } else {
        append_stream(block, level.0, &mut frame)?;
    }
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

/// Whether compressing would save nothing: all bytes are about as frequent in samples from all over the
/// block, and hardly anything in its middle stands there twice.
fn is_noise(block: &[u8]) -> bool {
    if block.len() < SMALLEST_NOISE {
        return false;
    }
    let mut counts = [0_u32; 256];
    for part in block.chunks_exact(block.len() / SAMPLES) {
        // An index node, which is no noise, may stand where the first part begins.
        for &byte in &part[part.len() / 2..][..BYTES_OF_A_SAMPLE] {
            counts[usize::from(byte)] += 1;
        }
    }
    if counts.iter().map(|count| count * count).sum::<u32>() > MOST_EVEN {
        return false;
    }
    let length = block.len().min(PROBE);
    repeats(&block[(block.len() - length) / 2..][..length]) * POSITIONS_OF_NOISE <= length / STRIDE
}

/// At how many of the positions that are looked at there are eight bytes that stood earlier in `bytes`, too.
fn repeats(bytes: &[u8]) -> usize {
    let mut seen = [0; 1 << HASH_BITS];
    let mut found = 0;
    for (at, word) in bytes.windows(size_of::<u64>()).enumerate() {
        let word = word.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        // The upper half tells words apart well enough; its upper bits say where a word is noted.
        let hash = word.wrapping_mul(HASH_FACTOR) >> u32::BITS;
        let hash = u32::try_from(hash).unwrap_or_default();
        let last = &mut seen[(hash >> (u32::BITS - HASH_BITS)) as usize];
        found += usize::from(at % STRIDE == 0 && *last == hash);
        *last = hash;
    }
    found
}

/// Whether a block of `length` bytes could compress to more than a frame can hold.
pub(crate) fn may_not_fit(length: usize) -> bool {
    // Deflate stores what it cannot compress, at a cost of far less than one byte in a thousand.
    length as u64 > LONGEST_ENTRY / 1000 * 999
}

fn too_large(length: usize) -> Error {
    Error::TooLarge { length: length as u64, limit: LONGEST_ENTRY }
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

/// Why a frame did not inflate.
#[derive(Debug)]
pub(crate) enum InflateError {
    Damage(Damage),
    OutOfMemory(u64),
    /// It is longer than it may be without a closer look; it may be sound.
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

    #[test]
    fn blocks_of_every_size_survive_the_round_trip() {
        for length in [0, 1, 32_768, SCRATCH_SIZE, SCRATCH_SIZE + 1, 5_000_000] {
            let block: Vec<u8> = (0..length).map(|index| (index * index / 7).to_le_bytes()[0]).collect();
            let frame = deflate(&block, CompressionLevel::default()).unwrap();
            assert_eq!(get_u32(&frame, 0).unwrap() as usize, frame.len() - LENGTH_SIZE);
            assert_eq!(*inflate(&frame[LENGTH_SIZE..], 4_000_000).unwrap(), *block);
        }
    }

    #[test]
    fn a_block_that_inflates_to_far_more_than_its_frame_is_not_taken_into_memory() {
        let frame = deflate(&vec![0; 9_000_000], CompressionLevel::default()).unwrap();
        let stream = &frame[LENGTH_SIZE..];
        assert!(matches!(inflate(stream, 32_768), Err(InflateError::Oversized)));
        assert_eq!(inflate(stream, 4_500_000).unwrap().len(), 9_000_000);
    }

    #[test]
    fn only_what_does_not_compress_is_stored() {
        let mut state = 1_u32;
        let mut noise = |length: usize| -> Vec<u8> {
            let byte = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            };
            (0..length).map(byte).collect()
        };
        let is_stored =
            |block: &[u8]| deflate(block, CompressionLevel::default()).unwrap().len() > block.len();
        assert!(is_stored(&noise(65_536)));
        assert!(is_stored(&noise(SMALLEST_NOISE)));
        // What an index node puts in front of a large record changes nothing.
        assert!(is_stored(&[vec![0; 384], noise(65_536)].concat()));
        assert!(!is_stored(&noise(1000).repeat(32)));
        assert!(!is_stored(&noise(7000).repeat(5)));
        assert!(!is_stored(&[noise(16_384), vec![b' '; 16_384]].concat()));
        assert!(!is_stored(&noise(32_768).iter().map(|byte| byte & 127).collect::<Vec<_>>()));
        assert!(is_noise(&noise(32_768)));
    }

    #[test]
    fn a_flipped_bit_in_a_frame_is_noticed() {
        let mut frame = deflate(&[b'x'; 1000], CompressionLevel::default()).unwrap();
        for at in LENGTH_SIZE..frame.len() {
            frame[at] ^= 4;
            if let Ok(block) = inflate(&frame[LENGTH_SIZE..], 4096) {
                // Some header bits of zlib mean nothing to an inflater; what comes out is right.
                assert_eq!(*block, [b'x'; 1000]);
            }
            frame[at] ^= 4;
        }
        assert!(inflate(&frame[LENGTH_SIZE..frame.len() - 1], 4096).is_err());
        assert!(inflate(&[], 4096).is_err());
    }

    #[test]
    fn entries_that_leave_their_block_are_refused() {
        let mut block = Vec::new();
        push_entry(&mut block, b"abc").unwrap();
        assert_eq!(entry_range(&block, 0), Ok(4..7));
        assert!(entry_range(&block, 1).is_err());
        assert!(entry_range(&block, 4).is_err());
        assert!(entry_range(&block, u32::MAX).is_err());
        assert!(node_at(&block, 0, 1).is_err());
        assert!(node_at(&[0; 24], 0, 2).is_ok());
        assert!(node_at(&[0; 24], 1, 2).is_err());
    }

    #[test]
    fn levels_outside_the_range_are_refused() {
        assert!(CompressionLevel::new(0).is_err());
        assert!(CompressionLevel::new(1).is_ok());
        assert!(CompressionLevel::new(12).is_ok());
        assert!(CompressionLevel::new(13).is_err());
    }
}
