//! Checks the header against the index: whether its nodes can have the fan-out that the header claims.

use crate::error::{Damage, Error, Result};
use crate::format::{Coordinates, NodePart};
use crate::read::snapshot::Snapshot;

/// Checks the fan-out of a file whose header has no checksum by the first node of each height that the
/// rightmost path leads to; of a large node, only the parts at its ends. With a fan-out that is too large,
/// the bytes after these nodes are read as coordinates, which then point outside of the data.
pub(crate) fn check_fan_out(snapshot: &Snapshot) -> Result<()> {
    let mut checked = 0;
    for (height, at) in snapshot.index().roots().filter(|(height, _)| *height > 0) {
        if height == checked {
            continue;
        }
        checked = height;
        // A block that cannot be read does not contradict the header; a read that needs it reports the error.
        match snapshot.block_reader().block(at.frame) {
            Ok(block) => {
                for child in [0, snapshot.geometry().fan_out - 1] {
                    let part = NodePart::with_child(at, child as usize);
                    check_children(snapshot, at, &snapshot.block_reader().children_in(&block, part)?)?;
                }
            }
            Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Checks that the children of the node at `at` are in the data.
pub(crate) fn check_children(snapshot: &Snapshot, at: Coordinates, children: &[Coordinates]) -> Result<()> {
    let data = snapshot.geometry().data_start()..=snapshot.file_limit();
    let Some(child) = children.iter().find(|child| !data.contains(&child.frame)) else {
        return Ok(());
    };
    let found = format!("a child at ({}, {}) in an index node", child.frame, child.offset);
    let expected = format!("a frame from {} up to {}", data.start(), data.end());
    Err(snapshot.file().corrupt(fan_out_damage(snapshot, found, &expected).at(at.frame)))
}

/// Returns the error for damage to an index node, or to the fan-out in the header.
pub(crate) fn fan_out_damage(snapshot: &Snapshot, found: impl Into<String>, expected: &str) -> Damage {
    let fan_out = snapshot.geometry().fan_out;
    Damage::new(found, format!("{expected}; the header's fan-out of {fan_out} may be wrong"))
}
