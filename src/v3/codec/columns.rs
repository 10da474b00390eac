//! A block of records as columns (lengths, commits, bytes), and a decoded block with access to each record.

use std::ops::Range;
use std::sync::Arc;

use super::compression::{DecompressError, decompress};
use crate::error::{Damage, reserve};
use crate::read::block::Block;
use crate::read::record::Record;
use crate::read::record_run::RecordRun;
use crate::read::validity::Validity;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::format::{Header, Reader, put_u32, put_varint};

/// Bytes that each record counts in the size of a block, in addition to its length.
pub(crate) const RECORD_OVERHEAD: u64 = 4;
/// Maximum size of a commit in a block.
const MAX_COMMIT_LEN: u64 = 18;

/// The columns of a block that is being built.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    lengths: Vec<u32>,
    commits: Vec<(u64, u64)>,
    bytes: Vec<u8>,
}

/// The uncompressed body of a block, with the fields that its header needs.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) raw: Vec<u8>,
    pub(crate) width: u8,
    pub(crate) count: u32,
    pub(crate) commits: u32,
    pub(crate) times: (u64, u64),
}

impl Columns {
    /// Reserves memory for this many bytes of records.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> crate::error::Result<()> {
        crate::error::reserve(&mut self.bytes, bytes, "a block of records")
    }

    /// Adds records of one commit, which are stored one after the other in `bytes`.
    pub(crate) fn add(&mut self, bytes: &[u8], lengths: impl Iterator<Item = u32>, time: u64) {
        let before = self.lengths.len();
        self.lengths.extend(lengths);
        let records = (self.lengths.len() - before) as u64;
        self.bytes.extend_from_slice(bytes);
        match self.commits.last_mut() {
            Some((count, last)) if *last == time => *count += records,
            _ => self.commits.push((records, time)),
        }
    }

    /// Concatenates the columns.
    pub(crate) fn finish(self) -> Body {
        let longest = self.lengths.iter().copied().max().unwrap_or_default();
        let even = self.lengths.iter().all(|length| *length == longest);
        let width = match longest {
            _ if even => 0,
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            _ => 4,
        };
        let mut raw =
            Vec::with_capacity(self.bytes.len() + 4 * self.lengths.len() + 8 + 12 * self.commits.len());
        if even {
            put_u32(&mut raw, longest);
        } else {
            let skipped = 4 - usize::from(width);
            self.lengths.iter().for_each(|length| raw.extend_from_slice(&length.to_be_bytes()[skipped..]));
        }
        let first = self.commits.first().map_or(0, |(_, time)| *time);
        let mut last = first;
        for (count, time) in &self.commits {
            put_varint(&mut raw, *count);
            put_varint(&mut raw, time - std::mem::replace(&mut last, *time));
        }
        raw.extend_from_slice(&self.bytes);
        let small = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (count, commits) = (small(self.lengths.len()), small(self.commits.len()));
        Body { raw, width, count, commits, times: (first, last) }
    }
}

/// Where records end.
#[derive(Debug)]
enum Ends {
    /// All are equally long.
    Even(usize),
    /// Relative to the start of the first record.
    Listed(Box<[u32]>),
}

/// A block of records in memory.
#[derive(Debug)]
pub(crate) struct RecordBlock {
    /// The decompressed body.
    body: Arc<Block>,
    /// Where the first record begins in it.
    start: usize,
    ends: Ends,
    count: u32,
    /// For each commit, the number of records up to its end, and its time.
    commits: Box<[(u32, u64)]>,
}

/// Returns the damage of a frame with unexpected content.
fn wrong(found: &str, expected: &str) -> DecompressError {
    DecompressError::Damage(Damage::new(found, expected))
}

