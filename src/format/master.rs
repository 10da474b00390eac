//! Master nodes: their bytes in a slot, the checksum, and which of two nodes is current.

use std::borrow::Borrow;

use libdeflater::{Crc, crc32};

use crate::error::Damage;
use crate::format::{Coordinates, Geometry, LENGTH_SIZE, Slot, get_u32, get_u64, in_memory, is_newer};
use crate::tree::RightmostPath;

/// Everything that a commit fixes: how far the file goes, its index, and the bytes not yet in frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterNode {
    pub(crate) serial: u32,
    /// Where the next frame will start.
    pub(crate) file_limit: u64,
    pub(crate) metadata: Coordinates,
    pub(crate) path: RightmostPath<Coordinates>,
    /// The bytes of the last, partial page: from `file_limit` rounded down to a page, up to `file_limit`.
    pub(crate) tail: Vec<u8>,
    /// Entries added but not yet compressed; shorter than a block.
    pub(crate) pending: Vec<u8>,
}

/// The polynomial of CRC-32, lowest bit first.
const POLYNOMIAL: u32 = 0xEDB8_8320;
pub(super) const CHECKSUM_END: usize = size_of::<u32>();
pub(super) const SERIAL: usize = CHECKSUM_END;
pub(super) const FILE_LIMIT: usize = SERIAL + size_of::<u32>();
pub(super) const PENDING_LENGTH: usize = FILE_LIMIT + size_of::<u64>();
pub(super) const METADATA: usize = PENDING_LENGTH + LENGTH_SIZE;
const CHILD_COUNT: usize = METADATA + Coordinates::SIZE;
const CHILDREN: usize = CHILD_COUNT + size_of::<u32>();
const CHILD_SIZE: usize = size_of::<u8>() + Coordinates::SIZE;

/// Number of bytes at the start of a slot that distinguish commits: its checksum and serial number.
pub(crate) const SLOT_VERSION_SIZE: usize = FILE_LIMIT;

/// A slot without a valid master node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadSlot {
    pub(crate) damage: Damage,
    /// Whether the checksum is right. If so, the slot was written completely, but its content is not valid.
    pub(crate) whole: bool,
}

/// The extent of a state. Files only grow, so none of its numbers ever decreases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    file_limit: u64,
    pending: usize,
    pub(crate) records: u64,
}

impl Extent {
    /// Returns whether this can only have been committed before `other`.
    pub(crate) fn is_before(self, other: Self) -> bool {
        (self.file_limit, self.pending) < (other.file_limit, other.pending) || self.records < other.records
    }
}

