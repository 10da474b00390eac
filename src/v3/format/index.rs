//! Encoding and arithmetic of the index: children, full nodes, and the rightmost path.

use super::bytes::put_varint;
use super::{NUMBER_LIMIT, Reader, put_u32};

/// Maximum height: with a fan-out of 2, a higher tree would have more blocks than there are numbers.
const MAX_HEIGHT: usize = 62;

/// A reference to a block, or to a full node with all blocks below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Child {
    /// Position of its frame.
    pub(crate) position: u64,
    /// Length of the frame.
    pub(crate) length: u64,
    /// Number of records in or below it.
    pub(crate) records: u64,
    /// Commit time of the last of them.
    pub(crate) time: u64,
    /// The last four bytes of the frame's header, which are part of its checksum and distinguish it from any other
    /// frame at the same position.
    pub(crate) sum: u32,
}

impl Child {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.length
    }
}

/// Appends children, each as the difference from the previous one.
fn encode_children(children: &[Child], before: &mut Child, out: &mut Vec<u8>) {
    for child in children {
        put_varint(out, child.position - before.end());
        put_varint(out, child.length);
        put_varint(out, child.records);
        put_varint(out, child.time - before.time);
        put_u32(out, child.sum);
        *before = *child;
    }
}

fn decode_child(reader: &mut Reader<'_>, before: &Child) -> Option<Child> {
    let position = before.end().checked_add(reader.varint()?)?;
    let (length, records) = (reader.varint()?, reader.varint()?);
    let time = before.time.checked_add(reader.varint()?)?;
    let sum = reader.u32()?;
    let sound =
        position < NUMBER_LIMIT && length < NUMBER_LIMIT && records < NUMBER_LIMIT && time < NUMBER_LIMIT;
    // Empty children could be repeated without end.
    (sound && length > 0 && records > 0).then_some(Child { position, length, records, time, sum })
}

/// Encodes the body of a full node's frame.
pub(crate) fn encode_node(children: &[Child]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_children(children, &mut Child::default(), &mut out);
    out
}

/// Decodes the children of a full node. Returns `None` if the bytes are invalid.
pub(crate) fn decode_node(bytes: &[u8], fan_out: u32) -> Option<Vec<Child>> {
    let (mut reader, mut before) = (Reader(bytes), Child::default());
    let mut children = Vec::with_capacity(fan_out as usize);
    for _ in 0..fan_out {
        before = decode_child(&mut reader, &before)?;
        children.push(before);
    }
    reader.0.is_empty().then_some(children)
}

/// The rightmost path: the incomplete nodes, one for each height; the children of height 1 are blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Path {
    /// By height, the lowest first; each with fewer children than the fan-out.
    levels: Vec<Vec<Child>>,
    records: u64,
}

impl Path {
    /// Adds a child to the node of this height, from 1 on. If that fills the node, it is emptied and its children are
    /// returned, to be written and added one height above.
    pub(crate) fn add(&mut self, height: usize, child: Child, fan_out: u32) -> Option<Vec<Child>> {
        if height == 1 {
            self.records += child.records;
        }
        if self.levels.len() < height {
            self.levels.resize(height, Vec::new());
        }
        let level = &mut self.levels[height - 1];
        level.push(child);
        (level.len() == fan_out as usize).then(|| std::mem::take(level))
    }

    /// Returns the number of levels.
    pub(crate) fn height(&self) -> u8 {
        u8::try_from(self.levels.len()).unwrap_or(u8::MAX)
    }

    /// Returns the children of the node of this height, from 1 on.
    pub(crate) fn level(&self, height: u8) -> &[Child] {
        let level = usize::from(height).checked_sub(1).and_then(|index| self.levels.get(index));
        level.map_or(&[], Vec::as_slice)
    }

    /// Returns the commit time of the last record in a block; 0 if there is none.
    pub(crate) fn time(&self) -> u64 {
        self.levels.iter().find_map(|level| level.last()).map_or(0, |child| child.time)
    }

    /// Returns the number of records in all blocks.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Returns the child that a record in frames is in or below, its height, and the number of records before it.
    pub(crate) fn find(&self, number: u64) -> Option<(usize, &Child, u64)> {
        let mut before = 0;
        for (height, level) in self.levels.iter().enumerate().rev() {
            for child in level {
                if number <= before + child.records {
                    return Some((height, child, before));
                }
                before += child.records;
            }
        }
        None
    }

