//! The order in which a walk reaches records and nodes, and what it remembers about them.

use std::collections::HashSet;

use crate::format::Coordinates;

/// Maximum number of index nodes to remember, in a file that shares them.
pub(super) const MAX_SEEN: usize = 1 << 19;

/// The order in which records and nodes are reached, which determines what to remember.
pub(super) enum Order {
    /// Each is after the previous one of its height in the file, as in files of every writer. Remembering the
    /// last of each height suffices to exclude duplicates.
    Rising(Vec<Coordinates>),
    /// Nodes are shared, so that a file may have far more records than bytes. Each combination of a node and a
    /// height is checked once.
    Any(HashSet<(Coordinates, u32)>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Walked {
    ToTheEnd,
    /// An item is not after the previous one.
    InDisorder,
}

/// A record (height 0) or an index node, and the number of its first record.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) at: Coordinates,
    pub(super) height: u32,
    pub(super) first: u64,
}

/// Whether an item has been checked already.
pub(super) enum Meeting {
    New,
    Again,
    Disorder,
    TooMany,
}

/// The result of checking an item.
pub(super) enum Visit {
    Node(Vec<Coordinates>),
    Done,
    InDisorder,
    TooMuch,
}

/// An index node on the path, a part of its children, and the next one of these.
pub(super) struct Level {
    pub(super) node: Item,
    pub(super) start: u32,
    pub(super) children: Vec<Coordinates>,
    pub(super) index: usize,
}

impl Level {
    /// Returns the next child in the part; each has `below` records.
    pub(super) fn next(&mut self, below: u64) -> Option<Item> {
        let &at = self.children.get(self.index)?;
        let index = u64::from(self.start) + self.index as u64;
        self.index += 1;
        let first = self.node.first.saturating_add(below.saturating_mul(index));
        Some(Item { at, height: self.node.height - 1, first })
    }
}
