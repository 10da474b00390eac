//! Walking a whole file to find everything that is damaged in it.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use crate::cache::Block;
use crate::capture_file::CaptureFile;
use crate::cross_check::{check_children, doubtful};
use crate::error::{Damage, Error, Result};
use crate::format::{Coordinates, Geometry};
use crate::slots;
use crate::snapshot::{OpenFile, Snapshot};
use crate::storage::read_up_to;

/// As many problems, and ranges of records, are listed at most; more say no more.
const MOST_LISTED: usize = 1000;
/// As many index nodes are remembered at most, in a file that shares them.
const MOST_SEEN: usize = 1 << 19;

/// What a walk through a file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that the file says it has.
    pub record_count: u64,
    /// Records that were looked at and are sound; fewer than `record_count` where subtrees are shared.
    pub records_checked: u64,
    /// Compressed frames that were inflated.
    pub frames: u64,
    /// Distinct index nodes that were looked at.
    pub index_nodes: u64,
    /// What is damaged, at most a thousand things.
    pub problems: Vec<Damage>,
    /// What a crash leaves and the next writer puts right, with no harm to what was committed.
    pub repairable: Vec<Damage>,
    /// Numbers of the records that cannot be read, in order. There are at most a thousand ranges; if there
    /// were more, the last one goes on to the last such record.
    pub unreadable: Vec<RangeInclusive<u64>>,
}

impl Report {
    /// Whether nothing is damaged. What the next writer repairs is no damage.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn note(&mut self, damage: Damage) {
        if self.problems.len() < MOST_LISTED && !self.problems.contains(&damage) {
            self.problems.push(damage);
        }
    }

    fn note_unreadable(&mut self, first: u64, count: u64) {
        let last = first.saturating_add(count - 1);
        let full = self.unreadable.len() == MOST_LISTED;
        match self.unreadable.last_mut() {
            Some(range) if full || range.end().checked_add(1) == Some(first) => {
                *range = *range.start()..=last;
            }
            _ => self.unreadable.push(first..=last),
        }
    }
}

/// Reads everything in the file at `path`: the header, both master nodes, every frame from the start of the
/// data to the file limit, every index node, every record's bounds, and the metadata. What lies behind the
/// file limit, as an unfinished transaction leaves it, is no part of the file.
///
/// An error means that the file cannot be opened as a capture file at all.
pub fn verify(path: impl AsRef<Path>) -> Result<Report> {
    verify_open(&CaptureFile::open(path)?)
}

/// Like [`verify`], but looks only where it costs little, however large the file: the header, the master
/// nodes, the edges of the index tree with the records there, the last frames, and the metadata.
pub fn verify_quickly(path: impl AsRef<Path>) -> Result<Report> {
    let file = CaptureFile::open(path)?;
    let snapshot = file.snapshot()?;
    let mut walk = Walk::new(&snapshot);
    walk.header_and_slots()?;
    walk.edges()?;
    walk.last_frames()?;
    walk.keep(snapshot.metadata().map(drop))?;
    Ok(walk.report)
}

/// The same as [`verify`] for a file that is open already.
pub(crate) fn verify_open(file: &CaptureFile) -> Result<Report> {
    let snapshot = file.snapshot()?;
    let mut walk = Walk::new(&snapshot);
    walk.header_and_slots()?;
    walk.frames()?;
    let before = (walk.report.clone(), walk.broken.clone());
    if walk.tree()? == Walked::InDisorder {
        // What is broken is to be reported again.
        (walk.report, walk.broken) = before;
        walk.order = Order::Any(HashSet::new());
        walk.tree()?;
        walk.overlaps();
    }
    walk.keep(snapshot.metadata().map(drop))?;
    Ok(walk.report)
}

/// In which order records and nodes are met, which says what is to be remembered of them.
enum Order {
    /// Each in the file behind the one before of its height, as every writer writes them. The last of each
    /// height is enough to know that nothing is met twice.
    Rising(Vec<Coordinates>),
    /// Nodes are shared, so that a file may hold far more records than bytes. Nodes that have been looked
    /// at, with the height they were found at, are not looked at again.
    Any(HashSet<(Coordinates, u32)>),
}

#[derive(Debug, PartialEq, Eq)]
enum Walked {
    ToTheEnd,
    /// Something was met that does not rise.
    InDisorder,
}

/// A record (height 0) or an index node, and the number of its first record.
#[derive(Clone, Copy)]
struct Item {
    at: Coordinates,
    height: u32,
    first: u64,
}

