//! The contents of headers and slots, damaged or not, for display.

use libdeflater::crc32;

use crate::error::Damage;
use crate::format::header::HeaderChecksum;
use crate::format::master::{CHECKSUM_END, FILE_LIMIT, METADATA, MasterNode, PENDING_LENGTH, SERIAL};
use crate::format::{Coordinates, Geometry, Slot, get_u32, get_u64, in_memory};

/// A tree of fan-out 2 that is higher than this holds more records than can be counted.
const MAX_HEIGHT: u8 = 64;

/// Holds the content of a file's header, valid or not; see [`Structure`](crate::Structure).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let header = capturefile::Structure::read(&path)?.header.expect("the file has one");
/// assert_eq!((header.magic.as_str(), header.geometry.version), ("MioCapture", 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The magic bytes at the start of the file, without trailing zeros.
    pub magic: String,
    /// The version and the sizes.
    pub geometry: Geometry,
    /// Whether the checksum after the header is right.
    pub checksum: HeaderChecksum,
}

impl Header {
    /// Decodes the header in the first bytes of a file; fails if there are too few.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let [Some(version), Some(page_size), Some(block_size), Some(fan_out)] = Geometry::numbers_said(bytes)
        else {
            let found = format!("a file of {} bytes", bytes.len());
            return Err(Damage::new(found, format!("a header of {} bytes", Geometry::FIELDS_SIZE)).at(0));
        };
        let (name, checksum) = Geometry::name_and_checksum(bytes);
        let magic = String::from_utf8_lossy(name).into_owned();
        Ok(Self { magic, geometry: Geometry { version, page_size, block_size, fan_out }, checksum })
    }
}

/// Holds the content of a master slot, sound or not; see [`Structure`](crate::Structure).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let slots = capturefile::Structure::read(&path)?.slots;
/// assert!(slots.iter().all(|slot| slot.problem.is_none() && slot.record_count == 0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MasterSlot {
    /// Where the slot starts in the file.
    pub position: u64,
    /// The serial number of the commit.
    pub serial_number: u32,
    /// The checksum that it starts with.
    pub stored: u32,
    /// The checksum of its bytes; bytes past the end of the file count as zeros.
    pub computed: u32,
    /// Where the next frame would start.
    pub file_limit: u64,
    /// Bytes that are committed but not yet compressed.
    pub pending_bytes: u32,
    /// Where the metadata is, if there is any.
    pub metadata: Option<Coordinates>,
    /// Number of children of the unfinished node of each height, from height 1 on.
    pub levels: Vec<u32>,
    /// Number of records under these nodes; `u64::MAX` if it exceeds 64 bits.
    pub record_count: u64,
    /// Why it holds no valid master node, if it does not.
    pub problem: Option<Damage>,
    /// Whether it holds the current state of the file.
    pub is_current: bool,
}

impl MasterSlot {
    /// Decodes a slot from `bytes`, which may be fewer than it should have.
    pub(crate) fn decode(geometry: &Geometry, slot: Slot, mut bytes: Vec<u8>) -> Self {
        let problem = MasterNode::decode(geometry, slot, &bytes).err().map(|bad| bad.damage);
        bytes.resize(in_memory(geometry.slot_size()), 0);
        let u32_at = |at| get_u32(&bytes, at).unwrap_or_default();
        let mut levels = MasterNode::children_said(geometry, &bytes)[1..=usize::from(MAX_HEIGHT)].to_vec();
        levels.truncate(levels.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1));
        let below = |height| u64::from(geometry.fan_out).saturating_pow(height);
        let records =
            (0..).zip(&levels).map(|(height, &count)| u64::from(count).saturating_mul(below(height)));
        Self {
            position: geometry.slot_position(slot),
            serial_number: u32_at(SERIAL),
            stored: u32_at(0),
            computed: crc32(bytes.get(CHECKSUM_END..).unwrap_or_default()),
            file_limit: get_u64(&bytes, FILE_LIMIT).unwrap_or_default(),
            pending_bytes: u32_at(PENDING_LENGTH),
            metadata: Coordinates::decode(&bytes, METADATA).filter(|at| !at.is_none()),
            record_count: records.fold(0, u64::saturating_add),
            levels,
            problem,
            is_current: false,
        }
    }
}
