//! A frame: a block of records, a full index node, or metadata, with a header.

use super::{Codec, Header, NUMBER_LIMIT, Reader, checksum, put_u32, put_u64};
use crate::error::Damage;
use crate::format::get_u32;

const MARK: [u8; 4] = *b"Fram";

/// The kind of content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Records,
    /// A full node, whose children are blocks or nodes.
    Node,
    Metadata,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Node => 2,
            Self::Metadata => 3,
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    /// Size of each length in bytes; 0 if all records have the same length.
    pub(crate) width: u8,
    /// Its position in the file.
    pub(crate) position: u64,
    /// The number of the first record in or below it; for metadata, that of the next record.
    pub(crate) first: u64,
    /// Number of records or children.
    pub(crate) count: u32,
    /// Number of commits with records in it.
    pub(crate) commits: u32,
    /// Length of its body in the file.
    pub(crate) body: u64,
    /// Decompressed length of its body.
    pub(crate) raw: u64,
    /// Commit times of its first and last record.
    pub(crate) times: (u64, u64),
    /// The checksum of its body.
    pub(crate) body_sum: u64,
}

impl FrameHeader {
    pub(crate) const SIZE: usize = 72 + Header::FIELDS_SIZE + 8;

    /// Encodes the header of a frame in a file with this header.
    pub(crate) fn encode(&self, file: &Header) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&[self.kind.number(), self.codec.number(), self.width, 0]);
        put_u64(&mut out, self.position);
        put_u64(&mut out, self.first);
        put_u32(&mut out, self.count);
        put_u32(&mut out, self.commits);
        put_u64(&mut out, self.body);
        put_u64(&mut out, self.raw);
        put_u64(&mut out, self.times.0);
        put_u64(&mut out, self.times.1);
        put_u64(&mut out, self.body_sum);
        file.encode_fields(&mut out);
        let sum = checksum(&out, file.seed());
        put_u64(&mut out, sum);
        out
    }

    /// Returns the part of the file's header that the frame at `position` repeats, if its checksum is right.
    pub(crate) fn header_in(bytes: &[u8], position: u64) -> Option<Header> {
        let start = Self::SIZE - 8 - Header::FIELDS_SIZE;
        let header = Header::decode_fields(bytes.get(start..Self::SIZE - 8)?)?;
        let is_sound = header.check_settings().is_ok() && position >= header.data_start();
        (is_sound && Self::decode(bytes, position, &header).is_ok()).then_some(header)
    }

    /// Decodes the header of the frame at `position` in a file with this header.
    pub(crate) fn decode(bytes: &[u8], position: u64, file: &Header) -> Result<Self, Damage> {
        let damage = |found: &str, expected: &str| Damage::new(found, expected).at(position);
        let bytes = bytes.get(..Self::SIZE).ok_or_else(|| damage("the end of the file", "a frame"))?;
        if bytes[..4] != MARK {
            return Err(damage("no frame", "one"));
        }
        let (fields, sum) = bytes.split_at(Self::SIZE - 8);
        if checksum(fields, file.seed()).to_be_bytes() != sum {
            return Err(damage("a frame header with a wrong checksum", "the one of its first 120 bytes"));
        }
        let header = Self::decode_fields(fields, file).filter(|header| header.position == position);
        header.ok_or_else(|| damage("a frame header with impossible numbers", "numbers within bounds"))
    }

    fn decode_fields(bytes: &[u8], file: &Header) -> Option<Self> {
        let mut reader = Reader(bytes.get(4..)?);
        let number = reader.u8()?;
        let kind =
            [Kind::Records, Kind::Node, Kind::Metadata].into_iter().find(|kind| kind.number() == number)?;
        let codec = Codec::of_number(reader.u8()?)?;
        let width = reader.u8().filter(|width| matches!(width, 0 | 1 | 2 | 4))?;
        reader.u8().filter(|zero| *zero == 0)?;
        let header = Self {
            kind,
            codec,
            width,
            position: reader.u64()?,
            first: reader.u64()?,
            count: reader.u32()?,
            commits: reader.u32()?,
            body: reader.u64()?,
            raw: reader.u64()?,
            times: (reader.u64()?, reader.u64()?),
            body_sum: reader.u64()?,
        };
        let same = Header::decode_fields(reader.0)? == *file;
        let numbers =
            [header.position, header.first, header.body, header.raw, header.times.0, header.times.1];
        let bounded = numbers.iter().all(|number| *number < NUMBER_LIMIT);
        let rising = header.times.0 <= header.times.1 && header.first > 0;
        (same && bounded && rising && header.body <= header.raw).then_some(header)
    }

    /// Returns the bytes of the header that the index repeats.
    pub(crate) fn sum(encoded: &[u8]) -> u32 {
        get_u32(encoded, Self::SIZE - 4).unwrap_or_default()
    }

    /// Returns the length of header and body.
    pub(crate) fn total(&self) -> u64 {
        Self::SIZE as u64 + self.body
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn frame_headers_come_back_and_no_flipped_bit_is_taken_for_one() {
        let position = 2_000_000;
        let header = FrameHeader {
            kind: Kind::Records,
            codec: Codec::Zstd,
            width: 1,
            position,
            first: 8,
            count: 3,
            commits: 2,
            body: 10,
            raw: 20,
            times: (4, 9),
            body_sum: 77,
        };
        let file = Header::new(Codec::Zstd, [9; 16], 1);
        let bytes = header.encode(&file);
        assert_eq!(bytes.len(), FrameHeader::SIZE);
        assert_eq!(FrameHeader::decode(&bytes, position, &file).unwrap(), header);
        assert_eq!(FrameHeader::header_in(&bytes, position), Some(file));
        assert_eq!(FrameHeader::header_in(&bytes, position + 1), None);
        for other in [Header { identity: [8; 16], ..file }, Header { created: 2, ..file }] {
            assert!(FrameHeader::decode(&bytes, position, &other).is_err());
        }
        assert!(FrameHeader::decode(&bytes, position + 1, &file).is_err());
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::decode(&flipped, position, &file).is_err(), "{bit}");
            assert_eq!(FrameHeader::header_in(&flipped, position), None, "{bit}");
        }
        for wrong in [
            FrameHeader { body: 21, ..header },
            FrameHeader { width: 3, ..header },
            FrameHeader { first: 0, ..header },
            FrameHeader { times: (9, 4), ..header },
            FrameHeader { raw: u64::MAX, ..header },
        ] {
            assert!(FrameHeader::decode(&wrong.encode(&file), position, &file).is_err(), "{wrong:?}");
        }
    }
}
