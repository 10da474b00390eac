//! Skipping consecutive records in one block by whole subtrees of the index. Subtrees may be shared, so a
//! file can have far more records than bytes.

use std::collections::HashSet;

use crate::error::Result;
use crate::format::{Coordinates, NodePart};
use crate::read::snapshot::Snapshot;

/// The records in one block.
pub(crate) struct Run<'a> {
    snapshot: &'a Snapshot,
    /// Position of the block's frame.
    frame: u64,
    /// Roots of subtrees, with their heights, whose records are all known to be in the block.
    inside: HashSet<(Coordinates, u32)>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, frame: u64) -> Self {
        Self { snapshot, frame, inside: HashSet::new() }
    }

    /// Advances `next`, the number of a record, to the first one that is not in the block, or cannot be
    /// found.
    pub(crate) fn pass(&mut self, next: &mut u64) -> Result<()> {
        while *next <= self.snapshot.record_count() {
            let (root, height) = self.snapshot.index().subtree_at(*next)?;
            if !self.pass_subtree(root, height, next)? {
                break;
            }
        }
        Ok(())
    }

    /// Skips the first records of a subtree that are in the block, and returns whether all of them are.
    fn pass_subtree(&mut self, root: Coordinates, height: u32, next: &mut u64) -> Result<bool> {
        if height == 0 {
            let is_inside = root.frame == self.frame;
            *next += u64::from(is_inside);
            return Ok(is_inside);
        }
        let fan_out = self.snapshot.geometry().fan_out;
        if self.inside.contains(&(root, height)) {
            *next += u64::from(fan_out).saturating_pow(height);
            return Ok(true);
        }
        let blocks = self.snapshot.block_reader();
        let mut part = Some(NodePart::with_child(root, 0));
        while let Some(at) = part {
            let block = blocks.block(at.frame)?;
            for child in blocks.children_in(&block, at)? {
                if !self.pass_subtree(child, height - 1, next)? {
                    return Ok(false);
                }
            }
            part = at.next(fan_out);
        }
        self.inside.insert((root, height));
        Ok(true)
    }
}
