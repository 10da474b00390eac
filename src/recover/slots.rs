//! The two slots of a damaged file.

use std::time::Duration;

use crate::error::{Damage, Error, Result};
use crate::format::master::{MasterNode, by_age, has_right_checksum};
use crate::format::{Coordinates, Geometry, Slot, in_memory};

use super::raw::{Raw, copy};

/// Maximum number of times that a slot which a writer may be writing is read, with a pause.
const MAX_LOOKS: usize = 20;
/// Files in fuzzing have no writer.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 20 });

/// The bytes of the two slots, at their places for some page and block size.
#[derive(PartialEq, Eq)]
pub(super) struct Slots {
    bytes: [Vec<u8>; 2],
}

impl Slots {
    /// Reads both; a slot that is not in the file is empty.
    pub(super) fn read(raw: &Raw, geometry: &Geometry) -> Result<Self> {
        let bytes = |slot| {
            let start = geometry.slot_position(slot);
            raw.read(start..start + geometry.slot_size()).map(Option::unwrap_or_default)
        };
        Ok(Self { bytes: [bytes(Slot::A)?, bytes(Slot::B)?] })
    }

    /// Copies both from the first bytes of the file.
    pub(super) fn copy_from(start: &[u8], geometry: &Geometry) -> Result<Self> {
        let bytes = |slot| copy(slot_in(start, geometry, slot), "a master node");
        Ok(Self { bytes: [bytes(Slot::A)?, bytes(Slot::B)?] })
    }

    /// Returns the slots with a correct checksum.
    fn whole(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter().map(Vec::as_slice).filter(|bytes| has_right_checksum(bytes))
    }

    /// Returns whether one of them has a correct checksum, which is unlikely with wrong sizes.
    pub(super) fn confirm_sizes(&self) -> bool {
        self.whole().next().is_some()
    }

    /// Returns the maximum number of children that they list at one height.
    pub(super) fn max_children(&self, geometry: &Geometry) -> u32 {
        self.whole().map(|bytes| MasterNode::most_children(geometry, bytes)).max().unwrap_or_default()
    }

    /// Decodes them with this fan-out.
    pub(super) fn states(&self, geometry: &Geometry) -> [SlotState; 2] {
        let [a, b] = &self.bytes;
        [decode(geometry, Slot::A, a), decode(geometry, Slot::B, b)]
    }

    /// Decodes them after reading a slot that a writer may be writing again until it does not change.
    pub(super) fn settle(mut self, raw: &Raw, geometry: &Geometry) -> Result<[SlotState; 2]> {
        for _ in 0..MAX_LOOKS {
            let states = self.states(geometry);
            if states.iter().all(|state| matches!(state, SlotState::Good(_))) {
                return Ok(states);
            }
            std::thread::sleep(PAUSE);
            let again = Self::read(raw, geometry)?;
            if again == self {
                return Ok(states);
            }
            self = again;
        }
        Err(Error::corrupt(
            &raw.path,
            Damage::new("master nodes that keep changing", "a file that nobody writes"),
        ))
    }
}

/// Returns the bytes of a slot from the first bytes of the file; none if it is not completely there.
pub(super) fn slot_in<'a>(start: &'a [u8], geometry: &Geometry, slot: Slot) -> &'a [u8] {
    let position = geometry.slot_position(slot);
    start.get(in_memory(position)..in_memory(position + geometry.slot_size())).unwrap_or_default()
}

/// The content of a slot.
pub(super) enum SlotState {
    Good(Box<MasterNode>),
    /// The damage, and the serial number if the slot still has plausible numbers of a commit.
    Bad {
        damage: Damage,
        serial: Option<u32>,
    },
}

impl SlotState {
    pub(super) fn master(&self) -> Option<&MasterNode> {
        match self {
            Self::Good(master) => Some(master),
            Self::Bad { .. } => None,
        }
    }

    /// Returns the place of the metadata, if the slot contains it.
    pub(super) fn metadata(&self) -> Option<Coordinates> {
        self.master().map(|master| master.metadata).filter(|at| !at.is_none())
    }
}

/// Returns the current master node, and whether the other slot may have held a later one.
pub(super) fn current(slots: [SlotState; 2]) -> (Option<MasterNode>, bool) {
    match slots {
        [SlotState::Good(a), SlotState::Good(b)] => {
            let [_, newer] = by_age(*a, *b);
            (Some(newer), false)
        }
        [SlotState::Good(good), SlotState::Bad { serial, .. }]
        | [SlotState::Bad { serial, .. }, SlotState::Good(good)] => {
            // The slot of the previous commit is no longer needed; its number distinguishes it from that of a later
            // one.
            let is_older = serial == Some(good.serial.wrapping_sub(1));
            (Some(*good), !is_older)
        }
        [SlotState::Bad { .. }, SlotState::Bad { .. }] => (None, true),
    }
}

fn decode(geometry: &Geometry, slot: Slot, bytes: &[u8]) -> SlotState {
    match MasterNode::decode(geometry, slot, bytes) {
        Ok(master) => SlotState::Good(Box::new(master)),
        Err(bad) => SlotState::Bad { damage: bad.damage, serial: MasterNode::serial_said(geometry, bytes) },
    }
}
