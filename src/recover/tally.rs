//! How many records are missing where frames are destroyed, as far as what is left can tell.

use std::ops::Range;

use crate::error::Result;
use crate::format::Coordinates;

use super::source::Source;
use super::survey::{Event, Known, Region, Survey};

/// What a region holds, counted before any of it is handed over.
pub(super) struct Tally {
    /// Records that were found, and those that index nodes name though they cannot be read.
    pub(super) records: u64,
    /// Those of them that no index node names.
    pub(super) loose: u64,
    pub(super) breaks: Vec<Gap>,
    /// The records of the last full node.
    last_leaf: Vec<Coordinates>,
}

/// A place where any number of records may be missing.
pub(super) struct Gap {
    /// The bytes that are damaged.
    bytes: Range<u64>,
    /// Records in them that index nodes on both sides name.
    named: u64,
    /// Records behind it, up to a full index node over records.
    loose: u64,
    /// That node, or the one above that was met last; `None` while there is none.
    node: Option<Coordinates>,
    /// How many records there are before the node's, as far as nodes above tell: this many, or as many and
    /// any multiple of `modulus`.
    residue: u64,
    modulus: u64,
    /// Whether anything follows it.
    followed: bool,
}

impl Tally {
    pub(super) fn of(source: &mut Source, region: Region, known: Known<'_>, fan_out: u32) -> Result<Self> {
        let mut tally = Self { records: 0, loose: 0, breaks: Vec::new(), last_leaf: Vec::new() };
        Survey::run(source, region, known, &mut |_: &mut Source, event: Event<'_>| {
            tally.count(&event, u64::from(fan_out));
            Ok(())
        })?;
        Ok(tally)
    }

    fn count(&mut self, event: &Event<'_>, fan_out: u64) {
        match *event {
            Event::Break { ref bytes, .. } => {
                self.breaks.push(Gap {
                    bytes: bytes.clone(),
                    named: count_in(bytes, &self.last_leaf),
                    loose: 0,
                    node: None,
                    residue: 0,
                    modulus: 1,
                    followed: false,
                });
            }
            Event::Loose(_) => {
                self.records += 1;
                self.loose += 1;
                if let Some(gap) = self.breaks.last_mut().filter(|gap| gap.node.is_none()) {
                    gap.loose += 1;
                    gap.followed = true;
                }
            }
            Event::Leaf { at, records, .. } => {
                self.records += records.len() as u64;
                self.last_leaf.clear();
                self.last_leaf.extend_from_slice(records);
                if let Some(gap) = self.breaks.last_mut().filter(|gap| gap.node.is_none()) {
                    gap.named += count_in(&gap.bytes, records);
                    (gap.node, gap.modulus, gap.followed) = (Some(at), fan_out, true);
                }
            }
            Event::Node { at, children } => {
                for gap in &mut self.breaks {
                    gap.learn(at, children, fan_out);
                }
            }
            Event::Metadata(_) => {}
        }
    }

    fn damaged(&self) -> u64 {
        self.breaks.iter().map(Gap::length).sum()
    }

    /// How many records there are in how many bytes, in a region of the given length without its damage.
    pub(super) fn density(&self, length: u64) -> (u64, u64) {
        (self.records, length.saturating_sub(self.damaged()).max(1))
    }

    /// Gives each break its share of `missing` records: all to the only one, else by their lengths.
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
    /// A node above says which of its children the one behind the gap is.
    fn learn(&mut self, at: Coordinates, children: &[Coordinates], fan_out: u64) {
        let Some(modulus) = self.modulus.checked_mul(fan_out) else {
            return;
        };
        if let Some(index) = self.node.and_then(|node| children.binary_search(&node).ok()) {
            self.residue += index as u64 * self.modulus;
            (self.node, self.modulus) = (Some(at), modulus);
        }
    }

    fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    /// How many records are probably missing, after `before` records, if there are so many records in so
    /// many bytes elsewhere.
    pub(super) fn estimate(&self, before: u64, density: (u64, u64)) -> u64 {
        if !self.followed {
            return 0;
        }
        let guess = u128::from(self.length()) * u128::from(density.0) / u128::from(density.1);
        let guess = u64::try_from(guess).unwrap_or(u64::MAX).min(u64::MAX / 4).saturating_sub(self.named);
        if self.node.is_none() {
            return guess;
        }
        // The number of those missing is known but for multiples of the modulus; the nearest to the guess.
        let least = (self.residue + self.modulus - (before + self.loose) % self.modulus) % self.modulus;
        let rounds = (guess.saturating_sub(least) + self.modulus / 2) / self.modulus;
        least + rounds * self.modulus
    }
}

fn count_in(bytes: &Range<u64>, records: &[Coordinates]) -> u64 {
    records.iter().filter(|record| bytes.contains(&record.frame)).count() as u64
}
