//! Entries of a block: records and metadata with their length before them, and index nodes.

use std::ops::Range;

use crate::error::{Damage, Error, Result, reserve};
use crate::format::{Coordinates, LENGTH_SIZE, MAX_ENTRY_LEN, get_u32};

/// Appends a record or metadata, preceded by its length.
pub(crate) fn push_entry(block: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    let length = u32::try_from(entry.len())
        .map_err(|_| Error::TooLarge { length: entry.len() as u64, limit: MAX_ENTRY_LEN })?;
    reserve(block, LENGTH_SIZE + entry.len(), "a record")?;
    block.extend_from_slice(&length.to_be_bytes());
    block.extend_from_slice(entry);
    Ok(())
}

/// Appends an index node, which has no length prefix: its length follows from the fan-out.
pub(crate) fn push_node(block: &mut Vec<u8>, children: &[Coordinates]) {
    for child in children {
        child.encode(block);
    }
}

/// Returns the range of bytes in `block` of the entry at `offset`.
pub(crate) fn entry_range(block: &[u8], offset: u32) -> std::result::Result<std::ops::Range<usize>, Damage> {
    let size = block.len() as u64;
    let length = get_u32(block, offset as usize).ok_or_else(|| entry_outside(offset, size))?;
    check_entry(offset, length, size)?;
    let start = offset as usize + LENGTH_SIZE;
    Ok(start..start + length as usize)
}

/// Checks that an entry of `length` bytes ends inside its block of `size` bytes.
pub(crate) fn check_entry(offset: u32, length: u32, size: u64) -> std::result::Result<(), Damage> {
    if u64::from(offset) + LENGTH_SIZE as u64 + u64::from(length) <= size {
        return Ok(());
    }
    Err(Damage::new(
        format!("an entry of {length} bytes at offset {offset} of a block of {size} bytes"),
        "an entry that ends inside its block",
    ))
}

/// Describes an entry whose length prefix is outside its block of `size` bytes.
pub(crate) fn entry_outside(offset: u32, size: u64) -> Damage {
    Damage::new(
        format!("an entry at offset {offset} of a block of {size} bytes"),
        "an offset inside the block",
    )
}

/// Describes an index node of `length` bytes that does not end inside its block of `size` bytes.
pub(crate) fn node_outside(offset: u32, length: u64, size: u64) -> Damage {
    Damage::new(
        format!("an index node at offset {offset} of a block of {size} bytes"),
        format!("{length} bytes from there"),
    )
}

/// Decodes the index node at `offset` of `block`.
pub(crate) fn node_at(
    block: &[u8],
    offset: u32,
    fan_out: u32,
) -> std::result::Result<Vec<Coordinates>, Damage> {
    children_at(block, offset, fan_out, 0..fan_out)
}

/// Decodes some children of the index node at `offset` of `block`, all of which must be in the block.
pub(crate) fn children_at(
    block: &[u8],
    offset: u32,
    fan_out: u32,
    children: Range<u32>,
) -> std::result::Result<Vec<Coordinates>, Damage> {
    let length = u64::from(fan_out) * Coordinates::SIZE as u64;
    let outside = || node_outside(offset, length, block.len() as u64);
    let node = block.get(offset as usize..).filter(|rest| rest.len() as u64 >= length).ok_or_else(outside)?;
    let place = |index: u32| index as usize * Coordinates::SIZE;
    let bytes = node.get(place(children.start)..place(children.end)).ok_or_else(outside)?;
    // Each chunk is long enough to be decoded, and knowing the length in advance means one allocation.
    let children = bytes.chunks_exact(Coordinates::SIZE);
    Ok(children.map(|child| Coordinates::decode(child, 0).unwrap_or_default()).collect())
}

/// Returns whether the children of an index node at `at` are in ascending order, from `start` on and before the node
/// itself, as writers store them.
pub(crate) fn rise_up_to(children: &[Coordinates], at: Coordinates, start: u64) -> bool {
    children.first().is_some_and(|first| first.frame >= start)
        && children.last().is_some_and(|last| *last < at)
        && children.is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn entries_that_leave_their_block_are_refused() {
        let mut block = Vec::new();
        push_entry(&mut block, b"abc").unwrap();
        assert_eq!(entry_range(&block, 0), Ok(4..7));
        assert!(entry_range(&block, 1).is_err());
        assert!(entry_range(&block, 4).is_err());
        assert!(entry_range(&block, u32::MAX).is_err());
        assert!(node_at(&block, 0, 1).is_err());
        assert!(node_at(&[0; 24], 0, 2).is_ok());
        assert!(node_at(&[0; 24], 1, 2).is_err());
    }
}
