//! Checking the slots.

use std::io;

use crate::error::{Damage, Result};
use crate::format::Slot;
use crate::format::master::{self, MasterNode};
use crate::read::current::{forget_slots, read_slot};
use crate::read::open_file::OpenFile;

/// Damage of the slots that does not prevent opening the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SlotDamage {
    pub(crate) damage: Damage,
    /// Whether a crash can leave this, and the next writer repairs it.
    pub(crate) repairable: bool,
}

/// Returns the damage of the slots, if there is any that no active writer explains.
pub(crate) fn find_damage(file: &OpenFile) -> Result<Option<SlotDamage>> {
    let look = || look_for_damage(file).map_err(file.failed("read the master nodes of"));
    let found = look()?;
    if found.is_some() {
        forget_slots(file)?;
    }
    // The same damage twice is not a write in progress.
    Ok(if found.is_some() && found == look()? { found } else { None })
}

fn look_for_damage(file: &OpenFile) -> io::Result<Option<SlotDamage>> {
    let geometry = &file.geometry;
    let mut serials = Vec::new();
    for slot in Slot::BOTH {
        let bytes = read_slot(&*file.storage, geometry, slot)?;
        match MasterNode::decode(geometry, slot, &bytes) {
            Ok(master) => serials.push(master.serial),
            Err(bad) => {
                let repairable = !bad.whole && !master::differs_in_one_bit(&bytes);
                return Ok(Some(SlotDamage { damage: bad.damage, repairable }));
            }
        }
    }
    Ok(gap(&serials).map(|damage| SlotDamage { damage: damage.at(geometry.page()), repairable: true }))
}

/// Returns the damage if serial numbers are not consecutive, as after a power cut without syncs.
fn gap(serials: &[u32]) -> Option<Damage> {
    let (&a, &b) = (serials.first()?, serials.last()?);
    let apart = a.wrapping_sub(b).min(b.wrapping_sub(a));
    (apart != 1).then(|| {
        Damage::new(format!("master nodes of the commits {a} and {b}"), "two that follow each other")
    })
}
