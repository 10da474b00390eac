//! The header of a capture file: its sizes, and the positions that follow from them.

use libdeflater::crc32;

use crate::error::{Damage, Error, Result};
use crate::format::{Slot, get_u32};

/// The magic bytes at the start of every new file.
const MAGIC: &[u8; 11] = b"MioCapture\0";
/// The magic bytes at the start of some old files.
const OLD_MAGIC: &[u8; 11] = b"WebCapture\0";
/// The default version of new files, and the highest that [`Geometry::decode`] reads.
const VERSION: u32 = 2;
/// Marks the header's checksum; files of the reference package have zeros there.
const CHECKSUM_TAG: &[u8; 4] = b"HCRC";
/// Position of the tag, after the header in its page.
const TAG: usize = 32;
const CHECKSUM: usize = TAG + CHECKSUM_TAG.len();
/// A smaller page has no room for a useful master node.
const MIN_PAGE_SIZE: u32 = 512;
/// A new file is this many pages long, so that small files do not grow bit by bit.
const INITIAL_PAGES: u64 = 100;

/// The sizes that a file's header fixes permanently, and the positions that follow from them.
///
/// ```
/// use capturefile::{Geometry, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let geometry = Geometry::new().with_block_size(256 * 1024);
/// let log = OpenOptions::new().write(true).geometry(geometry).open(&path)?;
/// assert_eq!(log.snapshot()?.geometry(), geometry);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Geometry {
    /// Version of the format: 1 or 2, which mean the same bytes, or 3.
    pub version: u32,
    /// Bytes in a page, the unit in which the data area is written.
    pub page_size: u32,
    /// A block is compressed once it holds this many bytes or more.
    pub block_size: u32,
    /// Children of a full node of the index tree.
    pub fan_out: u32,
}

/// Says what was found in place of a header's checksum.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let header = capturefile::Structure::read(&path)?.header.expect("the file has one");
/// assert_eq!(header.checksum, capturefile::HeaderChecksum::Right);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderChecksum {
    /// The checksum matches the header.
    Right,
    /// The checksum does not match.
    Wrong,
    /// There is no checksum, as in files of the pure-Python package.
    Missing,
}

impl Default for Geometry {
    fn default() -> Self {
        Self::new()
    }
}

impl Geometry {
    /// Returns the default sizes of new files.
    ///
    /// ```
    /// let geometry = capturefile::Geometry::new();
    /// assert_eq!((geometry.page_size, geometry.block_size, geometry.fan_out), (4096, 32768, 32));
    /// ```
    pub const fn new() -> Self {
        Self { version: VERSION, page_size: 4096, block_size: 32768, fan_out: 32 }
    }

    /// Returns the default sizes of new files in a version of the format.
    ///
    /// ```
    /// assert_eq!(capturefile::Geometry::of_version(3).block_size, 128 * 1024);
    /// ```
    pub const fn of_version(version: u32) -> Self {
        let usual = Self::new().with_version(version);
        if version > VERSION { usual.with_block_size(128 << 10) } else { usual }
    }

    /// Changes the version, which must be 1, 2 or 3.
    ///
    /// ```
    /// assert_eq!(capturefile::Geometry::new().with_version(1).version, 1);
    /// ```
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Changes the page size, which must be at least 512 bytes.
    ///
    /// ```
    /// assert_eq!(capturefile::Geometry::new().with_page_size(8192).page_size, 8192);
    /// ```
    #[must_use]
    pub const fn with_page_size(mut self, page_size: u32) -> Self {
        self.page_size = page_size;
        self
    }

    /// Changes the block size, which must be a multiple of the page size; in version 3 of the format, at least 512 bytes.
    ///
    /// ```
    /// assert_eq!(capturefile::Geometry::new().with_block_size(65536).block_size, 65536);
    /// ```
    #[must_use]
    pub const fn with_block_size(mut self, block_size: u32) -> Self {
        self.block_size = block_size;
        self
    }

    /// Changes the fan-out, which must be at least 2.
    ///
    /// ```
    /// assert_eq!(capturefile::Geometry::new().with_fan_out(64).fan_out, 64);
    /// ```
    #[must_use]
    pub const fn with_fan_out(mut self, fan_out: u32) -> Self {
        self.fan_out = fan_out;
        self
    }

