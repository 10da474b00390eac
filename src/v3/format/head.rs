//! A head: a checkpoint, with the extent of the frames and the start of the log.

use super::index::Path;
use super::{Header, NUMBER_LIMIT, Reader, checksum, put_u32, put_u64};
use crate::error::Damage;

/// The frames of a file, as described by a head and by the base of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameArea {
    /// The position of the next frame.
    pub(crate) limit: u64,
    /// The frame of the metadata before the first entry of the log; 0 if there is none.
    pub(crate) metadata: u64,
    /// The rightmost path of the index.
    pub(crate) path: Path,
}

impl FrameArea {
    pub(crate) fn none(header: &Header) -> Self {
        Self { limit: header.data_start(), metadata: 0, path: Path::default() }
    }

    /// Returns the number of records in frames.
    pub(crate) fn count(&self) -> u64 {
        self.path.records()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.limit);
        put_u64(out, self.count());
        put_u64(out, self.metadata);
        out.extend_from_slice(&self.path.encode());
    }

    /// Decodes the result of [`encode`](Self::encode). Returns `None` if the bytes are invalid.
    pub(crate) fn decode(bytes: &[u8], header: &Header) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (limit, count, metadata) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let path = Path::decode(reader.0, header.fan_out, header.data_start(), limit)?;
        let metadata_inside = metadata == 0 || (header.data_start()..limit).contains(&metadata);
        let sound = (header.data_start()..NUMBER_LIMIT).contains(&limit) && metadata_inside;
        (sound && path.records() == count).then_some(Self { limit, metadata, path })
    }
}

/// One of the two heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Even in slot A, odd in slot B; the head with the greater one is newer.
    pub(crate) serial: u64,
    /// Position of the first entry that readers need.
    pub(crate) begin: u64,
    /// The checksum of the previous entry.
    pub(crate) seed: u64,
    /// The position up to which the log was on the disk when this was written.
    pub(crate) sure: u64,
    /// The time of the latest commit.
    pub(crate) time: u64,
    pub(crate) frames: FrameArea,
}

/// The reason why a head is invalid.
#[derive(Debug)]
pub(crate) struct BadHead {
    pub(crate) damage: Damage,
    /// Whether the checksum is correct, so that these bytes were written as they are.
    pub(crate) whole: bool,
}

impl Head {
    /// Length of the fields before the frames.
    pub(crate) const FIXED_SIZE: usize = 48 + Header::FIELDS_SIZE + 4;

    /// Returns whether the index of these frames fits into a head.
    pub(crate) fn fits(frames: &FrameArea, header: &Header) -> bool {
        Self::FIXED_SIZE + 24 + frames.path.encode().len() <= header.page as usize
    }

