//! Recognises empty and half-created files, which become capture files in place.

use std::io;

use crate::format::master::MasterNode;
use crate::format::{Geometry, Slot, in_memory};
use crate::storage::{Storage, read_up_to};
use crate::write::options::FIRST_SERIALS;

/// Returns whether a file of `length` bytes is the remains of an interrupted creation, with this geometry and without
/// metadata: the header is written last.
pub(crate) fn is_unmade(storage: &dyn Storage, length: u64, geometry: &Geometry) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    if length != geometry.initial_length() {
        return Ok(false);
    }
    let header = geometry.encode();
    let mut found = vec![0; header.len()];
    read_up_to(storage, &mut found, 0)?;
    if found == header {
        return Ok(false);
    }
    found.resize(in_memory(length), 0);
    read_up_to(storage, &mut found, 0)?;
    let mut made = vec![0; in_memory(length)];
    made[..header.len()].copy_from_slice(&header);
    for serial in FIRST_SERIALS {
        let mut image = Vec::new();
        MasterNode::empty(geometry).encode(serial, geometry, &mut image);
        let start = in_memory(geometry.slot_position(Slot::of_serial(serial)));
        made[start..start + image.len()].copy_from_slice(&image);
    }
    Ok(found.iter().zip(&made).all(|(&found, &made)| found == 0 || found == made))
}