    /// Lower bound for the position of the first frame in any file.
    pub(crate) const MIN_DATA_START: u64 = 5 * MIN_PAGE_SIZE as u64;
    /// Length of the header's own fields in bytes.
    pub(super) const FIELDS_SIZE: usize = MAGIC.len() + 4 * size_of::<u32>();
    /// Encoded length of the header with its checksum in bytes; zeros fill the rest of its page.
    pub(crate) const HEADER_SIZE: usize = CHECKSUM + size_of::<u32>();

    /// Checks the sizes requested for a new file.
    pub(crate) fn check_settings(&self) -> Result<()> {
        let refuse =
            |name, got: u32, expected| Err(Error::InvalidOption { name, got: got.to_string(), expected });
        if !(1..=VERSION).contains(&self.version) {
            return refuse("format", self.version, "it must be 1, 2 or 3");
        }
        if self.page_size < MIN_PAGE_SIZE {
            return refuse("page_size", self.page_size, "it must be at least 512 bytes");
        }
        if !self.block_size.is_multiple_of(self.page_size) {
            return refuse("block_size", self.block_size, "it must be a multiple of the page size");
        }
        if self.fan_out < 2 {
            return refuse("fan_out", self.fan_out, "it must be at least 2");
        }
        Ok(())
    }

    /// Returns the version, page size, block size and fan-out in a header, sound or not, if they are present.
    pub(crate) fn numbers_said(header: &[u8]) -> [Option<u32>; 4] {
        std::array::from_fn(|index| get_u32(header, MAGIC.len() + index * size_of::<u32>()))
    }

