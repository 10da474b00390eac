//! Verifying a file of version 2: its frames, index and records.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::inflate_stream::Cursor;
use crate::error::{Damage, Error, Result};
use crate::format::entries::{check_entry, entry_outside, node_at, rise_up_to};
use crate::format::{Coordinates, Geometry, LENGTH_SIZE, NodePart, get_u32};
use crate::read::block::Block;
use crate::read::fan_out::{check_children, fan_out_damage};
use crate::read::open_file::OpenFile;
use crate::read::snapshot::Snapshot;
use crate::storage::read_up_to;
use crate::sync::progress::Monitor;

use super::order::{Item, Level, MAX_SEEN, Meeting, Order, Visit, Walked};
use super::report::Report;
use super::slots::find_damage;

/// While the index is walked, at most this multiple of the bytes of all blocks is inflated, plus a constant. The index
/// of a writer leads to each block once from each height, and most blocks are then in memory.
const MAX_TIMES_INFLATED: u64 = 8;

const MAX_INFLATED: u64 = 64 * 1024 * 1024;

pub(super) struct VerifyWalk<'a> {
    snapshot: &'a Arc<Snapshot>,
    pub(super) order: Order,
    /// Frames that have been reported, and are not tried again for each item in them.
    pub(super) broken: HashSet<u64>,
    /// The last block, which probably also contains the next item.
    block: Option<(u64, Arc<Block>)>,
    /// Cursors in blocks that are too large to keep, by the height of the items that are read in them.
    cursors: Vec<Option<(u64, Cursor)>>,
    /// Number of bytes that may still be inflated while the index is walked; `None` for no limit.
    pub(super) inflate_budget: Option<u64>,
    /// Place where the next node of the lowest height must be, because there are coordinates.
    next_leaf: Option<Coordinates>,
    monitor: Monitor<'a>,
    pub(super) report: Report,
}

impl<'a> VerifyWalk<'a> {
    pub(super) fn new(snapshot: &'a Arc<Snapshot>, monitor: Monitor<'a>) -> Self {
        let report = Report { record_count: snapshot.record_count(), ..Report::default() };
        Self {
            snapshot,
            order: Order::Rising(Vec::new()),
            broken: HashSet::new(),
            block: None,
            cursors: Vec::new(),
            inflate_budget: None,
            next_leaf: None,
            monitor,
            report,
        }
    }

    fn geometry(&self) -> Geometry {
        self.snapshot.geometry()
    }