    /// Encodes the head as a page.
    pub(crate) fn encode(&self, header: &Header) -> Vec<u8> {
        let mut out = Vec::with_capacity(header.page as usize);
        put_u64(&mut out, 0);
        put_u64(&mut out, self.serial);
        put_u64(&mut out, self.begin);
        put_u64(&mut out, self.seed);
        put_u64(&mut out, self.sure);
        put_u64(&mut out, self.time);
        header.encode_fields(&mut out);
        let mut frames = Vec::new();
        self.frames.encode(&mut frames);
        put_u32(&mut out, u32::try_from(frames.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(&frames);
        out.resize(header.page as usize, 0);
        let sum = checksum(&out[8..], header.seed());
        out[..8].copy_from_slice(&sum.to_be_bytes());
        out
    }

    /// Returns the part of the file's header that heads repeat.
    pub(crate) fn header_in(page: &[u8]) -> Option<Header> {
        let start = Self::FIXED_SIZE - Header::FIELDS_SIZE - 4;
        Header::decode_fields(page.get(start..start + Header::FIELDS_SIZE)?)
    }

    /// Decodes the page of slot A, if `slot` is 0, or B.
    pub(crate) fn decode(page: &[u8], slot: u64, header: &Header) -> Result<Self, BadHead> {
        let at = header.head_position(slot);
        let bad = |whole, found: &str, expected: &str| BadHead {
            damage: Damage::new(found, expected).at(at),
            whole,
        };
        let mut reader = Reader(page);
        let sum = reader.u64();
        if page.len() != header.page as usize || sum != Some(checksum(reader.0, header.seed())) {
            return Err(bad(false, "a head with a wrong checksum", "the one of the rest of its page"));
        }
        let head = Self::decode_fields(reader, header);
        let head =
            head.ok_or_else(|| bad(true, "a head with impossible numbers", "numbers within bounds"))?;
        if head.serial % 2 != slot {
            return Err(bad(true, "a head of the other slot", "even serial numbers in A, odd ones in B"));
        }
        Ok(head)
    }

    fn decode_fields(mut reader: Reader<'_>, header: &Header) -> Option<Self> {
        let (serial, begin, seed) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (sure, time) = (reader.u64()?, reader.u64()?);
        let same = Header::decode_fields(reader.bytes(Header::FIELDS_SIZE)?)? == *header;
        let length = reader.u32()? as usize;
        let frames = FrameArea::decode(reader.bytes(length)?, header)?;
        let sound = serial < NUMBER_LIMIT && time < NUMBER_LIMIT && begin.is_multiple_of(8);
        let log = header.first_position()..NUMBER_LIMIT;
        let in_log = log.contains(&begin) && (begin..=begin + u64::from(header.log)).contains(&sure);
        let rises = frames.path.time() <= time;
        (same && sound && in_log && rises).then_some(Self { serial, begin, seed, sure, time, frames })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::v3::format::Codec;
    use crate::v3::format::index::Child;

    fn head(header: &Header) -> Head {
        let mut frames = FrameArea::none(header);
        frames.limit += 500;
        let child = Child { position: header.data_start() + 80, length: 420, records: 9, time: 5, sum: 1 };
        frames.path.add(1, child, header.fan_out);
        frames.metadata = header.data_start();
        let begin = header.first_position() + 80;
        Head { serial: 7, begin, seed: 3, sure: begin + 8, time: 5, frames }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn heads_come_back_and_no_flipped_bit_is_taken_for_one() {
        let header = Header::new(Codec::Zstd, [9; 16], 1);
        let head = head(&header);
        let page = head.encode(&header);
        assert_eq!(Head::decode(&page, 1, &header).unwrap(), head);
        assert!(Head::decode(&page, 0, &header).unwrap_err().whole);
        for bit in (0..8 * page.len()).step_by(13) {
            let mut flipped = page.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!Head::decode(&flipped, 1, &header).unwrap_err().whole);
        }
        assert!(Head::decode(&page, 1, &Header { identity: [8; 16], ..header }).is_err());
    }

    #[test]
    fn right_checksums_over_numbers_that_cannot_be_are_refused() {
        let header = Header::new(Codec::Zstd, [9; 16], 1);
        let sound = head(&header);
        let frames = |change: fn(&mut FrameArea)| {
            let mut frames = sound.frames.clone();
            change(&mut frames);
            frames
        };
        for wrong in [
            Head { serial: NUMBER_LIMIT + 1, ..sound.clone() },
            Head { begin: 0, ..sound.clone() },
            Head { begin: sound.begin + 4, ..sound.clone() },
            Head { begin: NUMBER_LIMIT, ..sound.clone() },
            Head { sure: sound.begin - 8, ..sound.clone() },
            Head { sure: sound.begin + (1 << 20) + 8, ..sound.clone() },
            Head { time: u64::MAX, ..sound.clone() },
            Head { time: 4, ..sound.clone() },
            Head { frames: frames(|frames| frames.limit -= 1), ..sound.clone() },
            Head { frames: frames(|frames| frames.limit = u64::MAX), ..sound.clone() },
            Head { frames: frames(|frames| frames.metadata = frames.limit), ..sound.clone() },
            Head { frames: frames(|frames| frames.metadata = 1), ..sound.clone() },
        ] {
            assert!(Head::decode(&wrong.encode(&header), 1, &header).unwrap_err().whole, "{wrong:?}");
        }
    }
}