    /// Iterates over the children, oldest records first, each with its height as a node.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (usize, &Child)> {
        let levels = self.levels.iter().enumerate().rev();
        levels.flat_map(|(height, level)| level.iter().map(move |child| (height, child)))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.levels.len() as u64);
        let mut before = Child::default();
        for level in self.levels.iter().rev() {
            put_varint(&mut out, level.len() as u64);
            encode_children(level, &mut before, &mut out);
        }
        out
    }

    /// Decodes a path over frames up to `limit`. Returns `None` if the bytes are invalid.
    pub(crate) fn decode(bytes: &[u8], fan_out: u32, data_start: u64, limit: u64) -> Option<Self> {
        let mut reader = Reader(bytes);
        let height = usize::try_from(reader.varint()?).ok().filter(|height| *height <= MAX_HEIGHT)?;
        let (mut levels, mut before, mut records) = (Vec::new(), Child::default(), 0_u64);
        for height in (0..height).rev() {
            let count = reader.varint()?;
            let mut level = Vec::new();
            if count >= u64::from(fan_out) {
                return None;
            }
            // Each block below a node has a record; so the tree does not grow beyond the maximum height.
            let least =
                u32::try_from(height).map_or(u64::MAX, |height| u64::from(fan_out).saturating_pow(height));
            for _ in 0..count {
                before = decode_child(&mut reader, &before).filter(|child| child.records >= least)?;
                records = records.checked_add(before.records).filter(|records| *records < NUMBER_LIMIT)?;
                level.push(before);
            }
            levels.push(level);
        }
        let first = levels.iter().flatten().next();
        let inside = before.end() <= limit && first.is_none_or(|first| first.position >= data_start);
        levels.reverse();
        (inside && reader.0.is_empty()).then_some(Self { levels, records })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Returns a path over this many blocks, whose nodes take 10 bytes each.
    fn grow(blocks: u64, fan_out: u32) -> (Path, u64) {
        let (mut path, mut limit) = (Path::default(), 1000);
        for number in 0..blocks {
            let mut child =
                Child { position: limit, length: 100 + number, records: 3, time: number / 2, sum: 7 };
            limit = child.end();
            let mut height = 1;
            while let Some(full) = path.add(height, child, fan_out) {
                let records = full.iter().map(|child| child.records).sum();
                assert_eq!(decode_node(&encode_node(&full), fan_out).unwrap(), full);
                child =
                    Child { position: limit, length: 10, records, time: full.last().unwrap().time, sum: 8 };
                limit = child.end();
                height += 1;
            }
        }
        (path, limit)
    }

    #[test]
    fn paths_come_back_from_their_bytes() {
        for fan_out in [2, 3, 32] {
            for blocks in [0, 1, 2, 3, 7, 31, 32, 33, 100, 1025] {
                let (path, limit) = grow(blocks, fan_out);
                assert_eq!(path.records(), 3 * blocks);
                let bytes = path.encode();
                assert_eq!(Path::decode(&bytes, fan_out, 1000, limit).unwrap(), path);
                assert!(blocks == 0 || Path::decode(&bytes, fan_out, 1000, limit - 1).is_none());
                let starts_with_block = (1..u64::from(fan_out)).contains(&blocks);
                assert!(!starts_with_block || Path::decode(&bytes, fan_out, 1001, limit).is_none());
                assert!(Path::decode(&bytes[..bytes.len() - 1], fan_out, 1000, limit).is_none());
            }
        }
    }

    #[test]
    fn a_full_node_on_the_path_or_a_child_of_nothing_is_refused() {
        let (path, limit) = grow(6, 32);
        assert!(Path::decode(&path.encode(), 6, 1000, limit).is_none());
        assert!(decode_node(&[0; 16], 2).is_none());
    }

    #[test]
    fn a_node_of_fewer_records_than_it_has_blocks_is_refused() {
        for (records, height) in [(1, 1), (3, 2), (4, 2), (1 << 61, 61), ((1 << 61) - 1, 61)] {
            let mut path = Path::default();
            path.add(height + 1, Child { position: 1000, length: 10, records, time: 5, sum: 7 }, 2);
            path.records = records;
            let decoded = Path::decode(&path.encode(), 2, 1000, 1010);
            assert_eq!(decoded, (records >= 1 << height).then_some(path), "{records} records at {height}");
        }
    }
}
