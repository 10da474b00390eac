//! Finding records without the index above them: blocks are parsed entry by entry, and the full index nodes
//! among the entries distinguish records from metadata, and show how many are missing.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Damage, Result, reserve};
use crate::format::{Coordinates, in_memory};

use super::block::{Found, FoundBlock, Hole};
use super::source::DamagedFrames;

/// Number of frames after the end of a region that are searched for index nodes of its last records.
const FRAMES_BEHIND: usize = 64;

/// Maximum number of entries, unless twice the fan-out is more, that wait for a node which classifies them.
const MAX_LOOSE: usize = 1 << 18;

/// A part of the data, between two records whose places are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// The last record before it.
    pub(super) after: Option<Coordinates>,
    /// The first record after it; `None` at the end of the data.
    pub(super) before: Option<Coordinates>,
    /// The start.
    pub(super) start: u64,
}

/// An item found in a region, in the order of the records.
pub(super) enum Event<'a> {
    /// A readable frame, before its contents.
    Block { bytes: u64 },
    /// A full index node over records, with all its children except those before the region, which follow.
    Leaf { at: Coordinates, records: &'a [Coordinates] },
    /// An entry between records to which no node points: a record or old metadata.
    Loose(Coordinates),
    /// These bytes are damaged, so any number of records may be missing here, before `next`.
    Break { bytes: Range<u64>, bridged: bool, next: Coordinates },
    /// Frames after this do not follow those before it, although records on both sides are below the next leaf.
    Seam,
    /// Any full index node, after its effect on records.
    Node { at: Coordinates, children: &'a [Coordinates] },
    /// Something that certainly is not a record.
    Metadata(Coordinates),
}

/// What is known about entries from the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Records before the region to which no node points yet.
    pub(super) records: &'a [Coordinates],
    /// Metadata, according to master nodes.
    pub(super) metadata: &'a [Coordinates],
}

type Handler<'a> = dyn FnMut(&mut DamagedFrames, Event<'_>) -> Result<()> + 'a;

/// Scans a region and passes what it finds to a handler.
pub(super) struct Survey<'a> {
    region: Region,
    metadata: &'a [Coordinates],
    /// Entries to which no node has pointed so far, in order.
    loose: Vec<Coordinates>,
    holes: Vec<Hole>,
    /// The first hole that is not yet after the last record that was passed on.
    next_hole: usize,
    /// The last record that was passed on.
    last: Option<Coordinates>,
    handle: &'a mut Handler<'a>,
}

impl<'a> Survey<'a> {
    pub(super) fn run(
        source: &mut DamagedFrames,
        region: Region,
        known: Known<'a>,
        handle: &'a mut Handler<'a>,
    ) -> Result<()> {
        let mut survey = Self {
            region,
            metadata: known.metadata,
            loose: known.records.to_vec(),
            holes: Vec::new(),
            next_hole: 0,
            last: region.after,
            handle,
        };
        survey.blocks(source)?;
        survey.finish(source)
    }

    /// Scans the blocks of the region, and those with its last nodes.
    fn blocks(&mut self, source: &mut DamagedFrames) -> Result<()> {
        let mut position = self.region.start;
        let mut behind = 0;
        while position < source.frames.limit || (position == source.frames.limit && source.pending.size() > 0)
        {
            source.survey(position);
            let is_behind = self.region.before.is_some_and(|before| position > before.frame);
            behind += usize::from(is_behind);
            if is_behind && (self.loose.is_empty() || behind > FRAMES_BEHIND) {
                break;
            }
            match source.find(position)? {
                Found::Block(block) => {
                    let bytes = source.readable_end(&block).saturating_sub(block.at);
                    (self.handle)(source, Event::Block { bytes })?;
                    if self.entries(source, &block)? || block.at == source.frames.limit {
                        break;
                    }
                    position = block.end;
                }
                Found::Hole(hole) => {
                    position = hole.range.end;
                    self.holes.push(hole);
                }
            }
        }
        Ok(())
    }

    /// Parses a block. Returns true after the last node of the region.
    fn entries(&mut self, source: &mut DamagedFrames, block: &Arc<FoundBlock>) -> Result<bool> {
        let mut offset = 0;
        while (offset as u64) < block.size() {
            let Ok(at) = u32::try_from(offset) else {
                break;
            };
            let at = Coordinates { frame: block.at, offset: at };
            if let Some(children) = source.rising_node(block, offset) {
                if self.region.before.is_some_and(|before| children[0] >= before) {
                    return Ok(true);
                }
                self.node(source, at, &children)?;
                offset += children.len() * Coordinates::SIZE;
            } else if let Some(end) = block.entry_end(offset)
                && !source.is_cut_node(block, at)
            {
                let inside = self.region.after.is_none_or(|after| at > after)
                    && self.region.before.is_none_or(|before| at < before);
                if self.metadata.contains(&at) {
                    (self.handle)(source, Event::Metadata(at))?;
                } else if inside {
                    self.wait(source, at)?;
                }
                offset = in_memory(end);
            } else {
                self.unreadable_rest(source, block, offset);
                break;
            }
        }
        Ok(false)
    }

