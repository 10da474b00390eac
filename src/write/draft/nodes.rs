//! Index nodes that are written together, as a frame of their own.

use super::Draft;
use crate::error::Result;
use crate::format::{Coordinates, entries, in_memory};

/// Index nodes get a frame of their own once they fill this fraction of a block,
const NODES_DIVISOR: usize = 4;
/// or this fraction if a commit cannot wait for more,
const MIN_NODES_DIVISOR: usize = 8;
/// or when this many blocks have been written since their first record: recovery looks for the nodes of a record in at
/// most twice as many blocks after it.
const MAX_UNINDEXED_BLOCKS: usize = 32;

/// Returns the number of records below a node that is worth a frame together with those below it.
pub(super) fn group_size(block_size: usize, fan_out: usize) -> usize {
    let worth_it = block_size / NODES_DIVISOR / Coordinates::SIZE;
    let mut group = fan_out;
    while group < worth_it {
        group = group.saturating_mul(fan_out);
    }
    group
}

impl Draft {
    /// Writes the nodes of complete groups of records, or of fewer if these have waited long enough.
    pub(super) fn write_ready_nodes(&mut self) -> Result<()> {
        if self.frames.fan_out().saturating_mul(Coordinates::SIZE) > self.frames.block_size() {
            // Records must not wait for a node that may never fill.
            while let Some(record) = self.unindexed.pop_front() {
                self.index(1, record);
            }
        }
        let is_late = self.unindexed_blocks >= MAX_UNINDEXED_BLOCKS;
        self.write_nodes(if is_late { self.in_full_leaves() } else { self.in_full_groups() })
    }

    /// Writes all full nodes if there are enough for a frame.
    pub(super) fn write_all_nodes(&mut self) -> Result<()> {
        let records = self.in_full_leaves();
        let is_worth_it = records * Coordinates::SIZE >= self.frames.block_size() / MIN_NODES_DIVISOR;
        if is_worth_it { self.write_nodes(records) } else { Ok(()) }
    }

    /// Counts the records whose nodes can be written as a frame now: full nodes of all levels up to the one
    /// that justifies it.
    fn in_full_groups(&self) -> usize {
        let indexed = self.node.path.record_count().map_or(0, in_memory) % self.group;
        self.unindexed_up_to_multiple(self.group, indexed)
    }

    /// Counts the records whose nodes can be written as a frame now, whether or not these fill nodes above.
    fn in_full_leaves(&self) -> usize {
        self.unindexed_up_to_multiple(self.frames.fan_out(), self.node.path.children(1).len())
    }

    fn unindexed_up_to_multiple(&self, of: usize, indexed: usize) -> usize {
        let is_possible = !self.open_is_placed && self.unplaced_nodes.is_empty();
        let count = (indexed + self.unindexed.len()) / of * of;
        if is_possible { count.saturating_sub(indexed) } else { 0 }
    }

    /// Indexes this many records, whose nodes become a frame: they are smaller there than among records, and
    /// those that lead to one record are read together.
    fn write_nodes(&mut self, records: usize) -> Result<()> {
        if records == 0 {
            return Ok(());
        }
        let mut path = self.node.path.clone();
        let mut nodes = Vec::new();
        for &record in self.unindexed.iter().take(records) {
            let mut child = Some((1, record));
            while let Some((level, at)) = child {
                child = path.add(level, at).map(|full| {
                    let offset = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                    entries::push_node(&mut nodes, &full);
                    (level + 1, Coordinates { frame: self.node.file_limit, offset })
                });
            }
        }
        self.frames.write_nodes(&nodes, &mut self.node)?;
        self.node.path = path;
        self.unindexed.drain(..records);
        self.unindexed_blocks = 0;
        Ok(())
    }
}
