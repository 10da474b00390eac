//! Determining how many records are missing in destroyed frames.

use std::ops::Range;

use crate::error::Result;
use crate::format::Coordinates;

use super::source::DamagedFrames;
use super::survey::{Event, Known, Region, Survey};

/// Maximum number of gaps for which the number of missing records is estimated.
const MAX_GAPS: usize = 100_000;

/// The counts of a region, taken before any record is passed on.
pub(super) struct Tally {
    /// Number of records that were found, and of those that index nodes contain although they cannot be read.
    pub(super) records: u64,
    /// Number of those that no index node contains.
    pub(super) loose: u64,
    pub(super) breaks: Vec<Gap>,
    /// Bytes of readable frames.
    bytes: u64,
    /// The records of the last full node.
    last_leaf: Vec<Coordinates>,
    /// That node and those above it; the number of records since then to which no node points yet.
    last: Option<Ancestor>,
    since: u64,
    /// The nodes above it that were found, and their numbers of records after those of the last full node.
    above: Vec<(Coordinates, u64)>,
}

/// A place where any number of records may be missing.
pub(super) struct Gap {
    /// The damaged bytes.
    bytes: Range<u64>,
    /// Number of records in them that index nodes on both sides contain.
    named: u64,
    /// The last full index node over records before it, if there is no other gap in between, and the number of
    /// records.
    before: Option<Ancestor>,
    since: u64,
    /// Number of records after it, up to the next full index node over records.
    loose: u64,
    /// That node.
    behind: Option<Ancestor>,
    /// The number of missing records, if nodes above determine it.
    missing: Option<u64>,
    /// Whether anything follows it.
    followed: bool,
}

/// A leaf node, located inside the highest of its ancestors found so far.
#[derive(Clone, Copy)]
struct Ancestor {
    top: Coordinates,
    /// Number of records below that ancestor.
    size: u64,
    /// Number of those before the leaf's.
    earlier: u64,
}

impl Ancestor {
    fn new(leaf: Coordinates, fan_out: u64) -> Self {
        Self { top: leaf, size: fan_out, earlier: 0 }
    }

    /// Ascends to a node, if it is the one above. Returns whether it is.
    fn ascend(&mut self, at: Coordinates, children: &[Coordinates], fan_out: u64) -> bool {
        let (Some(size), Ok(index)) = (self.size.checked_mul(fan_out), children.binary_search(&self.top))
        else {
            return false;
        };
        *self = Self { top: at, size, earlier: self.earlier + index as u64 * self.size };
        true
    }

    /// Returns how many records below the node above come after those of this one.
    fn later(&self, fan_out: u64) -> u64 {
        self.size - self.earlier - fan_out
    }
}