impl MasterNode {
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            file_limit: self.file_limit,
            pending: self.pending.len(),
            // A path that was decoded or written holds a countable number of records.
            records: self.path.record_count().unwrap_or(u64::MAX),
        }
    }

    /// The state of a file without records, before its first commit.
    pub(crate) fn empty(geometry: &Geometry) -> Self {
        Self {
            serial: 0,
            file_limit: geometry.data_start(),
            metadata: Coordinates::NONE,
            path: RightmostPath::new(geometry.fan_out),
            tail: vec![0; tail_length(geometry, geometry.data_start())],
            pending: Vec::new(),
        }
    }

    /// Returns whether the children of the rightmost path fit in the first page of a slot.
    pub(crate) fn index_fits(path: &RightmostPath<Coordinates>, geometry: &Geometry) -> bool {
        CHILDREN + CHILD_SIZE * path.child_count() <= geometry.page_size as usize
    }

    /// Encodes the whole slot into `out`, replacing its content, as the commit with number `serial`.
    pub(crate) fn encode(&self, serial: u32, geometry: &Geometry, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[0; CHECKSUM_END]);
        out.extend_from_slice(&serial.to_be_bytes());
        out.extend_from_slice(&self.file_limit.to_be_bytes());
        out.extend_from_slice(&length_prefix(self.pending.len()));
        self.metadata.encode(out);
        out.extend_from_slice(&length_prefix(self.path.child_count()));
        for level in 1..=self.path.height() {
            for child in self.path.children(level) {
                out.push(level);
                child.encode(out);
            }
        }
        let page = geometry.page_size as usize;
        out.resize(page, 0);
        out.extend_from_slice(&self.tail);
        out.resize(2 * page, 0);
        out.extend_from_slice(&self.pending);
        out.resize(2 * page + geometry.block_size as usize, 0);
        let checksum = crc32(&out[CHECKSUM_END..]);
        out[..CHECKSUM_END].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Reads a slot, complete or not, and checks everything that can be checked without the rest of the file.
    pub(crate) fn decode(geometry: &Geometry, slot: Slot, bytes: &[u8]) -> Result<Self, BadSlot> {
        let place = |damage: Damage| damage.at(geometry.slot_position(slot));
        check_whole(geometry, bytes).map_err(|damage| BadSlot { damage: place(damage), whole: false })?;
        decode_slot(geometry, slot, bytes).map_err(|damage| BadSlot { damage: place(damage), whole: true })
    }

    /// Returns the serial number in a torn slot, if the file limit after it is plausible.
    pub(crate) fn serial_said(geometry: &Geometry, bytes: &[u8]) -> Option<u32> {
        let file_limit = get_u64(bytes, FILE_LIMIT)?;
        (file_limit >= geometry.data_start()).then(|| get_u32(bytes, SERIAL)).flatten()
    }

    /// Returns the largest number of children that a slot lists at one height, whatever the fan-out.
    pub(crate) fn most_children(geometry: &Geometry, bytes: &[u8]) -> u32 {
        Self::children_said(geometry, bytes).into_iter().max().unwrap_or_default()
    }

    /// Returns the number of children that a slot, complete or not, lists at each height.
    pub(super) fn children_said(geometry: &Geometry, bytes: &[u8]) -> [u32; 1 << u8::BITS] {
        let count = get_u32(bytes, CHILD_COUNT).unwrap_or_default() as usize;
        let listed = bytes.get(CHILDREN..geometry.page_size as usize).unwrap_or_default();
        let mut counts = [0; 1 << u8::BITS];
        for child in listed.chunks_exact(CHILD_SIZE).take(count) {
            counts[usize::from(child[0])] += 1;
        }
        counts
    }

    /// Returns whether this is the later of two valid nodes.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        is_newer(self.serial, other.serial)
    }
}

/// Returns two valid nodes, the older one first: the newer one is the current state.
pub(crate) fn by_age<T: Borrow<MasterNode>>(a: T, b: T) -> [T; 2] {
    if b.borrow().is_newer_than(a.borrow()) { [a, b] } else { [b, a] }
}

/// Returns the length of the part of the last page that is in use.
pub(crate) fn tail_length(geometry: &Geometry, file_limit: u64) -> usize {
    in_memory(file_limit % geometry.page())
}

fn length_prefix(length: usize) -> [u8; LENGTH_SIZE] {
    // Pending blocks and child counts are bounded by sizes that the header holds in 32 bits.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn check_whole(geometry: &Geometry, bytes: &[u8]) -> Result<(), Damage> {
    if bytes.len() as u64 != geometry.slot_size() {
        return Err(Damage::new(
            format!("{} bytes of a master node", bytes.len()),
            format!("{}", geometry.slot_size()),
        ));
    }
    match checksums(bytes) {
        Some((stored, checksum)) if stored != checksum => {
            Err(Damage::new(format!("checksum {stored:#010x} on a master node"), format!("{checksum:#010x}")))
        }
        _ => Ok(()),
    }
}

/// Returns the checksum in a slot, if there is one, and the checksum of the slot's bytes.
fn checksums(slot: &[u8]) -> Option<(u32, u32)> {
    Some((get_u32(slot, 0)?, crc32(&slot[CHECKSUM_END..])))
}

/// Returns whether the checksum in a slot, whatever its size, is right.
pub(crate) fn has_right_checksum(slot: &[u8]) -> bool {
    checksums(slot).is_some_and(|(stored, checksum)| stored == checksum)
}

