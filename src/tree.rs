//! The index tree as pure arithmetic: its rightmost path, adding a child, finding a record.
//!
//! Records hang off a tree of fixed fan-out. Full nodes are written once and never change; only the
//! unfinished rightmost node of each level can, and those live in the master node. Nothing here reads
//! or writes: a node that fills up is handed to the caller, who stores it and adds it one level higher.

/// Maximum number of records in a sound file, so that the number after the last one fits in 64 bits.
pub(crate) const MAX_RECORDS: u64 = u64::MAX - 1;

/// The unfinished rightmost node of each level. Level 1 is the one whose children are records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RightmostPath<C> {
    fan_out: u32,
    /// Children by level, level 1 first; each holds fewer than `fan_out`.
    levels: Vec<Vec<C>>,
}

/// A step from the rightmost path down to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descent<C> {
    /// A record if `height` is 0, else the root of a perfect subtree of that height.
    pub(crate) root: C,
    pub(crate) height: u32,
    /// Index of the record among those below `root`, from 0.
    pub(crate) index: u64,
}

impl<C: Copy> RightmostPath<C> {
    pub(crate) fn new(fan_out: u32) -> Self {
        Self { fan_out, levels: Vec::new() }
    }

    /// Adds a child to the level `level`. A node that this fills is emptied and returned: the caller stores
    /// it, and adds its coordinates to the level above.
    pub(crate) fn add(&mut self, level: u8, child: C) -> Option<Vec<C>> {
        let level = usize::from(level);
        if self.levels.len() < level {
            self.levels.resize(level, Vec::new());
        }
        let children = &mut self.levels[level - 1];
        children.push(child);
        (children.len() as u64 == u64::from(self.fan_out)).then(|| std::mem::take(children))
    }

    /// Returns the children of the level `level`, oldest first.
    pub(crate) fn children(&self, level: u8) -> &[C] {
        usize::from(level).checked_sub(1).and_then(|index| self.levels.get(index)).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of levels.
    pub(crate) fn height(&self) -> u8 {
        // A level is one byte in the format, so there are never more than 255.
        u8::try_from(self.levels.len()).unwrap_or(u8::MAX)
    }

    /// Returns the number of children on all levels.
    pub(crate) fn child_count(&self) -> usize {
        self.levels.iter().map(Vec::len).sum()
    }

    /// Returns the number of records below the whole path, or `None` if it exceeds [`MAX_RECORDS`].
    pub(crate) fn record_count(&self) -> Option<u64> {
        let mut total: u64 = 0;
        for (height, children) in (0..).zip(&self.levels) {
            if children.is_empty() {
                continue;
            }
            let below = u64::from(self.fan_out).checked_pow(height)?;
            total = total.checked_add(below.checked_mul(children.len() as u64)?)?;
        }
        Some(total).filter(|total| *total <= MAX_RECORDS)
    }

    /// Returns the first step to the record with the given index, counted from 0; `None` past the end.
    pub(crate) fn descend(&self, mut index: u64) -> Option<Descent<C>> {
        for (height, children) in (0..self.height().into()).zip(&self.levels).rev() {
            if children.is_empty() {
                continue;
            }
            let below = u64::from(self.fan_out).checked_pow(height)?;
            let child = usize::try_from(index / below).ok()?;
            if let Some(&root) = children.get(child) {
                return Some(Descent { root, height, index: index % below });
            }
            index -= below * children.len() as u64;
        }
        None
    }
}

impl<C: Copy> Descent<C> {
    /// Returns which child of `root` the record is under, and the record's index below that child.
    pub(crate) fn step(self, fan_out: u32) -> (usize, u64) {
        // `height` is at least 1 here, and this power was small enough to count the records.
        let below = u64::from(fan_out).saturating_pow(self.height - 1);
        let child = usize::try_from(self.index / below).unwrap_or(usize::MAX);
        (child, self.index % below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Builds a tree of `count` records and keeps every full node, as a writer would.
    fn grow(fan_out: u32, count: u64) -> (RightmostPath<u64>, HashMap<u64, Vec<u64>>) {
        let mut path = RightmostPath::new(fan_out);
        let mut nodes = HashMap::new();
        for record in 0..count {
            let mut child = record;
            for level in 1.. {
                let Some(full) = path.add(level, child) else {
                    break;
                };
                child = nodes.len() as u64;
                nodes.insert(child, full);
            }
        }
        (path, nodes)
    }

    fn find(path: &RightmostPath<u64>, nodes: &HashMap<u64, Vec<u64>>, index: u64) -> Option<u64> {
        let mut descent = path.descend(index)?;
        while descent.height > 0 {
            let (child, index) = descent.step(path.fan_out);
            descent = Descent { root: nodes[&descent.root][child], height: descent.height - 1, index };
        }
        Some(descent.root)
    }

    #[test]
    fn every_record_is_found_by_its_number_at_every_size() {
        for fan_out in [2, 3, 5, 32] {
            let counts = (0..40).chain([63, 64, 65, 1000, 1024, 1025]);
            for count in counts.take(if cfg!(miri) { 43 } else { 46 }).step_by(if cfg!(miri) { 9 } else { 1 })
            {
                let (path, nodes) = grow(fan_out, count);
                assert_eq!(path.record_count(), Some(count));
                for index in 0..count {
                    assert_eq!(find(&path, &nodes, index), Some(index), "{fan_out} {count}");
                }
                assert_eq!(path.descend(count), None);
            }
        }
    }

    #[test]
    fn a_level_never_holds_a_full_node() {
        let (path, _) = grow(3, 3 * 3 * 3 - 1);
        assert_eq!(path.height(), 3);
        for level in 1..=3 {
            assert_eq!(path.children(level).len(), 2);
        }
        assert_eq!(path.child_count(), 6);
    }

    #[test]
    fn a_count_past_64_bits_is_no_number() {
        let mut path = RightmostPath::new(32);
        path.add(13, 0);
        assert_eq!(path.record_count(), Some(1 << 60));
        path.add(14, 0);
        assert_eq!(path.record_count(), None);
    }

    #[test]
    fn the_number_after_the_last_record_is_a_number_too() {
        // With x for the fan-out, 2^64 - 1 is x^2 + 2 x.
        let mut path = RightmostPath::new(u32::MAX);
        path.add(3, 0);
        path.add(2, 0);
        assert_eq!(path.record_count(), Some(u64::MAX - u64::from(u32::MAX)));
        path.add(2, 0);
        assert_eq!(path.record_count(), None);
    }
}