    /// Keeps an entry until a node points to it, or until there are too many for any node.
    fn wait(&mut self, source: &mut DamagedFrames, at: Coordinates) -> Result<()> {
        if self.loose.len() >= MAX_LOOSE.max(2 * source.geometry().fan_out as usize) {
            for entry in self.loose.drain(..self.loose.len() / 2).collect::<Vec<_>>() {
                self.hand_over_loose(source, entry)?;
            }
        }
        reserve(&mut self.loose, 1, "entries that no index node points to")?;
        self.loose.push(at);
        Ok(())
    }

    /// Handles the rest of a block that is invalid or lost.
    fn unreadable_rest(&mut self, source: &mut DamagedFrames, block: &FoundBlock, offset: usize) {
        if block.whole {
            let found = format!("bytes that are not an entry at offset {offset} of a block");
            source.note(Damage::new(found, "an entry").at(block.at));
        }
        let range = block.end - 1..block.end;
        self.holes.push(Hole { range, bridged: true });
    }

    fn node(&mut self, source: &mut DamagedFrames, at: Coordinates, children: &[Coordinates]) -> Result<()> {
        if children.iter().any(|child| self.loose.binary_search(child).is_ok()) {
            self.leaf(source, at, children)?;
        }
        (self.handle)(source, Event::Node { at, children })
    }

    /// Handles a node over records: entries before them that are not records of a lost node are metadata, and so
    /// are those between them.
    fn leaf(&mut self, source: &mut DamagedFrames, at: Coordinates, children: &[Coordinates]) -> Result<()> {
        let (first, last) = (children[0], children[children.len() - 1]);
        let end = self.loose.partition_point(|entry| *entry <= last);
        for entry in self.loose.drain(..end).collect::<Vec<_>>() {
            if entry < first && self.is_damaged(entry.frame..at.frame) {
                self.hand_over_loose(source, entry)?;
            } else if children.binary_search(&entry).is_err() {
                (self.handle)(source, Event::Metadata(entry))?;
            }
        }
        let known = self.last.map_or(0, |last| children.partition_point(|child| *child <= last));
        let records = &children[known..];
        let Some(first) = records.first() else {
            return Ok(());
        };
        if known == 0 {
            self.note_break(source, *first)?;
        }
        if self
            .holes
            .iter()
            .any(|hole| !hole.bridged && (first.frame..=last.frame).contains(&hole.range.start))
        {
            (self.handle)(source, Event::Seam)?;
        }
        self.last = records.last().copied();
        (self.handle)(source, Event::Leaf { at, records })
    }

    /// Returns whether frames are damaged between the start of `range` and its end.
    fn is_damaged(&self, range: Range<u64>) -> bool {
        let last = self.holes.partition_point(|hole| hole.range.start <= range.end);
        self.holes[..last].last().is_some_and(|hole| hole.range.end > range.start)
    }

    fn hand_over_loose(&mut self, source: &mut DamagedFrames, entry: Coordinates) -> Result<()> {
        if self.region.after.is_some_and(|after| entry <= after) {
            return Ok(());
        }
        self.note_break(source, entry)?;
        self.last = Some(entry);
        (self.handle)(source, Event::Loose(entry))
    }

    /// Passes on the holes between the last record and `next`, as one.
    fn note_break(&mut self, source: &mut DamagedFrames, next: Coordinates) -> Result<()> {
        let from = self.last.map_or(0, |last| last.frame);
        let known = &self.holes[self.next_hole..];
        let passed = &known[..known.partition_point(|hole| hole.range.start <= next.frame)];
        self.next_hole += passed.len();
        let between = &passed[passed.partition_point(|hole| hole.range.end <= from)..];
        let (Some(first), Some(last)) = (between.first(), between.last()) else {
            return Ok(());
        };
        let bytes = first.range.start..last.range.end;
        let bridged = between.iter().all(|hole| hole.bridged);
        (self.handle)(source, Event::Break { bytes, bridged, next })
    }

    /// Passes on the remaining entries to which no node points, and the damage up to the end.
    fn finish(&mut self, source: &mut DamagedFrames) -> Result<()> {
        for entry in std::mem::take(&mut self.loose) {
            self.hand_over_loose(source, entry)?;
        }
        let end = self.region.before.unwrap_or(Coordinates { frame: source.frames.limit, offset: 0 });
        self.note_break(source, end)
    }
}