impl Tally {
    pub(super) fn of(
        source: &mut DamagedFrames,
        region: Region,
        known: Known<'_>,
        fan_out: u32,
    ) -> Result<Self> {
        let mut tally = Self {
            records: 0,
            loose: 0,
            breaks: Vec::new(),
            bytes: 0,
            last_leaf: Vec::new(),
            last: None,
            since: 0,
            above: Vec::new(),
        };
        Survey::run(source, region, known, &mut |_: &mut DamagedFrames, event: Event<'_>| {
            tally.count(&event, u64::from(fan_out));
            Ok(())
        })?;
        Ok(tally)
    }

    fn count(&mut self, event: &Event<'_>, fan_out: u64) {
        match *event {
            Event::Block { bytes } => self.bytes += bytes,
            Event::Break { ref bytes, next, .. } => self.add_gap(bytes, next),
            Event::Loose(_) => {
                self.records += 1;
                self.loose += 1;
                self.since += 1;
                if let Some(gap) = self.breaks.last_mut().filter(|gap| gap.behind.is_none()) {
                    gap.loose += 1;
                    gap.followed = true;
                }
            }
            Event::Leaf { at, records, .. } => self.add_leaf(Ancestor::new(at, fan_out), records),
            Event::Node { at, children } => {
                if let Some(last) = &mut self.last
                    && last.ascend(at, children, fan_out)
                {
                    self.above.push((at, last.later(fan_out)));
                }
                for gap in &mut self.breaks {
                    gap.observe(at, children, fan_out);
                }
            }
            Event::Metadata(_) | Event::Seam => {}
        }
    }

    fn add_gap(&mut self, bytes: &Range<u64>, next: Coordinates) {
        if self.breaks.len() == MAX_GAPS {
            return;
        }
        // A node is right after its last record, so the last node between the gap and what follows determines the
        // number of records up to there.
        let between = |(at, _): &&(Coordinates, u64)| bytes.end <= at.frame && *at < next;
        let between_nodes =
            self.above.iter().rev().find(between).and_then(|(_, later)| later.checked_sub(self.since));
        // Records missing since the last full node are missing here, unless there is another gap since then.
        let alone = self.breaks.last().is_none_or(|gap| gap.behind.is_some());
        self.breaks.push(Gap {
            bytes: bytes.clone(),
            named: count_in(bytes, &self.last_leaf),
            before: self.last.filter(|_| alone),
            since: self.since,
            loose: 0,
            behind: None,
            missing: between_nodes.filter(|_| alone),
            followed: false,
        });
    }

    fn add_leaf(&mut self, leaf: Ancestor, records: &[Coordinates]) {
        self.records += records.len() as u64;
        self.last_leaf.clear();
        self.last_leaf.extend_from_slice(records);
        (self.last, self.since) = (Some(leaf), 0);
        self.above.clear();
        if let Some(gap) = self.breaks.last_mut().filter(|gap| gap.behind.is_none()) {
            gap.named += count_in(&gap.bytes, records);
            (gap.behind, gap.followed) = (Some(leaf), true);
        }
    }

    fn damaged(&self) -> u64 {
        self.breaks.iter().map(Gap::length).sum()
    }

    /// Returns the number of records, and of the bytes of frames that contain them.
    pub(super) fn density(&self) -> (u64, u64) {
        let in_gaps: u64 = self.breaks.iter().map(|gap| gap.named).sum();
        (self.records.saturating_sub(in_gaps), self.bytes.max(1))
    }

    /// Distributes `missing` records over the gaps: all to the only one, otherwise by their lengths.
    pub(super) fn share_out(&self, missing: u64) -> Vec<u64> {
        let bytes = u128::from(self.damaged());
        let mut left = missing;
        let last = self.breaks.len().saturating_sub(1);
        let share = |(index, gap): (usize, &Gap)| {
            let share = u128::from(missing) * u128::from(gap.length()) / bytes.max(1);
            let share = u64::try_from(share).unwrap_or(left).min(left);
            let share = if index == last { left } else { share };
            left -= share;
            share
        };
        self.breaks.iter().enumerate().map(share).collect()
    }
}

impl Gap {
    /// Uses a node above, which determines the positions of the children on both sides of the gap.
    fn observe(&mut self, at: Coordinates, children: &[Coordinates], fan_out: u64) {
        let ascend = |side: &mut Option<Ancestor>| {
            let has_ascended = side.as_mut().is_some_and(|side| side.ascend(at, children, fan_out));
            side.filter(|_| has_ascended)
        };
        if let (Some(before), Some(behind)) = (ascend(&mut self.before), ascend(&mut self.behind)) {
            let between = behind.earlier.checked_sub(before.earlier + fan_out);
            self.missing = self.missing.or(between.and_then(|all| all.checked_sub(self.since + self.loose)));
        }
    }

    fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    /// Returns how many records are probably missing, after `before` records, given the density elsewhere.
    pub(super) fn estimate(&self, before: u64, density: (u64, u64)) -> u64 {
        if let Some(missing) = self.missing {
            return missing;
        }
        if !self.followed {
            return 0;
        }
        let guess = u128::from(self.length()) * u128::from(density.0) / u128::from(density.1);
        let guess = u64::try_from(guess).unwrap_or(u64::MAX).min(u64::MAX / 4).saturating_sub(self.named);
        let Some(Ancestor { size, earlier, .. }) = self.behind else {
            return guess;
        };
        // The number of missing records is known except for multiples of the size; choose the one nearest to the
        // estimate.
        let found = u128::from(before) + u128::from(self.loose);
        let (wide, earlier) = (u128::from(size), u128::from(earlier));
        let least = u64::try_from((earlier + wide - found % wide) % wide).unwrap_or(size);
        let rounds = (guess.saturating_sub(least) + size / 2) / size;
        least + rounds * size
    }
}

fn count_in(bytes: &Range<u64>, records: &[Coordinates]) -> u64 {
    records.iter().filter(|record| bytes.contains(&record.frame)).count() as u64
}