/// Returns the number of pages, at least two, at which the checksum at the start of `bytes` is right.
pub(crate) fn pages_of_slot(bytes: &[u8], page_size: u32) -> Option<u32> {
    let stored = get_u32(bytes, 0)?;
    let mut checksum = Crc::new();
    (1..).zip(bytes.chunks_exact(page_size as usize)).find_map(|(pages, page)| {
        checksum.update(if pages == 1 { &page[CHECKSUM_END..] } else { page });
        (pages >= 2 && checksum.sum() == stored).then_some(pages)
    })
}

/// Returns whether a single flipped bit explains a slot's wrong checksum. Incomplete writes hardly ever look like
/// that, so this distinguishes a decayed slot from a torn one.
pub(crate) fn differs_in_one_bit(bytes: &[u8]) -> bool {
    let Some((stored, checksum)) = checksums(bytes) else {
        return false;
    };
    let difference = stored ^ checksum;
    // CRCs are linear: the difference of two checksums depends only on the bits that differ. A single bit
    // followed by n others contributes 1, shifted n + 1 times through the polynomial.
    let step = |register: &u32| Some((register >> 1) ^ if register & 1 == 1 { POLYNOMIAL } else { 0 });
    let mut made = std::iter::successors(step(&1), step).take((bytes.len() - CHECKSUM_END) * 8);
    difference.is_power_of_two() || made.any(|register| register == difference)
}

fn decode_slot(geometry: &Geometry, slot: Slot, bytes: &[u8]) -> Result<MasterNode, Damage> {
    // The slot is complete, so all numbers up to `CHILDREN` are present: a page has at least 512 bytes.
    let number = |at| get_u32(bytes, at).unwrap_or_default();
    let serial = number(SERIAL);
    if Slot::of_serial(serial) != slot {
        return Err(Damage::new(
            format!("serial number {serial} in slot {slot:?}"),
            "even numbers in slot A and odd ones in slot B",
        ));
    }
    let file_limit = get_u64(bytes, FILE_LIMIT).unwrap_or_default();
    if file_limit < geometry.data_start() || file_limit > i64::MAX as u64 {
        return Err(Damage::new(
            format!("file limit {file_limit}"),
            format!("one from {}, where the data starts, to {}", geometry.data_start(), i64::MAX),
        ));
    }
    let pending_length = number(PENDING_LENGTH);
    if pending_length > 0 && pending_length >= geometry.block_size {
        return Err(Damage::new(
            format!("a pending block of {pending_length} bytes"),
            format!("fewer than the block size {}", geometry.block_size),
        ));
    }
    let metadata = Coordinates::decode(bytes, METADATA).unwrap_or_default();
    if !metadata.is_none() {
        check_coordinates(geometry, file_limit, pending_length, metadata, "metadata")?;
    }
    let path = decode_path(geometry, file_limit, pending_length, bytes)?;
    let page = geometry.page_size as usize;
    Ok(MasterNode {
        serial,
        file_limit,
        metadata,
        path,
        tail: bytes[page..page + tail_length(geometry, file_limit)].to_vec(),
        pending: bytes[2 * page..2 * page + pending_length as usize].to_vec(),
    })
}

fn decode_path(
    geometry: &Geometry,
    file_limit: u64,
    pending_length: u32,
    bytes: &[u8],
) -> Result<RightmostPath<Coordinates>, Damage> {
    let count = get_u32(bytes, CHILD_COUNT).unwrap_or_default();
    let room = (geometry.page_size as usize - CHILDREN) / CHILD_SIZE;
    if count as usize > room {
        return Err(Damage::new(
            format!("{count} children on the rightmost path"),
            format!("at most {room}, which fill a page"),
        ));
    }
    let mut path = RightmostPath::new(geometry.fan_out);
    for child in bytes[CHILDREN..].chunks_exact(CHILD_SIZE).take(count as usize) {
        let level = child[0];
        if level == 0 || level < path.height() {
            return Err(Damage::new(
                format!("a child at height {level} after one at height {}", path.height()),
                "heights from 1 upwards in rising order",
            ));
        }
        let coordinates = Coordinates::decode(child, size_of::<u8>()).unwrap_or_default();
        check_coordinates(geometry, file_limit, pending_length, coordinates, "a child")?;
        if path.add(level, coordinates).is_some() {
            return Err(Damage::new(
                format!("{} children at height {level}", geometry.fan_out),
                "fewer than the fan-out on the rightmost path",
            ));
        }
    }
    if path.record_count().is_none() {
        return Err(Damage::new(
            format!("a tree of height {}", path.height()),
            "one that holds fewer than 2^64 - 1 records",
        ));
    }
    Ok(path)
}