struct Walk<'a> {
    snapshot: &'a Arc<Snapshot>,
    order: Order,
    /// Frames that are reported already, not to be tried again for each thing in them.
    broken: HashSet<u64>,
    /// The block at hand, which the next thing is probably in as well.
    block: Option<(u64, Arc<Block>)>,
    /// Where the next node of the lowest height must be, because coordinates stand there.
    next_leaf: Option<Coordinates>,
    report: Report,
}

impl<'a> Walk<'a> {
    fn new(snapshot: &'a Arc<Snapshot>) -> Self {
        let report = Report { record_count: snapshot.record_count(), ..Report::default() };
        let order = Order::Rising(Vec::new());
        Self { snapshot, order, broken: HashSet::new(), block: None, next_leaf: None, report }
    }

    fn geometry(&self) -> Geometry {
        self.snapshot.geometry()
    }

    /// Notes damage and goes on; other errors end the walk.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Invalid { damage, .. }) => {
                self.report.note(damage);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn header_and_slots(&mut self) -> Result<()> {
        let file: &OpenFile = self.snapshot.file();
        let mut header = [0; Geometry::HEADER_SIZE];
        read_up_to(&*file.storage, &mut header, 0).map_err(file.failed("read the header of"))?;
        if let Some(damage) = Geometry::damaged_tag(&header) {
            self.report.note(damage);
        }
        if let Some(found) = slots::find_damage(file)? {
            if found.repairable {
                self.report.repairable.push(found.damage);
            } else {
                self.report.note(found.damage);
            }
        }
        Ok(())
    }

    /// Every frame follows the one before, from the start of the data to the file limit.
    fn frames(&mut self) -> Result<()> {
        let mut position = self.geometry().data_start();
        while position < self.snapshot.file_limit() {
            let Some(end) = self.keep(self.snapshot.frame_end(position))? else {
                break;
            };
            if self.keep(self.snapshot.inflate_frame(position))?.is_some() {
                self.report.frames += 1;
            } else {
                self.broken.insert(position);
            }
            position = end;
        }
        Ok(())
    }

    /// From the last frame that the rightmost path leads to, frames follow each other to the file limit.
    fn last_frames(&mut self) -> Result<()> {
        let Some(mut position) = self.snapshot.roots().map(|(_, at)| at.frame).max() else {
            return Ok(());
        };
        while position < self.snapshot.file_limit() {
            let Some(end) = self.keep(self.snapshot.frame_end(position))? else {
                break;
            };
            if self.block(position)?.is_some() {
                self.report.frames += 1;
            }
            position = end;
        }
        Ok(())
    }

    /// The items on the rightmost path, oldest records first.
    fn roots(&self) -> Vec<Item> {
        let mut first = 1;
        let mut roots = Vec::new();
        for (height, at) in self.snapshot.roots() {
            roots.push(Item { at, height, first });
            first += self.records_below(height);
        }
        roots
    }

    fn records_below(&self, height: u32) -> u64 {
        u64::from(self.geometry().fan_out).saturating_pow(height)
    }

    /// Goes through the tree in the order of its records, without recursion.
    fn tree(&mut self) -> Result<Walked> {
        for root in self.roots() {
            let mut path: Vec<(Item, Vec<Coordinates>, usize)> = Vec::new();
            let mut next = Some(root);
            loop {
                if let Some(item) = next.take() {
                    match self.visit(item)? {
                        Visit::Node(node) => path.push((item, node, 0)),
                        Visit::Done => {}
                        Visit::InDisorder => return Ok(Walked::InDisorder),
                        Visit::TooMany => return Ok(Walked::ToTheEnd),
                    }
                }
                let Some((parent, node, index)) = path.last_mut() else {
                    break;
                };
                let Some(&at) = node.get(*index) else {
                    path.pop();
                    continue;
                };
                let height = parent.height - 1;
                let below = u64::from(self.snapshot.geometry().fan_out).saturating_pow(height);
                let first = parent.first.saturating_add(below.saturating_mul(*index as u64));
                *index += 1;
                next = Some(Item { at, height, first });
            }
        }
        Ok(Walked::ToTheEnd)
    }

    /// The record or node on each side of each subtree on the rightmost path, from top to bottom.
    fn edges(&mut self) -> Result<()> {
        for root in self.roots() {
            for last in [false, true] {
                // The way down on one side may meet again what is on the other.
                self.order = Order::Rising(Vec::new());
                self.next_leaf = None;
                let mut next = Some(root).filter(|root| !last || root.height > 0);
                while let Some(item) = next.take() {
                    let Visit::Node(node) = self.visit(item)? else {
                        break;
                    };
                    let height = item.height - 1;
                    let index = if last { node.len() - 1 } else { 0 };
                    let first = item.first + self.records_below(height).saturating_mul(index as u64);
                    next = Some(Item { at: node[index], height, first });
                }
            }
        }
        Ok(())
    }

