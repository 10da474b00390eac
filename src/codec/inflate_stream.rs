//! Inflating in chunks, for blocks that are too large to be inflated in one go.
//!
//! A damaged or malicious frame can inflate to a thousand times its length before the error is detected.
//! Such a block is first measured in little memory, and then only the requested part is kept.

use std::ops::{Deref, Range};
use std::sync::Arc;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZResult, MZStatus};

use crate::codec::frame::InflateError;
use crate::format::entries::{check_entry, entry_outside, node_outside};
use crate::format::{Coordinates, LENGTH_SIZE};

/// Size of the chunks in which discarded data is inflated.
const CHUNK_SIZE: usize = 64 * 1024;

/// Returns the length of the block that `stream` inflates to, after verifying all of it.
pub(crate) fn measure(stream: &[u8]) -> Result<u64, InflateError> {
    let mut inflater = Inflater::new(stream);
    let mut chunk = vec![0; CHUNK_SIZE];
    let mut size = 0;
    loop {
        match inflater.read(&mut chunk)? {
            0 => return Ok(size),
            count => size += count as u64,
        }
    }
}

/// Returns the first `length` bytes of the block that `stream` inflates to.
pub(crate) fn head(stream: &[u8], length: u64) -> Result<Box<[u8]>, InflateError> {
    Inflater::new(stream).take(length)
}

/// Returns at most `length` bytes that `stream` inflates to before any error; they are not verified.
pub(crate) fn start(stream: &[u8], length: u64) -> Result<Box<[u8]>, InflateError> {
    let mut inflater = Inflater::new(stream);
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK_SIZE];
    while (bytes.len() as u64) < length {
        let (count, ended) = inflater.read_some(&mut chunk);
        bytes.try_reserve(count).map_err(|_| InflateError::OutOfMemory(length))?;
        bytes.extend_from_slice(&chunk[..count]);
        if ended {
            break;
        }
    }
    bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(bytes.into_boxed_slice())
}

/// Returns whether a stream can begin with these bytes; most bytes that cannot are rejected quickly.
pub(crate) fn could_begin(bytes: &[u8]) -> bool {
    let mut inflater = Inflater::new(bytes);
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        match inflater.read(&mut chunk) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return inflater.consumed == bytes.len(),
        }
    }
}

/// Returns the bytes of the record or metadata at `offset` of the block, which is `size` bytes long.
pub(crate) fn entry(stream: &[u8], size: u64, offset: u32) -> Result<Box<[u8]>, InflateError> {
    if u64::from(offset) + LENGTH_SIZE as u64 > size {
        return Err(InflateError::Damage(entry_outside(offset, size)));
    }
    let mut inflater = Inflater::new(stream);
    inflater.skip(offset.into())?;
    let mut prefix = [0; LENGTH_SIZE];
    inflater.fill(&mut prefix)?;
    let length = u32::from_be_bytes(prefix);
    check_entry(offset, length, size).map_err(InflateError::Damage)?;
    inflater.take(length.into())
}

/// Returns the bytes of some children of the index node at `offset` of the block, which is `size` bytes long.
pub(crate) fn children(
    stream: &[u8],
    size: u64,
    offset: u32,
    fan_out: u32,
    children: Range<u32>,
) -> Result<Box<[u8]>, InflateError> {
    let bytes = |count: u32| u64::from(count) * Coordinates::SIZE as u64;
    if u64::from(offset) + bytes(fan_out) > size {
        return Err(InflateError::Damage(node_outside(offset, bytes(fan_out), size)));
    }
    let mut inflater = Inflater::new(stream);
    inflater.skip(u64::from(offset) + bytes(children.start))?;
    inflater.take(bytes(children.end - children.start))
}

/// A copy of the compressed bytes of a block.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Vec<u8>>);

impl Stream {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl Deref for Stream {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Sequential access to a block, for reading places in ascending order.
pub(crate) struct Cursor {
    inflater: Inflater<Stream>,
    position: u64,
}

impl Cursor {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { inflater: Inflater::new(stream), position: 0 }
    }

    pub(crate) fn stream(&self) -> Stream {
        self.inflater.stream.clone()
    }

    /// Reads `length` bytes at `offset`; also returns how many bytes were skipped on the way. Reading an
    /// earlier position starts again from the beginning.
    pub(crate) fn read(&mut self, offset: u64, length: u64) -> Result<(Box<[u8]>, u64), InflateError> {
        if offset < self.position {
            *self = Self::new(self.stream());
        }
        let passed = offset - self.position;
        self.inflater.skip(passed)?;
        self.position = offset;
        let bytes = self.inflater.take(length)?;
        self.position += length;
        Ok((bytes, passed + length))
    }
}

/// Inflates a stream from its start.
struct Inflater<S> {
    state: Box<InflateState>,
    stream: S,
    /// Number of bytes of the stream consumed so far.
    consumed: usize,
    ended: bool,
}

impl<S: Deref<Target = [u8]>> Inflater<S> {
    fn new(stream: S) -> Self {
        Self { state: InflateState::new_boxed(DataFormat::Zlib), stream, consumed: 0, ended: false }
    }

