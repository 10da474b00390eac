//! Packed index nodes: the children of a node are usually in a few frames, close to each other.

use std::sync::Arc;

use crate::format::Coordinates;
use crate::read::validity::Validity;

/// A decoded index node in one allocation, a third of the size of its coordinates.
///
/// The words are the epoch and the frame of the node, the numbers of children and runs, the runs, and the
/// children's offsets, two per word if all fit in 16 bits. A run is a sequence of children in the same frame:
/// the index of the first one, and the frame.
#[derive(Debug, Clone)]
pub(crate) struct Node(Arc<[u32]>);

const EPOCH: usize = 0;
const FRAME: usize = 2;
const CHILDREN: usize = 4;
const RUNS: usize = 5;
const HEADER: usize = 6;
/// Number of words in a run.
const RUN: usize = 3;
/// The epoch of entries that are always valid; no real epoch has this number.
const ALWAYS: u64 = 0;

impl Node {
    /// Packs a node with these children, which is in the frame that starts at `frame`.
    pub(crate) fn new(frame: u64, validity: Validity, children: &[Coordinates]) -> Self {
        let epoch = match validity {
            Validity::Always => ALWAYS,
            Validity::Epoch(epoch) => epoch,
        };
        let mut words = Vec::with_capacity(HEADER + 2 * RUN + children.len());
        words.extend(halves(epoch));
        words.extend(halves(frame));
        words.extend([word(children.len()), 0]);
        let mut first = 0;
        for run in children.chunk_by(|one, next| one.frame == next.frame) {
            words.push(word(first));
            words.extend(halves(run[0].frame));
            words[RUNS] += 1;
            first += run.len();
        }
        if children.iter().all(|child| child.offset <= u16::MAX.into()) {
            let pack =
                |pair: &[Coordinates]| pair[0].offset | pair.get(1).map_or(0, |child| child.offset << 16);
            words.extend(children.chunks(2).map(pack));
        } else {
            words.extend(children.iter().map(|child| child.offset));
        }
        Self(words.into())
    }

    /// Returns the start of the node's frame.
    pub(crate) fn frame(&self) -> u64 {
        self.long(FRAME)
    }

    pub(crate) fn validity(&self) -> Validity {
        match self.long(EPOCH) {
            ALWAYS => Validity::Always,
            epoch => Validity::Epoch(epoch),
        }
    }

    /// Returns the node's size in memory in bytes.
    pub(crate) fn size(&self) -> u64 {
        size_of_val(&*self.0) as u64
    }

    /// Returns the child with this index, counted from 0.
    pub(crate) fn child(&self, index: usize) -> Option<Coordinates> {
        let children = self.children();
        if index >= children {
            return None;
        }
        let (runs, offsets) = self.runs_and_offsets();
        let run = runs.partition_point(|run| run[0] as usize <= index).checked_sub(1)?;
        let [_, high, low] = runs[run];
        let frame = u64::from(high) << 32 | u64::from(low);
        Some(Coordinates { frame, offset: offset(offsets, children, index) })
    }

    /// Appends to `found` the offsets of the children after the one with this index, up to the first that is
    /// not in the frame that starts at `frame`.
    pub(crate) fn offsets_behind(&self, index: usize, frame: u64, found: &mut Vec<u32>) {
        let (runs, offsets) = self.runs_and_offsets();
        let run = runs.partition_point(|run| run[0] as usize <= index).saturating_sub(1);
        if runs.get(run).is_some_and(|run| run[1..] == halves(frame)) {
            let end = runs.get(run + 1).map_or(self.children(), |next| next[0] as usize);
            found.extend((index + 1..end).map(|index| offset(offsets, self.children(), index)));
        }
    }

    fn children(&self) -> usize {
        self.0[CHILDREN] as usize
    }

    fn runs_and_offsets(&self) -> (&[[u32; RUN]], &[u32]) {
        let (runs, offsets) = self.0[HEADER..].split_at(RUN * self.0[RUNS] as usize);
        (runs.as_chunks().0, offsets)
    }

    fn long(&self, at: usize) -> u64 {
        u64::from(self.0[at]) << 32 | u64::from(self.0[at + 1])
    }
}

/// Returns the offset of the child with this index, out of `children`.
fn offset(offsets: &[u32], children: usize, index: usize) -> u32 {
    if offsets.len() == children {
        offsets[index]
    } else {
        offsets[index / 2] >> (16 * (index % 2)) & u32::from(u16::MAX)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

/// Converts a number of children, which is at most the fan-out and so fits in 32 bits.
fn word(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(children: &[Coordinates]) {
        let node = Node::new(1 << 40, Validity::Epoch(3 << 33), children);
        assert_eq!((node.frame(), node.validity()), (1 << 40, Validity::Epoch(3 << 33)));
        for (index, child) in children.iter().enumerate() {
            assert_eq!(node.child(index), Some(*child));
            let behind = children[index + 1..].iter().take_while(|next| next.frame == child.frame);
            let behind: Vec<_> = behind.map(|next| next.offset).collect();
            let mut found = Vec::new();
            node.offsets_behind(index, child.frame, &mut found);
            assert_eq!(found, behind);
            node.offsets_behind(index, child.frame + 1, &mut found);
            assert_eq!(found, behind);
        }
        assert_eq!(node.child(children.len()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

        #[test]
        fn the_children_come_out_as_they_went_in(
            children in prop::collection::vec((0..4_u64, any::<u32>()), 1..70),
            far in any::<u32>(),
            narrow in any::<bool>(),
        ) {
            let child = |&(frame, offset): &(u64, u32)| Coordinates {
                frame: (frame * u64::from(far)) << 30,
                offset: if narrow { offset >> 16 } else { offset },
            };
            check(&children.iter().map(child).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_leaf_of_one_block_takes_a_third_of_its_coordinates() {
        let child = |offset| Coordinates { frame: 1 << 41, offset };
        let children: Vec<_> = (0..32).map(|index| child(index * 90)).collect();
        let node = Node::new(1, Validity::Always, &children);
        assert!(node.size() * 3 <= (children.len() * Coordinates::SIZE) as u64);
        assert_eq!(node.validity(), Validity::Always);
    }
}
