//! The header page: the fixed sizes of a file, and the positions that follow from them.

use super::{NUMBER_LIMIT, Reader, checksum, put_u32, put_u64};
use crate::error::{Damage, Error, Result};
use crate::format::Geometry;

const MAGIC: &[u8; 11] = b"MioCapture\0";
/// The version of the format.
pub(crate) const VERSION: u32 = 3;
const MIN_PAGE: u32 = 512;
const MIN_BLOCK: u32 = 512;
/// Minimum number of blocks in a log: an entry of up to an eighth of the log is small, and so is one with a
/// block that is not full yet.
const BLOCKS_IN_LOG: u32 = 8;
const MAX_LOG: u32 = 1 << 30;
const MAX_FAN_OUT: u32 = 256;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Codec {
    /// Uncompressed.
    None,
    /// Zstandard.
    #[default]
    Zstd,
    /// LZ4, in its block format.
    Lz4,
}

impl Codec {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
            Self::Lz4 => 2,
        }
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        [Self::None, Self::Zstd, Self::Lz4].into_iter().find(|codec| codec.number() == number)
    }
}

/// The fields of the header page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) page: u32,
    /// A block of records has at most this many bytes, unless it is one large record.
    pub(crate) block: u32,
    /// Children of a full index node.
    pub(crate) fan_out: u32,
    /// Size of the log ring.
    pub(crate) log: u32,
    /// The codec of new blocks.
    pub(crate) codec: Codec,
    /// Random bytes that no other file has.
    pub(crate) identity: [u8; 16],
    /// Time of creation, in nanoseconds since 1970.
    pub(crate) created: u64,
}

impl Header {
    /// Encoded length without the zeros after it.
    pub(crate) const SIZE: usize = 72;
    /// Where the fields start that heads and frames repeat.
    pub(crate) const FIELDS: usize = 16;
    /// Length of the fields that heads and frames repeat.
    pub(crate) const FIELDS_SIZE: usize = 48;

    pub(crate) fn new(codec: Codec, identity: [u8; 16], created: u64) -> Self {
        let Geometry { page_size: page, block_size: block, fan_out, .. } = Geometry::of_version(VERSION);
        Self { page, block, fan_out, log: 1 << 20, codec, identity, created }
    }

    /// Creates a header with these sizes, and with the default log size unless another one is given.
    pub(crate) fn of(
        geometry: &Geometry,
        log: Option<u32>,
        codec: Codec,
        identity: [u8; 16],
        created: u64,
    ) -> Self {
        let (page, block) = (geometry.page_size, geometry.block_size);
        let header = Self::new(codec, identity, created);
        let least = u64::from(block.max(page)) * u64::from(BLOCKS_IN_LOG);
        let usual = least.max(header.log.into()).checked_next_multiple_of(page.into());
        let most = MAX_LOG - MAX_LOG.checked_rem(page).unwrap_or_default();
        let usual = usual.and_then(|log| u32::try_from(log).ok()).unwrap_or(most).min(most);
        Self { page, block, fan_out: geometry.fan_out, log: log.unwrap_or(usual), ..header }
    }

    /// Returns the sizes that both formats have.
    pub(crate) fn geometry(&self) -> Geometry {
        Geometry { version: VERSION, page_size: self.page, block_size: self.block, fan_out: self.fan_out }
    }

    /// Returns the length of a new file.
    pub(crate) fn initial_length(&self) -> u64 {
        self.log_end() + u64::from(self.page)
    }

    /// Checks sizes that a caller requests for a new file.
    pub(crate) fn check_settings(&self) -> Result<()> {
        self.unsound().map_or(Ok(()), |(name, got, expected)| {
            Err(Error::InvalidOption { name, got: got.to_string(), expected })
        })
    }