    fn visit(&mut self, item: Item) -> Result<Visit> {
        match self.meet(item) {
            Meeting::New => {}
            Meeting::Again => return Ok(Visit::Done),
            Meeting::Disorder => return Ok(Visit::InDisorder),
            Meeting::TooMany => {
                self.report.note(Damage::new(
                    format!("an index that shares more than {MOST_SEEN} nodes"),
                    "fewer; the records from here on have not been looked at",
                ));
                return Ok(Visit::TooMany);
            }
        }
        let found = match self.block(item.at.frame)? {
            None => None,
            Some(block) if item.height == 0 => {
                self.keep(self.snapshot.entry_in(block, item.at))?.map(|_| Visit::Done)
            }
            Some(block) => self.node(&block, item)?.map(Visit::Node),
        };
        match &found {
            Some(Visit::Node(_)) => self.report.index_nodes += 1,
            Some(_) => self.report.records_checked += 1,
            None => self.report.note_unreadable(item.first, self.records_below(item.height)),
        }
        Ok(found.unwrap_or(Visit::Done))
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
            Order::Any(seen) if seen.len() >= MOST_SEEN => Meeting::TooMany,
            Order::Any(seen) => {
                seen.insert((item.at, item.height));
                Meeting::New
            }
        }
    }

    /// The block whose frame starts at `frame`, unless that is broken.
    fn block(&mut self, frame: u64) -> Result<Option<Arc<Block>>> {
        match &self.block {
            Some((at_hand, block)) if *at_hand == frame => return Ok(Some(Arc::clone(block))),
            _ if self.broken.contains(&frame) => return Ok(None),
            _ => {}
        }
        let Some(block) = self.keep(self.snapshot.block(frame))? else {
            self.broken.insert(frame);
            return Ok(None);
        };
        self.block = Some((frame, Arc::clone(&block)));
        Ok(Some(block))
    }

    /// The index node in `block` that `item` points at, if its children can be.
    fn node(&mut self, block: &Block, item: Item) -> Result<Option<Vec<Coordinates>>> {
        let at = item.at;
        let Some(node) = self.keep(self.snapshot.node_in(block, at))? else {
            return Ok(None);
        };
        if self.keep(check_children(self.snapshot, at, &node))?.is_none() {
            return Ok(None);
        }
        if item.height == 1 && matches!(self.order, Order::Rising(_)) {
            self.check_end_of_leaf(block, at, &node);
        }
        Ok(Some(node))
    }

    /// Coordinates of records that go on behind a node are those of the next one, or of this one if the
    /// fan-out that the header says is too small.
    fn check_end_of_leaf(&mut self, block: &Block, at: Coordinates, children: &[Coordinates]) {
        if let Some(expected) = self.next_leaf.take().filter(|expected| *expected != at) {
            let found = format!("coordinates of records behind an index node, at offset {}", expected.offset);
            self.note_at(expected, found, "the next index node there");
        }
        let end = at.offset as usize + children.len() * Coordinates::SIZE;
        let next = Coordinates::decode(&block.bytes, end)
            .filter(|next| children.last().is_some_and(|last| next > last) && *next < at);
        if next.is_some_and(|next| self.is_record(next)) {
            self.next_leaf = u32::try_from(end).ok().map(|offset| Coordinates { offset, ..at });
        }
    }

    /// Whether an entry stands at `at` that is no index node. What looks like coordinates may be bytes of a
    /// record, so that what they lead to is no problem of the file if it cannot be read.
    fn is_record(&self, at: Coordinates) -> bool {
        if self.broken.contains(&at.frame) {
            return false;
        }
        let Ok(block) = self.snapshot.block(at.frame) else {
            return false;
        };
        let is_node = self.snapshot.node_in(&block, at).is_ok_and(|node| {
            let rising = node.windows(2).all(|pair| pair[0] < pair[1]);
            rising && node[0].frame >= self.geometry().data_start() && node[0] < at
        });
        !is_node && self.snapshot.entry_in(block, at).is_ok()
    }

    /// Nodes that begin inside others, which only a wrong fan-out makes of sound bytes.
    fn overlaps(&mut self) {
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

    /// Notes a problem of the index in the frame of `at`.
    fn note_at(&mut self, at: Coordinates, found: String, expected: &str) {
        self.report.note(doubtful(self.snapshot, found, expected).at(at.frame));
    }
}

/// Whether an item has been looked at already.
enum Meeting {
    New,
    Again,
    Disorder,
    TooMany,
}

/// What became of an item.
enum Visit {
    Node(Vec<Coordinates>),
    Done,
    InDisorder,
    TooMany,
}
