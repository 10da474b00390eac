//! The repair that a writer makes of the two slots before it builds on one.

use crate::error::{Damage, Error, Result};
use crate::format::master::{MasterNode, by_age};
use crate::format::{Slot, image_index};
use crate::read::current::{forget_slots, read_slot};
use crate::read::open_file::OpenFile;
use crate::storage::write_all;

/// The known content of each slot; `None` for an incomplete slot.
pub(crate) type SlotImages = [Option<Vec<u8>>; 2];

/// Finds the current node for a writer, which has exclusive access, and makes both slots sound and
/// consecutive: the writer must not build upon a state that an earlier writer left half-written, or only in memory.
pub(crate) fn repair(file: &OpenFile, sync: bool) -> Result<(MasterNode, SlotImages)> {
    let (storage, geometry) = (&*file.storage, &file.geometry);
    if sync {
        storage.sync().map_err(file.failed("sync"))?;
        forget_slots(file)?;
    }
    let mut images = SlotImages::default();
    let mut nodes = [None, None];
    let mut damage = None;
    for (index, slot) in Slot::BOTH.into_iter().enumerate() {
        let bytes = read_slot(storage, geometry, slot).map_err(file.failed("read the master nodes of"))?;
        match MasterNode::decode(geometry, slot, &bytes) {
            Ok(node) => {
                nodes[index] = Some(node);
                images[index] = Some(bytes);
            }
            Err(bad) if bad.whole => return Err(Error::corrupt(&file.path, bad.damage)),
            Err(bad) => damage = Some(bad.damage),
        }
    }
    let [a, b] = nodes;
    let mut current = match (a, b) {
        (Some(a), Some(b)) => {
            let [older, newer] = by_age(a, b);
            let consecutive = newer.serial.wrapping_sub(older.serial) == 1;
            // After a failed sync, the newest slot may be in memory only; it must be on the disk.
            if sync || !consecutive {
                rewrite(file, &images, &newer)?;
            }
            if sync {
                storage.sync().map_err(file.failed("sync"))?;
            }
            if consecutive {
                return Ok((newer, images));
            }
            newer
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => {
            let damage = damage.unwrap_or_else(|| Damage::new("no master node", "at least one"));
            return Err(Error::corrupt(&file.path, damage));
        }
    };
    current.serial = current.serial.wrapping_add(1);
    let mut bytes = Vec::new();
    current.encode(current.serial, geometry, &mut bytes);
    images[image_index(current.serial)] = Some(bytes);
    rewrite(file, &images, &current)?;
    if sync {
        storage.sync().map_err(file.failed("sync"))?;
    }
    Ok((current, images))
}

fn rewrite(file: &OpenFile, images: &SlotImages, master: &MasterNode) -> Result<()> {
    let position = file.geometry.slot_position(Slot::of_serial(master.serial));
    let Some(bytes) = &images[image_index(master.serial)] else {
        return Ok(());
    };
    write_all(&*file.storage, bytes, position).map_err(file.failed("repair the master nodes of"))
}