    /// Returns the magic bytes of a header, without trailing zeros, and the state of its checksum.
    pub(super) fn name_and_checksum(header: &[u8]) -> (&[u8], HeaderChecksum) {
        let name = &header[..header.len().min(MAGIC.len())];
        let end = name.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let checksum = match checksums(header) {
            None => HeaderChecksum::Missing,
            Some((stored, computed)) if stored == computed => HeaderChecksum::Right,
            Some(_) => HeaderChecksum::Wrong,
        };
        (&name[..end], checksum)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for number in [self.version, self.page_size, self.block_size, self.fan_out] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let checksum = crc32(&out);
        out.resize(TAG, 0);
        out.extend_from_slice(CHECKSUM_TAG);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    /// Reads the header from the first bytes of a file, and verifies its checksum if it has one.
    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Self, Damage> {
        let magic = bytes.get(..MAGIC.len());
        if magic != Some(MAGIC) && magic != Some(OLD_MAGIC) {
            let start = &bytes[..bytes.len().min(MAGIC.len())];
            return Err(Damage::new(
                format!("{:?}", String::from_utf8_lossy(start)),
                format!("{:?}, with which every capture file starts", "MioCapture\0"),
            )
            .at(0));
        }
        let number = |index: usize| {
            get_u32(bytes, MAGIC.len() + index * size_of::<u32>()).ok_or_else(|| {
                Damage::new(
                    format!("a file of {} bytes", bytes.len()),
                    format!("a header of {} bytes", Self::FIELDS_SIZE),
                )
                .at(0)
            })
        };
        let geometry =
            Self { version: number(0)?, page_size: number(1)?, block_size: number(2)?, fan_out: number(3)? };
        geometry.check_header().map_err(|damage| damage.at(0))?;
        check_checksum(bytes).map_err(|damage| damage.at(0))?;
        Ok(geometry)
    }

    /// Returns the damage if the bytes in place of the header's checksum are neither a checksum nor the zeros
    /// of a file without one. Such a file can still be opened.
    pub(crate) fn damaged_tag(bytes: &[u8]) -> Option<Damage> {
        let place = bytes.get(TAG..Self::HEADER_SIZE)?;
        let known = has_checksum(bytes) || place.iter().all(|&byte| byte == 0);
        (!known).then(|| {
            let found = format!("{:?} after the header", String::from_utf8_lossy(place));
            Damage::new(found, "a checksum of the header, or zeros").at(TAG as u64)
        })
    }

    /// Checks that the sizes are valid for a capture file of any version.
    pub(crate) fn check_sizes(&self) -> std::result::Result<(), Damage> {
        Self { version: VERSION, ..*self }.check_header()
    }

    fn check_header(&self) -> std::result::Result<(), Damage> {
        if !(1..=VERSION).contains(&self.version) {
            return Err(Damage::new(format!("format version {}", self.version), "a version from 1 to 3"));
        }
        self.check_settings().map_err(|error| {
            Damage::new(
                format!(
                    "a header with page size {}, block size {} and fan-out {}",
                    self.page_size, self.block_size, self.fan_out
                ),
                format!("sizes that a capture file can have ({error})"),
            )
        })
    }

    pub(crate) fn page(&self) -> u64 {
        u64::from(self.page_size)
    }

    /// Length of a master slot: a page of numbers, the last partial page, the pending block.
    pub(crate) fn slot_size(&self) -> u64 {
        2 * self.page() + u64::from(self.block_size)
    }

    /// Returns the position of slot A or slot B, which follows it.
    pub(crate) fn slot_position(&self, slot: Slot) -> u64 {
        match slot {
            Slot::A => self.page(),
            Slot::B => self.page() + self.slot_size(),
        }
    }

    /// Returns the position of the first frame.
    pub(crate) fn data_start(&self) -> u64 {
        self.page() + 2 * self.slot_size()
    }

    /// Returns the length of a new file: a hundred pages, or more if its slots need it.
    pub(crate) fn initial_length(&self) -> u64 {
        self.data_start().max(INITIAL_PAGES * self.page())
    }

    /// Rounds `position` down to a whole number of pages.
    pub(crate) fn whole_pages(&self, position: u64) -> u64 {
        position - position % self.page()
    }
}

/// Returns whether a checksum of the header follows it.
pub(crate) fn has_checksum(bytes: &[u8]) -> bool {
    bytes.get(TAG..CHECKSUM) == Some(CHECKSUM_TAG)
}

/// Returns the checksum that follows the header, if there is one, and the checksum of its bytes.
fn checksums(bytes: &[u8]) -> Option<(u32, u32)> {
    let stored = get_u32(bytes, CHECKSUM).filter(|_| has_checksum(bytes))?;
    Some((stored, crc32(&bytes[..Geometry::FIELDS_SIZE])))
}

fn check_checksum(bytes: &[u8]) -> std::result::Result<(), Damage> {
    match checksums(bytes) {
        Some((stored, checksum)) if stored != checksum => {
            let found = format!("checksum {stored:#010x} on the header");
            Err(Damage::new(found, format!("{checksum:#010x}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_round_trip_and_has_the_documented_positions() {
        let geometry = Geometry::default();
        assert_eq!(Geometry::decode(&geometry.encode()), Ok(geometry));
        assert_eq!(geometry.slot_size(), 40_960);
        assert_eq!(geometry.data_start(), 86_016);
        assert_eq!(geometry.initial_length(), 409_600);
    }

    #[test]
    fn every_byte_of_the_magic_and_every_absurd_size_is_refused() {
        let good = Geometry::default().encode();
        for at in 0..MAGIC.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(Geometry::decode(&bytes).is_err(), "byte {at}");
        }
        for (at, bytes) in [(11, [0, 0, 0, 3]), (15, [0, 0, 0, 1]), (19, [0, 0, 0, 7]), (23, [0; 4])] {
            let mut header = good[..TAG].to_vec();
            header[at..at + 4].copy_from_slice(&bytes);
            assert!(Geometry::decode(&header).is_err(), "number at {at}");
        }
        assert!(Geometry::decode(&good[..26]).is_err());
    }

    #[test]
    fn a_flipped_bit_in_any_number_of_the_header_or_in_its_checksum_is_refused() {
        let good = Geometry { fan_out: 33, ..Geometry::default() }.encode();
        let positions = (0..Geometry::FIELDS_SIZE).chain(CHECKSUM..Geometry::HEADER_SIZE);
        for at in positions.step_by(if cfg!(miri) { 5 } else { 1 }) {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                assert!(Geometry::decode(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(Geometry::damaged_tag(&good), None);
    }

    #[test]
    fn a_header_without_a_checksum_is_read_and_one_with_something_else_is_noticed() {
        let geometry = Geometry::default();
        let mut header = geometry.encode();
        header[TAG..].fill(0);
        assert_eq!(Geometry::decode(&header), Ok(geometry));
        assert_eq!(Geometry::decode(&header[..Geometry::FIELDS_SIZE]), Ok(geometry));
        assert_eq!(Geometry::damaged_tag(&header), None);
        header[TAG + 1] = 1;
        assert_eq!(Geometry::decode(&header), Ok(geometry));
        assert!(Geometry::damaged_tag(&header).is_some());
    }
}
