//! In which order a walk meets records and nodes, and what it remembers of them.

use std::collections::HashSet;

use crate::format::Coordinates;

/// As many index nodes are remembered at most, in a file that shares them.
pub(super) const MAX_SEEN: usize = 1 << 19;

/// In which order records and nodes are met, which says what is to be remembered of them.
pub(super) enum Order {
    /// Each in the file behind the one before of its height, as every writer writes them. The last of each
    /// height is enough to know that nothing is met twice.
    Rising(Vec<Coordinates>),
    /// Nodes are shared, so that a file may hold far more records than bytes. Nodes that have been looked
    /// at, with the height they were found at, are not looked at again.
    Any(HashSet<(Coordinates, u32)>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Walked {
    ToTheEnd,
    /// Something was met that does not rise.
    InDisorder,
}

/// A record (height 0) or an index node, and the number of its first record.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) at: Coordinates,
    pub(super) height: u32,
    pub(super) first: u64,
}

/// Whether an item has been looked at already.
pub(super) enum Meeting {
    New,
    Again,
    Disorder,
    TooMany,
}

/// What became of an item.
pub(super) enum Visit {
    Node(Vec<Coordinates>),
    Done,
    InDisorder,
    TooMuch,
}

/// An index node on the way, a part of its children, and which of these is next.
pub(super) struct Level {
    pub(super) node: Item,
    pub(super) start: u32,
    pub(super) children: Vec<Coordinates>,
    pub(super) index: usize,
}

impl Level {
    /// The next child in the part, of those that have this many records `below` them.
    pub(super) fn next(&mut self, below: u64) -> Option<Item> {
        let &at = self.children.get(self.index)?;
        let index = u64::from(self.start) + self.index as u64;
        self.index += 1;
        let first = self.node.first.saturating_add(below.saturating_mul(index));
        Some(Item { at, height: self.node.height - 1, first })
    }
}
