//! What the crate `capturefile` uses of libdeflater, without C, which Miri cannot run.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLvl(i32);

impl CompressionLvl {
    pub const fn new(level: i32) -> Result<Self, ()> {
        if 0 <= level && level <= 12 { Ok(Self(level)) } else { Err(()) }
    }

    pub const fn fastest() -> Self {
        Self(0)
    }
}

impl Default for CompressionLvl {
    fn default() -> Self {
        Self(6)
    }
}

impl From<CompressionLvl> for i32 {
    fn from(level: CompressionLvl) -> Self {
        level.0
    }
}

#[derive(Debug)]
pub enum CompressionError {
    InsufficientSpace,
}

pub struct Compressor(u8);

impl Compressor {
    pub fn new(level: CompressionLvl) -> Self {
        Self(level.0.clamp(0, 10) as u8)
    }

    pub fn zlib_compress_bound(&mut self, length: usize) -> usize {
        length + length / 1000 + 1000
    }

    pub fn zlib_compress(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, CompressionError> {
        let stream = compress_to_vec_zlib(input, self.0);
        let place = output.get_mut(..stream.len()).ok_or(CompressionError::InsufficientSpace)?;
        place.copy_from_slice(&stream);
        Ok(stream.len())
    }
}

#[derive(Debug)]
pub enum DecompressionError {
    BadData,
    InsufficientSpace,
}

#[derive(Default)]
pub struct Decompressor;

impl Decompressor {
    pub fn new() -> Self {
        Self
    }

    pub fn zlib_decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, DecompressionError> {
        let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        match decompress(&mut DecompressorOxide::new(), input, output, 0, flags) {
            (TINFLStatus::Done, _, length) => Ok(length),
            (TINFLStatus::HasMoreOutput, ..) => Err(DecompressionError::InsufficientSpace),
            _ => Err(DecompressionError::BadData),
        }
    }
}

pub fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

pub fn crc32(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

pub struct Crc(u32);

impl Crc {
    pub const fn new() -> Self {
        Self(0)
    }

    pub fn update(&mut self, data: &[u8]) {
        self.0 = !data
            .iter()
            .fold(!self.0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ crc >> 8);
    }

    pub const fn sum(&self) -> u32 {
        self.0
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ crc >> 1 } else { crc >> 1 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};
