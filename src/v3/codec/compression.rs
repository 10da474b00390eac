//! Compression and decompression with each codec.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::codec::level::CompressionLevel;
use crate::error::{Damage, Error, Result, reserve};
use crate::v3::format::{Codec, Reader};

/// A block of Zstandard decompresses to at most this many bytes, one of LZ4 to this many times its length.
const MAX_ZSTD_BLOCK: u64 = 128 << 10;
const MAX_LZ4_RATIO: u64 = 255;
/// A length below this is not checked before decompression.
const SMALL: u64 = 1 << 20;

/// The compression level, which only Zstandard uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(i32);

impl Default for Level {
    fn default() -> Self {
        Self(1)
    }
}

impl Level {
    pub(crate) fn new(level: Option<CompressionLevel>) -> Self {
        level.map_or_else(Self::default, |level| Self(i32::try_from(level.get()).unwrap_or(1)))
    }
}

thread_local! {
    /// The thread's compressor, with the level that it was created for.
    static COMPRESSOR: RefCell<Option<(Level, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses `raw`. Returns the codec that was used: data that does not get smaller is stored uncompressed.
pub(crate) fn compress(raw: Vec<u8>, codec: Codec, level: Level) -> Result<(Codec, Vec<u8>)> {
    let mut out = Vec::new();
    match codec {
        Codec::None => return Ok((Codec::None, raw)),
        Codec::Zstd => {
            reserve(&mut out, zstd::zstd_safe::compress_bound(raw.len()), "a compressed block")?;
            with_compressor(level, |compressor| compressor.compress_to_buffer(&raw, &mut out))?;
        }
        Codec::Lz4 => {
            let bound = lz4_flex::block::get_maximum_output_size(raw.len());
            reserve(&mut out, bound, "a compressed block")?;
            out.resize(bound, 0);
            let length = lz4_flex::block::compress_into(&raw, &mut out).unwrap_or(bound);
            out.truncate(length);
        }
    }
    if out.len() >= raw.len() {
        return Ok((Codec::None, raw));
    }
    out.shrink_to_fit();
    Ok((codec, out))
}

fn with_compressor(
    level: Level,
    work: impl FnOnce(&mut Compressor<'static>) -> std::io::Result<usize>,
) -> Result<usize> {
    let no_memory = |_| Error::OutOfMemory { bytes: 1 << 20, what: "compression" };
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            *slot = Some((level, Compressor::new(level.0).map_err(no_memory)?));
        }
        slot.as_mut().map_or(Ok(0), |(_, compressor)| work(compressor).map_err(no_memory))
    })
}

/// The reason why decompression failed.
#[derive(Debug)]
pub(crate) enum DecompressError {
    Damage(Damage),
    OutOfMemory(u64),
}

/// Decompresses a body, whose decompressed length is `raw`.
pub(crate) fn decompress(
    body: &[u8],
    codec: Codec,
    raw: u64,
) -> std::result::Result<Box<[u8]>, DecompressError> {
    let broken =
        || DecompressError::Damage(Damage::new("a broken compressed block", "one that decompresses"));
    let length = usize::try_from(raw).map_err(|_| DecompressError::OutOfMemory(raw))?;
    if raw > SMALL && most(body, codec).is_none_or(|most| raw > most) {
        return Err(broken());
    }
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| DecompressError::OutOfMemory(raw))?;
    match codec {
        Codec::None => out.extend_from_slice(body),
        Codec::Zstd => {
            DECOMPRESSOR.with_borrow_mut(|slot| {
                let decompressor = match slot {
                    Some(decompressor) => decompressor,
                    None => {
                        slot.insert(Decompressor::new().map_err(|_| DecompressError::OutOfMemory(1 << 17))?)
                    }
                };
                decompressor.decompress_to_buffer(body, &mut out).map_err(|_| broken())
            })?;
        }
        Codec::Lz4 => {
            out.resize(length, 0);
            let done = lz4_flex::block::decompress_into(body, &mut out).map_err(|_| broken())?;
            out.truncate(done);
        }
    }
    if out.len() == length { Ok(out.into_boxed_slice()) } else { Err(broken()) }
}

/// Returns how many bytes a body can decompress to, before memory is allocated for them. Returns `None` if it is invalid.
fn most(body: &[u8], codec: Codec) -> Option<u64> {
    let length = body.len() as u64;
    match codec {
        Codec::None => Some(length),
        Codec::Zstd => most_of_zstd(Reader(body)),
        Codec::Lz4 => Some(length.saturating_mul(MAX_LZ4_RATIO)),
    }
}

/// Adds up the maximum lengths of the blocks in a Zstandard frame (RFC 8878).
fn most_of_zstd(mut reader: Reader<'_>) -> Option<u64> {
    reader.array().filter(|magic| *magic == [0x28, 0xB5, 0x2F, 0xFD])?;
    let descriptor = reader.u8()?;
    let is_single_segment = descriptor & 0x20 != 0;
    let content_size = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        power => 1 << power,
    };
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    reader.bytes(usize::from(!is_single_segment) + dictionary_id + content_size)?;
    let mut most = 0;
    loop {
        let [low, middle, high] = reader.array()?;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let size = header >> 3;
        let (stored, decompressed) = match header >> 1 & 3 {
            0 => (size, size.into()),
            1 => (1, size.into()),
            2 => (size, MAX_ZSTD_BLOCK),
            _ => return None,
        };
        reader.bytes(stored as usize)?;
        most += decompressed;
        if header & 1 == 1 {
            return Some(most);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri runs no C")]
    fn every_codec_gives_back_what_it_was_given_and_stores_what_does_not_shrink() {
        let text = b"some text that comes again and again. ".repeat(100);
        let noise: Vec<u8> =
            (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        for codec in [Codec::None, Codec::Zstd, Codec::Lz4] {
            for raw in [&text[..], &noise[..], b""] {
                let (used, body) = compress(raw.to_vec(), codec, Level::default()).unwrap();
                assert!(body.len() <= raw.len());
                assert_eq!(&*decompress(&body, used, raw.len() as u64).unwrap(), raw);
                assert!(decompress(&body, used, raw.len() as u64 + 1).is_err());
            }
            let (used, body) = compress(text.clone(), codec, Level::default()).unwrap();
            assert_eq!(used, codec);
            assert!(decompress(&body[1..], used, text.len() as u64).is_err());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri runs no C")]
    fn a_length_that_cannot_be_is_refused_before_memory_is_allocated_for_it() {
        for length in [0, 1, 200, 100_000, 200_000, 3 << 20] {
            let mut texts = vec![vec![7; length]];
            texts.push((0_u32..).flat_map(|n| (n / 5).to_le_bytes()).take(length).collect());
            for (raw, codec) in
                texts.iter().flat_map(|raw| [Codec::Zstd, Codec::Lz4].map(|codec| (raw, codec)))
            {
                let (used, body) = compress(raw.clone(), codec, Level::default()).unwrap();
                let most = most(&body, used).unwrap();
                assert!((length as u64..).contains(&most), "{most} for {length}");
                assert_eq!(*decompress(&body, used, length as u64).unwrap(), **raw);
                // No machine has as much memory.
                let refused = decompress(&body, used, 1 << 60);
                assert!(matches!(refused, Err(DecompressError::Damage(_))), "{used:?}");
            }
        }
    }
}