fn check_coordinates(
    geometry: &Geometry,
    file_limit: u64,
    pending_length: u32,
    coordinates: Coordinates,
    what: &str,
) -> Result<(), Damage> {
    let inside = (geometry.data_start()..file_limit).contains(&coordinates.frame)
        || (coordinates.frame == file_limit && coordinates.offset < pending_length);
    if inside {
        return Ok(());
    }
    Err(Damage::new(
        format!("coordinates ({}, {}) of {what}", coordinates.frame, coordinates.offset),
        format!(
            "a frame from {} up to {file_limit}, or an offset below {pending_length} in the pending block",
            geometry.data_start()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Geometry, MasterNode) {
        // Under Miri, slots are small.
        let small = Geometry { page_size: 512, block_size: 512, ..Geometry::default() };
        let geometry = if cfg!(miri) { small } else { Geometry::default() };
        let file_limit = geometry.data_start() + 5000;
        let mut path = RightmostPath::new(geometry.fan_out);
        for level in [1, 1, 3] {
            path.add(level, Coordinates { frame: geometry.data_start(), offset: u32::from(level) });
        }
        let node = MasterNode {
            serial: 8,
            file_limit,
            metadata: Coordinates { frame: file_limit, offset: 2 },
            path,
            tail: vec![7; tail_length(&geometry, file_limit)],
            pending: b"pending".to_vec(),
        };
        (geometry, node)
    }

    #[test]
    fn a_master_node_survives_the_round_trip() {
        let (geometry, node) = sample();
        let mut bytes = vec![1, 2, 3];
        node.encode(node.serial, &geometry, &mut bytes);
        assert_eq!(bytes.len() as u64, geometry.slot_size());
        assert_eq!(MasterNode::decode(&geometry, Slot::A, &bytes), Ok(node));
        assert!(MasterNode::decode(&geometry, Slot::B, &bytes).is_err());
        assert!(MasterNode::decode(&geometry, Slot::A, &bytes[1..]).is_err());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let (geometry, node) = sample();
        let mut bytes = Vec::new();
        node.encode(node.serial, &geometry, &mut bytes);
        let positions = (0..bytes.len()).step_by(97).chain(0..100);
        for at in positions.step_by(if cfg!(miri) { 9 } else { 1 }) {
            bytes[at] ^= 1 << (at % 8);
            assert!(MasterNode::decode(&geometry, Slot::A, &bytes).is_err(), "byte {at}");
            bytes[at] ^= 1 << (at % 8);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn one_flipped_bit_is_told_from_more() {
        let (geometry, node) = sample();
        let mut bytes = Vec::new();
        node.encode(node.serial, &geometry, &mut bytes);
        for at in (0..bytes.len()).step_by(997).chain(0..40).chain([bytes.len() - 1]) {
            for bit in [0, 3, 7] {
                bytes[at] ^= 1 << bit;
                assert!(differs_in_one_bit(&bytes), "bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
            }
            bytes[at] ^= 0x81;
            assert!(!differs_in_one_bit(&bytes), "byte {at}");
            bytes[at] ^= 0x81;
        }
        assert!(!differs_in_one_bit(&bytes));
        assert!(!differs_in_one_bit(&[]));
        bytes.truncate(5000);
        assert!(!differs_in_one_bit(&bytes));
    }

    #[test]
    fn serial_numbers_are_compared_across_their_wrap() {
        let (_, first) = sample();
        let with = |serial| MasterNode { serial, ..first.clone() };
        assert!(with(9).is_newer_than(&with(8)));
        assert!(!with(8).is_newer_than(&with(9)));
        assert!(with(0).is_newer_than(&with(u32::MAX)));
        assert!(!with(u32::MAX).is_newer_than(&with(0)));
    }
}