    /// Reports damage and continues; other errors end the walk.
    pub(super) fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { damage, .. }) => {
                self.report.note(damage);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn header_and_slots(&mut self) -> Result<()> {
        let file: &OpenFile = self.snapshot.file();
        let mut header = [0; Geometry::HEADER_SIZE];
        read_up_to(&*file.storage, &mut header, 0).map_err(file.failed("read the header of"))?;
        if let Some(damage) = Geometry::damaged_tag(&header) {
            self.report.note(damage);
        }
        if let Some(found) = find_damage(file)? {
            if found.repairable {
                self.report.repairable.push(found.damage);
            } else {
                self.report.note(found.damage);
            }
        }
        Ok(())
    }

    /// Checks that the frames follow each other from the start of the data to the file limit. Returns the number
    /// of bytes that may then be inflated while the index is walked.
    pub(super) fn frames(&mut self) -> Result<u64> {
        let mut inflated: u64 = 0;
        let mut position = self.geometry().data_start();
        while position < self.snapshot.file_limit() {
            let Some(end) = self.keep(self.snapshot.frames().end_of(position))? else {
                break;
            };
            if let Some(block) = self.keep(self.snapshot.frames().inflate(position))? {
                self.report.frames += 1;
                inflated = inflated.saturating_add(block.size);
            } else {
                self.broken.insert(position);
            }
            self.monitor.advance_to(end / 2);
            self.monitor.add_work(end - position)?;
            position = end;
        }
        Ok(inflated.saturating_mul(MAX_TIMES_INFLATED).saturating_add(MAX_INFLATED))
    }

    /// Checks that the frames follow each other from the last one on the rightmost path to the file limit.
    pub(super) fn last_frames(&mut self) -> Result<()> {
        let Some(mut position) = self.snapshot.index().roots().map(|(_, at)| at.frame).max() else {
            return Ok(());
        };
        while position < self.snapshot.file_limit() {
            let Some(end) = self.keep(self.snapshot.frames().end_of(position))? else {
                break;
            };
            if self.block(position)?.is_some() {
                self.report.frames += 1;
            }
            position = end;
        }
        Ok(())
    }

    /// Returns the items on the rightmost path, oldest records first.
    fn roots(&self) -> Vec<Item> {
        let mut first = 1;
        let mut roots = Vec::new();
        for (height, at) in self.snapshot.index().roots() {
            roots.push(Item { at, height, first });
            first += self.records_below(height);
        }
        roots
    }

    fn records_below(&self, height: u32) -> u64 {
        u64::from(self.geometry().fan_out).saturating_pow(height)
    }

    /// Walks the tree in the order of its records, without recursion.
    pub(super) fn tree(&mut self) -> Result<Walked> {
        for root in self.roots() {
            let mut path: Vec<Level> = Vec::new();
            let mut next = Some(root);
            loop {
                if let Some(item) = next.take() {
                    match self.visit(item, 0)? {
                        Visit::Node(children) => {
                            path.push(Level { node: item, start: 0, children, index: 0 });
                        }
                        Visit::Done => {}
                        Visit::InDisorder => return Ok(Walked::InDisorder),
                        Visit::TooMuch => return Ok(Walked::ToTheEnd),
                    }
                }
                let Some(level) = path.last_mut() else {
                    break;
                };
                let below = u64::from(self.snapshot.geometry().fan_out).saturating_pow(level.node.height - 1);
                if let Some(item) = level.next(below) {
                    next = Some(item);
                } else if !self.go_on(level)? {
                    path.pop();
                }
            }
        }
        Ok(Walked::ToTheEnd)
    }

    /// Continues with the next part of a node. Returns false if there is none.
    fn go_on(&mut self, level: &mut Level) -> Result<bool> {
        let fan_out = self.geometry().fan_out;
        let part = NodePart { start: level.start, ..NodePart::with_child(level.node.at, 0) };
        let Some(part) = part.next(fan_out) else {
            return Ok(false);
        };
        (level.start, level.index) = (part.start, 0);
        let block = self.block(part.frame)?;
        let children = block.map(|block| self.node(&block, level.node, part.start)).transpose()?.flatten();
        if children.is_none() {
            let below = self.records_below(level.node.height - 1);
            let first = level.node.first.saturating_add(below.saturating_mul(part.start.into()));
            self.report.note_unreadable(first, below.saturating_mul(u64::from(fan_out - part.start)));
        }
        let found = children.is_some();
        level.children = children.unwrap_or_default();
        Ok(found)
    }

    /// Checks the records and nodes at both edges of each subtree on the rightmost path, from top to bottom.
    pub(super) fn edges(&mut self) -> Result<()> {
        for root in self.roots() {
            for last in [false, true] {
                // The descents along the two edges may reach the same items.
                self.order = Order::Rising(Vec::new());
                self.next_leaf = None;
                let mut next = Some(root).filter(|root| !last || root.height > 0);
                while let Some(item) = next.take() {
                    let index = if last { self.geometry().fan_out - 1 } else { 0 };
                    let start = NodePart::with_child(item.at, index as usize).start;
                    let Visit::Node(part) = self.visit(item, start)? else {
                        break;
                    };
                    let height = item.height - 1;
                    let first = item.first + self.records_below(height).saturating_mul(index.into());
                    next = part.get((index - start) as usize).map(|&at| Item { at, height, first });
                }
            }
        }
        Ok(())
    }

    /// Checks a record, or a node and its part from the child `start` on.
    fn visit(&mut self, item: Item, start: u32) -> Result<Visit> {
        if item.height == 0 {
            self.monitor.advance_to(self.snapshot.file_limit().midpoint(item.at.frame));
        }
        self.monitor.add_work(0)?;
        match self.meet(item) {
            Meeting::New if self.inflate_budget != Some(0) => {}
            Meeting::Again => return Ok(Visit::Done),
            Meeting::Disorder => return Ok(Visit::InDisorder),
            Meeting::New => return Ok(self.give_up("keeps leading back to the same blocks")),
            Meeting::TooMany => return Ok(self.give_up(&format!("shares more than {MAX_SEEN} nodes"))),
        }
        let found = match self.block(item.at.frame)? {
            None => None,
            Some(block) if item.height == 0 => self.record(block, item.at)?.map(|()| Visit::Done),
            Some(block) => self.node(&block, item, start)?.map(Visit::Node),
        };
        match &found {
            Some(Visit::Node(_)) => self.report.index_nodes += 1,
            Some(_) => self.report.records_checked += 1,
            None => self.report.note_unreadable(item.first, self.records_below(item.height)),
        }
        Ok(found.unwrap_or(Visit::Done))
    }

    fn give_up(&mut self, does: &str) -> Visit {
        let found = format!("an index that {does}");
        let expected = "one as writers create it; the records from here on have not been checked";
        self.report.note(Damage::new(found, expected));
        Visit::TooMuch
    }

    fn spend(&mut self, bytes: u64) {
        self.inflate_budget = self.inflate_budget.map(|left| left.saturating_sub(bytes));
    }

    fn meet(&mut self, item: Item) -> Meeting {
        match &mut self.order {
            Order::Rising(last) => {
                let height = item.height as usize;
                if last.len() <= height {
                    last.resize(height + 1, Coordinates::NONE);
                }
                let before = std::mem::replace(&mut last[height], item.at);
                if before < item.at { Meeting::New } else { Meeting::Disorder }
            }
            Order::Any(_) if item.height == 0 => Meeting::New,
            Order::Any(seen) if seen.contains(&(item.at, item.height)) => Meeting::Again,
            Order::Any(seen) if seen.len() >= MAX_SEEN => Meeting::TooMany,
            Order::Any(seen) => {
                seen.insert((item.at, item.height));
                Meeting::New
            }
        }
    }

    /// Returns the block whose frame starts at `frame`, unless it is damaged.
    fn block(&mut self, frame: u64) -> Result<Option<Arc<Block>>> {
        match &self.block {
            Some((at_hand, block)) if *at_hand == frame => return Ok(Some(Arc::clone(block))),
            _ if self.broken.contains(&frame) => return Ok(None),
            _ => {}
        }
        let cached = self.snapshot.block_reader().cached_block(frame);
        let is_new = cached.is_none();
        let Some(block) = self.keep(cached.map_or_else(|| self.snapshot.block_reader().block(frame), Ok))?
        else {
            self.broken.insert(frame);
            return Ok(None);
        };
        self.spend(if is_new { block.size } else { 0 });
        self.block = Some((frame, Arc::clone(&block)));
        Ok(Some(block))
    }

    /// Returns whether the record at `at`, in `block`, can be read.
    fn record(&mut self, block: Arc<Block>, at: Coordinates) -> Result<Option<()>> {
        if block.is_whole() {
            return self.keep(self.snapshot.block_reader().entry_in(block, at).map(drop));
        }
        let checked = self.bounds(&block, at);
        self.keep(checked)
    }

    /// Checks that a record ends inside its block, which is too large to keep.
    fn bounds(&mut self, block: &Block, at: Coordinates) -> Result<()> {
        self.snapshot.frames().check_near(at)?;
        let end = u64::from(at.offset) + LENGTH_SIZE as u64;
        let checked = if end > block.size {
            Err(entry_outside(at.offset, block.size))
        } else {
            let prefix = self.read_on(0, at.frame, at.offset.into(), LENGTH_SIZE as u64)?;
            check_entry(at.offset, get_u32(&prefix, 0).unwrap_or(u32::MAX), block.size)
        };
        checked.map_err(|damage| self.snapshot.file().corrupt(damage.at(at.frame)))
    }

    /// Returns bytes of a block that is too large to keep, through the cursor for this height.
    fn read_on(&mut self, height: u32, frame: u64, offset: u64, length: u64) -> Result<Box<[u8]>> {
        let height = height as usize;
        if self.cursors.len() <= height {
            self.cursors.resize_with(height + 1, || None);
        }
        if self.cursors[height].as_ref().is_none_or(|(at, _)| *at != frame) {
            let known = self.cursors.iter().flatten().find(|(at, _)| *at == frame);
            let stream = match known {
                Some((_, cursor)) => cursor.stream(),
                None => self.snapshot.frames().stream_of(frame)?,
            };
            self.cursors[height] = Some((frame, Cursor::new(stream)));
        }
        let Some((_, cursor)) = &mut self.cursors[height] else {
            return Ok(Box::default());
        };
        let (bytes, passed) =
            cursor.read(offset, length).map_err(|error| self.snapshot.file().inflate_error(error, frame))?;
        self.spend(passed);
        Ok(bytes)
    }

    /// Returns the children in the part from `start` on of the index node in `block` to which `item` points, if they
    /// are valid.
    fn node(&mut self, block: &Block, item: Item, start: u32) -> Result<Option<Vec<Coordinates>>> {
        let part = NodePart { start, ..NodePart::with_child(item.at, 0) };
        let children = self.children(block, item.height, part);
        let Some(children) = self.keep(children)? else {
            return Ok(None);
        };
        if self.keep(check_children(self.snapshot, item.at, &children))?.is_none() {
            return Ok(None);
        }
        if item.height == 1 && matches!(self.order, Order::Rising(_)) {
            self.check_ends_of_leaf(block, part, &children);
        }
        Ok(Some(children))
    }

    fn children(&mut self, block: &Block, height: u32, part: NodePart) -> Result<Vec<Coordinates>> {
        let fan_out = self.geometry().fan_out;
        let bytes = |count: u32| u64::from(count) * Coordinates::SIZE as u64;
        if block.is_whole() || u64::from(part.offset) + bytes(fan_out) > block.size {
            return self.snapshot.block_reader().children_in(block, part);
        }
        self.snapshot.frames().check_near(part.node())?;
        let Range { start, end } = part.children(fan_out);
        let offset = u64::from(part.offset) + bytes(start);
        let found = self.read_on(height, part.frame, offset, bytes(end - start))?;
        node_at(&found, 0, end - start).map_err(|damage| self.snapshot.file().corrupt(damage.at(part.frame)))
    }

    /// Checks coordinates of records that follow a node: they belong to the next node, or to this one if the fan-out
    /// in the header is too small.
    fn check_ends_of_leaf(&mut self, block: &Block, part: NodePart, children: &[Coordinates]) {
        let at = part.node();
        let expected = if part.start == 0 { self.next_leaf.take() } else { None };
        if let Some(expected) = expected.filter(|expected| *expected != at) {
            let found = format!("coordinates of records after an index node, at offset {}", expected.offset);
            self.note_at(expected, found, "the next index node there");
        }
        let fan_out = self.geometry().fan_out;
        if part.next(fan_out).is_some() {
            return;
        }
        let end = at.offset as usize + fan_out as usize * Coordinates::SIZE;
        let next = Coordinates::decode(&block.bytes, end)
            .filter(|next| children.last().is_some_and(|last| next > last) && *next < at);
        if next.is_some_and(|next| self.is_record(next)) {
            self.next_leaf = u32::try_from(end).ok().map(|offset| Coordinates { offset, ..at });
        }
    }

    /// Returns whether there is an entry at `at` that is not an index node. Apparent coordinates may be bytes of a
    /// record, so it is not a problem of the file if they lead to something unreadable.
    fn is_record(&mut self, at: Coordinates) -> bool {
        if self.broken.contains(&at.frame) {
            return false;
        }
        let Ok(block) = self.snapshot.block_reader().block(at.frame) else {
            return false;
        };
        if !block.is_whole() {
            self.spend(2 * block.size);
        }
        let children = self.snapshot.block_reader().children_in(&block, NodePart::with_child(at, 0));
        let is_node = children.is_ok_and(|node| rise_up_to(&node, at, self.geometry().data_start()));
        !is_node && self.snapshot.block_reader().entry_in(block, at).is_ok()
    }

    /// Reports nodes that begin inside others, which in an undamaged file means that the fan-out is wrong.
    pub(super) fn overlaps(&mut self) {
        let Order::Any(seen) = &self.order else {
            return;
        };
        let mut starts: Vec<Coordinates> = seen.iter().map(|&(at, _)| at).collect();
        starts.sort_unstable();
        starts.dedup();
        let length = u64::from(self.geometry().fan_out) * Coordinates::SIZE as u64;
        let inside = |pair: &&[Coordinates]| {
            pair[0].frame == pair[1].frame && u64::from(pair[1].offset - pair[0].offset) < length
        };
        if let Some(pair) = starts.windows(2).find(inside) {
            let found = format!("index nodes at offsets {} and {}", pair[0].offset, pair[1].offset);
            self.note_at(pair[0], found, &format!("{length} bytes for each"));
        }
    }

    /// Reports a problem of the index in the frame of `at`.
    fn note_at(&mut self, at: Coordinates, found: String, expected: &str) {
        self.report.note(fan_out_damage(self.snapshot, found, expected).at(at.frame));
    }
}