    fn unsound(&self) -> Option<(&'static str, u32, &'static str)> {
        if self.page < MIN_PAGE || !self.page.is_multiple_of(8) || self.page > self.log / BLOCKS_IN_LOG {
            let expected =
                "it must be a multiple of 8, at least 512 bytes and at most an eighth of the log size";
            return Some(("page_size", self.page, expected));
        }
        if self.log > MAX_LOG || !self.log.is_multiple_of(self.page) || self.log < self.page {
            return Some(("log_size", self.log, "it must be a multiple of the page size, and at most 1 GiB"));
        }
        if self.block < MIN_BLOCK || self.block > self.log / BLOCKS_IN_LOG {
            return Some((
                "block_size",
                self.block,
                "it must be from 512 bytes to an eighth of the log size",
            ));
        }
        if !(2..=MAX_FAN_OUT).contains(&self.fan_out) {
            return Some(("fan_out", self.fan_out, "it must be from 2 to 256"));
        }
        None
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, VERSION);
        out.push(0);
        self.encode_fields(&mut out);
        let sum = checksum(&out, 0);
        put_u64(&mut out, sum);
        out
    }

    pub(crate) fn encode_fields(&self, out: &mut Vec<u8>) {
        put_u32(out, self.page);
        put_u32(out, self.block);
        put_u32(out, self.fan_out);
        put_u32(out, self.log);
        out.extend_from_slice(&self.identity);
        put_u64(out, self.created);
        out.extend_from_slice(&[self.codec.number(), 0, 0, 0, 0, 0, 0, 0]);
    }

    /// Decodes and checks the start of a file.
    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Self, Damage> {
        let damage = |found: &str, expected: &str| Damage::new(found, expected).at(0);
        let mut reader = Reader(bytes);
        if reader.array() != Some(*MAGIC) {
            return Err(damage("not a capture file", "the name MioCapture and a zero byte"));
        }
        match reader.u32() {
            Some(VERSION) => {}
            Some(version) => {
                return Err(damage(&format!("a file in version {version} format"), "version 3"));
            }
            None => return Err(damage("a file that ends in its header", "72 bytes of it")),
        }
        reader.u8();
        let fields = Self::decode_fields(reader.bytes(Self::FIELDS_SIZE).unwrap_or_default());
        let sum = reader.u64();
        let summed = bytes.get(..Self::SIZE - 8).map(|fields| checksum(fields, 0));
        if sum.is_none() || sum != summed {
            return Err(damage("a header with a wrong checksum", "the one of its first 64 bytes"));
        }
        let header = fields.ok_or_else(|| damage("a header of unknown fields", "those of this version"))?;
        match header.unsound() {
            Some((name, got, expected)) => Err(damage(&format!("{name} {got}"), expected)),
            None => Ok(header),
        }
    }

    /// Returns the damage of the copy after the log, if these bytes are not one.
    pub(crate) fn damage_of_copy(&self, bytes: &[u8]) -> Option<Damage> {
        let damage = || Damage::new("another header", "a copy of the first 72 bytes");
        (bytes != self.encode()).then(|| damage().at(self.log_end()))
    }

    pub(crate) fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (page, block, fan_out, log) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        let (identity, created) = (reader.array()?, reader.u64()?);
        let codec = Codec::of_number(reader.u8()?)?;
        (reader.array() == Some([0; 7]) && created < NUMBER_LIMIT).then_some(Self {
            page,
            block,
            fan_out,
            log,
            codec,
            identity,
            created,
        })
    }

    /// Returns the seed of checksums without a predecessor.
    pub(crate) fn seed(&self) -> u64 {
        checksum(&self.identity, 0)
    }

    /// Returns the position of a head with this serial number.
    pub(crate) fn head_position(&self, serial: u64) -> u64 {
        u64::from(self.page) * (1 + serial % 2)
    }

    pub(crate) fn log_start(&self) -> u64 {
        3 * u64::from(self.page)
    }

    /// Returns the position after the log, where the copy of the header is.
    pub(crate) fn log_end(&self) -> u64 {
        self.log_start() + u64::from(self.log)
    }

    /// Returns the position of the first frame.
    pub(crate) fn data_start(&self) -> u64 {
        self.log_end() + Self::SIZE as u64
    }

    /// Returns the log position of the first entry of a new file; it is not 0, so that zeros are never an entry.
    pub(crate) fn first_position(&self) -> u64 {
        u64::from(self.log)
    }

    /// Returns the maximum length of a small entry.
    pub(crate) fn max_entry(&self) -> u64 {
        u64::from(self.log) / 4
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_each_flipped_bit_is_noticed() {
        let header = Header::new(Codec::Lz4, *b"0123456789abcdef", 17);
        let bytes = header.encode();
        assert_eq!(bytes.len(), Header::SIZE);
        assert_eq!(Header::decode(&bytes).unwrap(), header);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped).is_err(), "{bit}");
        }
        assert!((0..bytes.len()).all(|length| Header::decode(&bytes[..length]).is_err()));
    }

    #[test]
    fn sizes_that_no_file_can_have_are_refused() {
        let sound = Header::new(Codec::Zstd, [0; 16], 0);
        for wrong in [
            Header { page: 256, ..sound },
            Header { page: 513, ..sound },
            Header { log: (1 << 20) + 8, ..sound },
            Header { log: 0, ..sound },
            Header { block: 1 << 18, ..sound },
            Header { block: 0, ..sound },
            Header { fan_out: 1, ..sound },
            Header { fan_out: 300, ..sound },
        ] {
            assert!(wrong.check_settings().is_err(), "{wrong:?}");
            assert!(Header::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
    }
}