impl RecordBlock {
    /// Decodes the body of a frame of records.
    pub(crate) fn decode(frame: &FrameHeader, body: &[u8], header: &Header) -> Result<Self, DecompressError> {
        check_bounds(frame, header)?;
        let body = decompress(body, frame.codec, frame.raw)?;
        let damage = || wrong("a block whose columns do not fit together", "lengths, commits and records");
        let mut reader = Reader(&body);
        let lengths_length =
            if frame.width == 0 { 4 } else { usize::from(frame.width) * frame.count as usize };
        let lengths = reader.bytes(lengths_length).ok_or_else(damage)?;
        let commits = decode_commits(&mut reader, frame).ok_or_else(damage)?;
        let bytes = reader.0.len();
        let ends = decode_ends(lengths, frame, bytes).ok_or_else(damage)?;
        let start = body.len() - bytes;
        let body = Arc::new(Block::whole(body, Validity::Always));
        Ok(Self { start, count: frame.count, body, ends, commits })
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Returns its size in memory.
    pub(crate) fn size(&self) -> u64 {
        let listed = match &self.ends {
            Ends::Even(_) => 0,
            Ends::Listed(ends) => 4 * ends.len(),
        };
        (self.body.bytes.len() + listed + 16 * self.commits.len()) as u64
    }

    fn end_of(&self, index: u32) -> usize {
        self.start
            + match &self.ends {
                Ends::Even(length) => length * (index as usize + 1),
                Ends::Listed(ends) => ends.get(index as usize).map_or(0, |end| *end as usize),
            }
    }

    /// Returns the range of the record with this index in the block.
    #[inline]
    pub(crate) fn range(&self, index: u32) -> Range<usize> {
        let start = if index == 0 { self.start } else { self.end_of(index - 1) };
        start..self.end_of(index)
    }

    /// Returns all bytes; [`range`](Self::range) returns the place of a record in them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Returns the record with this index in the block.
    #[inline]
    pub(crate) fn record(&self, index: u32) -> Record {
        Record::new(Arc::clone(&self.body), self.range(index))
    }

    /// Returns some records as they are in the block.
    pub(crate) fn run(&self, records: Range<u32>) -> crate::error::Result<RecordRun> {
        let start = if records.start == 0 { self.start } else { self.end_of(records.start - 1) };
        let mut ends = Vec::new();
        reserve(&mut ends, records.len(), "where records end")?;
        // The size of a block fits in 32 bits.
        ends.extend(records.map(|index| u32::try_from(self.end_of(index) - start).unwrap_or(u32::MAX)));
        let end = start + ends.last().map_or(0, |end| *end as usize);
        Ok(RecordRun::new(Arc::clone(&self.body), start..end, ends))
    }

    /// Returns the time at which a record was committed.
    pub(crate) fn time(&self, index: u32) -> u64 {
        let at = self.commits.partition_point(|(records, _)| *records <= index);
        self.commits.get(at).map_or(0, |(_, time)| *time)
    }

    /// Returns the first record that was committed at or after `time`, if there is one.
    pub(crate) fn index_at(&self, time: u64) -> Option<u32> {
        let at = self.commits.partition_point(|(_, committed)| *committed < time);
        let before = if at == 0 { 0 } else { self.commits[at - 1].0 };
        (at < self.commits.len()).then_some(before)
    }
}

/// Checks that a frame is not larger than writers create them, before memory is allocated for it.
fn check_bounds(frame: &FrameHeader, header: &Header) -> Result<(), DecompressError> {
    let (count, commits) = (u64::from(frame.count), u64::from(frame.commits));
    let bytes = if count == 1 { u64::from(u32::MAX) } else { u64::from(header.block) };
    let sound = frame.kind == Kind::Records
        && (1..=count).contains(&commits)
        && (count == 1 || count * RECORD_OVERHEAD <= bytes)
        && frame.raw <= bytes + MAX_COMMIT_LEN * commits + 4;
    if sound {
        Ok(())
    } else {
        Err(wrong("a frame with more data than a block can hold", "a block of records"))
    }
}

fn decode_commits(reader: &mut Reader<'_>, frame: &FrameHeader) -> Option<Box<[(u32, u64)]>> {
    let (mut records, mut time) = (0_u32, frame.times.0);
    let mut commits = Vec::with_capacity(frame.commits as usize);
    for index in 0..frame.commits {
        let more = u32::try_from(reader.varint()?).ok().filter(|more| *more > 0)?;
        records = records.checked_add(more)?;
        let passed = reader.varint()?;
        time = time.checked_add(passed).filter(|_| (passed > 0) == (index > 0))?;
        commits.push((records, time));
    }
    (records == frame.count && time == frame.times.1).then(|| commits.into_boxed_slice())
}

fn decode_ends(lengths: &[u8], frame: &FrameHeader, bytes: usize) -> Option<Ends> {
    let count = frame.count as usize;
    if frame.width == 0 {
        let length = Reader(lengths).u32()? as usize;
        return (length.checked_mul(count)? == bytes).then_some(Ends::Even(length));
    }
    let mut end = 0_u32;
    let mut sound = true;
    let mut ends = Vec::with_capacity(count);
    let mut add = |length: u32| {
        let (sum, overflows) = end.overflowing_add(length);
        sound &= !overflows;
        end = sum;
        ends.push(sum);
    };
    match frame.width {
        1 => lengths.iter().for_each(|length| add(u32::from(*length))),
        2 => lengths.as_chunks().0.iter().for_each(|length| add(u32::from(u16::from_be_bytes(*length)))),
        _ => lengths.as_chunks().0.iter().for_each(|length| add(u32::from_be_bytes(*length))),
    }
    (sound && end as usize == bytes).then(|| Ends::Listed(ends.into_boxed_slice()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::v3::codec::{Level, compress};
    use crate::v3::format::Codec;

    fn round_trip(commits: &[(&[&[u8]], u64)]) -> RecordBlock {
        let mut columns = Columns::default();
        for (records, time) in commits {
            columns.add(
                &records.concat(),
                records.iter().map(|record| record.len().try_into().unwrap()),
                *time,
            );
        }
        let body = columns.finish();
        let raw = body.raw.len() as u64;
        let (codec, bytes) = compress(body.raw, Codec::Zstd, Level::default()).unwrap();
        let frame = FrameHeader {
            kind: Kind::Records,
            codec,
            width: body.width,
            position: 0,
            first: 1,
            count: body.count,
            commits: body.commits,
            body: bytes.len() as u64,
            raw,
            times: body.times,
            body_sum: 0,
        };
        RecordBlock::decode(&frame, &bytes, &Header::new(codec, [0; 16], 0)).unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri runs no C")]
    fn records_of_every_width_come_back_with_their_times() {
        let long = vec![7; 70_000];
        let middle = vec![6; 300];
        for longest in [&b"abc"[..], &middle, &long] {
            let first = [&b"one"[..], b"", longest];
            let block = round_trip(&[(&first, 5), (&[b"two"], 9)]);
            let all: Vec<_> = (0..block.count()).map(|index| &block.bytes()[block.range(index)]).collect();
            assert_eq!(all, [&b"one"[..], b"", longest, b"two"]);
            assert_eq!((0..4).map(|index| block.time(index)).collect::<Vec<_>>(), [5, 5, 5, 9]);
            assert_eq!(
                [0, 5, 6, 9, 10].map(|time| block.index_at(time)),
                [Some(0), Some(0), Some(3), Some(3), None]
            );
        }
        let even = round_trip(&[(&[b"ab", b"cd", b"ef"], 1)]);
        assert_eq!(&even.bytes()[even.range(1)], b"cd");
        assert_eq!(round_trip(&[(&[b"", b""], 1)]).range(1).len(), 0);
    }
}
