//! The two slots of a damaged file.

use std::time::Duration;

use libdeflater::crc32;

use crate::error::{Damage, Error, Result};
use crate::format::master::MasterNode;
use crate::format::{Coordinates, Geometry, Slot, get_u32};

use super::raw::Raw;
use super::source::Source;

/// A slot that a writer may be writing is read so many times, with a pause.
const MOST_LOOKS: usize = 20;
/// Nobody writes the files that fuzzing makes.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 20 });

/// What a slot holds.
pub(super) enum SlotState {
    Good(Box<MasterNode>),
    /// What is wrong, and the serial number if numbers of a commit stand there all the same.
    Bad {
        damage: Damage,
        serial: Option<u32>,
    },
}

impl SlotState {
    /// Where the metadata is, if this says so.
    pub(super) fn metadata(&self) -> Option<Coordinates> {
        match self {
            Self::Good(master) => Some(master.metadata).filter(|at| !at.is_none()),
            Self::Bad { .. } => None,
        }
    }
}

pub(super) fn slot_bytes(raw: &Raw, geometry: &Geometry, slot: Slot) -> Result<Option<Vec<u8>>> {
    let start = geometry.slot_position(slot);
    raw.read(start..start + geometry.slot_size())
}

pub(super) fn is_whole(slot: &[u8]) -> bool {
    get_u32(slot, 0).is_some_and(|stored| stored == crc32(&slot[4..]))
}

/// Reads both slots; one that a writer may be writing is read again.
pub(super) fn read_slots(raw: &Raw, geometry: &Geometry) -> Result<[SlotState; 2]> {
    let mut before = None;
    for _ in 0..MOST_LOOKS {
        let bytes = (slot_bytes(raw, geometry, Slot::A)?, slot_bytes(raw, geometry, Slot::B)?);
        let states =
            [decode(geometry, Slot::A, bytes.0.as_deref()), decode(geometry, Slot::B, bytes.1.as_deref())];
        let good = states.iter().all(|state| matches!(state, SlotState::Good(_)));
        if good || before.as_ref() == Some(&bytes) {
            return Ok(states);
        }
        before = Some(bytes);
        std::thread::sleep(PAUSE);
    }
    Err(Error::invalid(
        &raw.path,
        Damage::new("master nodes that keep changing", "a file that nobody writes"),
    ))
}

fn decode(geometry: &Geometry, slot: Slot, bytes: Option<&[u8]>) -> SlotState {
    let bytes = bytes.unwrap_or_default();
    match MasterNode::decode(geometry, slot, bytes) {
        Ok(master) => SlotState::Good(Box::new(master)),
        Err(bad) => SlotState::Bad { damage: bad.damage, serial: MasterNode::serial_said(geometry, bytes) },
    }
}

/// The master nodes of the slots with a right checksum.
pub(super) fn whole_masters(source: &Source) -> Result<Vec<MasterNode>> {
    let mut masters = Vec::new();
    for slot in Slot::BOTH {
        if let Some(bytes) = slot_bytes(&source.raw, &source.geometry, slot)? {
            masters.extend(MasterNode::decode(&source.geometry, slot, &bytes));
        }
    }
    Ok(masters)
}

/// How many children of one height the slots list at most, of those whose checksum is right.
pub(super) fn most_children(raw: &Raw, geometry: &Geometry) -> Result<u32> {
    let mut most = 0;
    for slot in Slot::BOTH {
        if let Some(bytes) = slot_bytes(raw, geometry, slot)?.filter(|bytes| is_whole(bytes)) {
            most = most.max(MasterNode::most_children(geometry, &bytes));
        }
    }
    Ok(most)
}
