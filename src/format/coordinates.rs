//! Where an entry is, and the parts of an index node.

use std::ops::Range;

use crate::format::{get_u32, get_u64};

/// Says where an entry is: the position of its frame in the file, and its offset in the inflated block.
///
/// ```
/// use capturefile::{IndexStep, Structure};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let found = Structure::read(&path)?.path_to(1);
/// let Some(IndexStep::Record { at, .. }) = found.steps.last() else { unreachable!("the file is sound") };
/// assert_eq!(at.offset, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub struct Coordinates {
    /// Where its frame starts in the file; the file limit for an entry of the pending block.
    pub frame: u64,
    /// Where it starts in the inflated block.
    pub offset: u32,
}

impl Coordinates {
    /// Encoded length in bytes.
    pub(crate) const SIZE: usize = 12;
    /// The value where there is nothing to point to.
    pub(crate) const NONE: Self = Self { frame: 0, offset: 0 };

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
    }

    pub(crate) fn decode(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self { frame: get_u64(bytes, at)?, offset: get_u32(bytes, at.checked_add(size_of::<u64>())?)? })
    }
}

/// A part of an index node, from the child with the index `start` on. Nodes of common fan-outs are one part.
/// Larger nodes are never in memory as a whole, since a few bytes of a file can encode a giant one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodePart {
    /// Where the node's frame starts.
    pub(crate) frame: u64,
    /// Where the node starts in its block.
    pub(crate) offset: u32,
    pub(crate) start: u32,
}

impl NodePart {
    /// Number of children in every part except the last.
    pub(crate) const SIZE: u32 = 256;

    /// Returns the part that contains the child with this index.
    pub(crate) fn with_child(node: Coordinates, index: usize) -> Self {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Self { frame: node.frame, offset: node.offset, start: index - index % Self::SIZE }
    }

    /// Returns the node that this is a part of.
    pub(crate) fn node(self) -> Coordinates {
        Coordinates { frame: self.frame, offset: self.offset }
    }

    /// Returns the indices of its children.
    pub(crate) fn children(self, fan_out: u32) -> Range<u32> {
        self.start..self.start.saturating_add(Self::SIZE).min(fan_out)
    }

    /// Returns the next part.
    pub(crate) fn next(self, fan_out: u32) -> Option<Self> {
        let start = self.start.checked_add(Self::SIZE).filter(|start| *start < fan_out)?;
        Some(Self { start, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_survive_the_round_trip() {
        let coordinates = Coordinates { frame: 0x0102_0304_0506_0708, offset: 0x090A_0B0C };
        let mut bytes = Vec::new();
        coordinates.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(Coordinates::decode(&bytes, 0), Some(coordinates));
        assert_eq!(Coordinates::decode(&bytes, 1), None);
    }
}