    /// Inflates some bytes into `buffer`; returns the numbers of bytes consumed and produced, and the status.
    fn step(&mut self, buffer: &mut [u8]) -> (usize, usize, MZResult) {
        let rest = &self.stream[self.consumed..];
        let step = inflate(&mut self.state, rest, buffer, MZFlush::None);
        self.consumed += step.bytes_consumed;
        (step.bytes_consumed, step.bytes_written, step.status)
    }

    /// Skips `count` bytes.
    fn skip(&mut self, mut count: u64) -> Result<(), InflateError> {
        let mut chunk = vec![0; CHUNK_SIZE];
        while count > 0 {
            let wanted = usize::try_from(count).map_or(CHUNK_SIZE, |count| count.min(CHUNK_SIZE));
            self.fill(&mut chunk[..wanted])?;
            count -= wanted as u64;
        }
        Ok(())
    }

    /// Returns the next `length` bytes.
    fn take(&mut self, length: u64) -> Result<Box<[u8]>, InflateError> {
        let out_of_memory = || InflateError::OutOfMemory(length);
        let count = usize::try_from(length).map_err(|_| out_of_memory())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(|_| out_of_memory())?;
        bytes.resize(count, 0);
        self.fill(&mut bytes)?;
        Ok(bytes.into_boxed_slice())
    }

    /// Fills `buffer` with the next bytes; fails if there are fewer.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), InflateError> {
        if self.read(buffer)? == buffer.len() { Ok(()) } else { Err(InflateError::broken_stream()) }
    }

    /// Fills `buffer` up to the first error in the stream; returns the number of bytes, and whether the
    /// stream ended.
    fn read_some(&mut self, buffer: &mut [u8]) -> (usize, bool) {
        let mut done = 0;
        while done < buffer.len() {
            let (taken, given, status) = self.step(&mut buffer[done..]);
            done += given;
            if !matches!(status, Ok(MZStatus::Ok)) || taken + given == 0 {
                return (done, true);
            }
        }
        (done, false)
    }

    /// Fills `buffer` up to the end of the block; returns the number of bytes.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, InflateError> {
        let mut done = 0;
        while done < buffer.len() && !self.ended {
            let (taken, given, status) = self.step(&mut buffer[done..]);
            done += given;
            match status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                // If it neither consumes nor produces anything, the stream is truncated.
                Ok(MZStatus::Ok) if taken + given > 0 => {}
                _ => return Err(InflateError::broken_stream()),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::codec::frame::deflate;
    use crate::format::LENGTH_SIZE;

    fn sample() -> (Vec<u8>, Vec<u8>) {
        let block: Vec<u8> = (0..300_000_u32).flat_map(|index| (index / 7).to_le_bytes()).collect();
        let frame = deflate(&block, crate::codec::level::ZlibLevel::default()).unwrap();
        (block, frame[LENGTH_SIZE..].to_vec())
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn any_part_of_a_block_is_found() {
        let (block, stream) = sample();
        assert_eq!(measure(&stream).unwrap(), block.len() as u64);
        for (start, length) in [(0, 10), (65_535, 65_537), (1_199_990, 10), (1_200_000, 0)] {
            let mut inflater = Inflater::new(&stream[..]);
            let mut part = vec![0; length];
            inflater.skip(start as u64).unwrap();
            inflater.fill(&mut part).unwrap();
            assert_eq!(part, block[start..start + length]);
        }
        assert!(Inflater::new(&stream[..]).skip(block.len() as u64 + 1).is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_cursor_goes_on_where_it_is_and_back_by_starting_anew() {
        let (block, stream) = sample();
        let mut cursor = Cursor::new(Stream::new(stream));
        for (offset, length, passed) in [(10, 5, 15), (15, 70_000, 70_000), (800_000, 1, 729_986), (3, 9, 12)]
        {
            let (bytes, on_the_way) = cursor.read(offset, length).unwrap();
            let start = usize::try_from(offset).unwrap();
            assert_eq!(*bytes, block[start..start + bytes.len()]);
            assert_eq!((bytes.len() as u64, on_the_way), (length, passed));
        }
        assert!(cursor.read(block.len() as u64, 1).is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn broken_streams_are_noticed() {
        let (_, stream) = sample();
        let mut wrong_sum = stream.clone();
        *wrong_sum.last_mut().unwrap() ^= 1;
        for broken in [&wrong_sum[..], &stream[..stream.len() - 1], &stream[..100], &[], &stream[1..]] {
            assert!(measure(broken).is_err());
        }
    }
}
