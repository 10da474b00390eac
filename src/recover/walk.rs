//! Handing over the records of a damaged file in order: along the index where it can be read, and by what
//! the blocks tell where it cannot.

use crate::error::Result;
use crate::format::Coordinates;
use crate::master::MasterNode;

use super::sink::Sink;
use super::source::Source;
use super::survey::{Event, Known, Region, Survey};

/// A walk through a file.
pub(super) struct Walk<'a, 'b> {
    source: &'a mut Source,
    sink: &'a mut Sink<'b>,
    /// Where there is metadata, as master nodes say; `None` if there was none ever, as far as can be told.
    /// Old metadata looks like a record.
    known_metadata: Option<&'a [Coordinates]>,
    /// The last record on the way, whether it could be read or not.
    last: Option<Coordinates>,
    /// Records below index nodes that could not be read, since that record.
    unreachable: u64,
    /// Where the last thing is that is metadata for certain.
    pub(super) metadata: Option<Coordinates>,
}

impl<'a, 'b> Walk<'a, 'b> {
    pub(super) fn new(
        source: &'a mut Source,
        sink: &'a mut Sink<'b>,
        known_metadata: Option<&'a [Coordinates]>,
    ) -> Self {
        Self { source, sink, known_metadata, last: None, unreachable: 0, metadata: None }
    }

    pub(super) fn data_start(&self) -> u64 {
        self.source.data_start
    }

    /// All records of a commit.
    pub(super) fn commit(&mut self, master: &MasterNode) -> Result<()> {
        for height in (1..=master.path.height()).rev() {
            for &child in master.path.children(height) {
                self.subtree(child, u32::from(height) - 1)?;
            }
        }
        self.close_gap(None)
    }

    /// The records below `at`. The height falls with each step, and is at most 64.
    fn subtree(&mut self, at: Coordinates, height: u32) -> Result<()> {
        if height == 0 {
            return self.record(at);
        }
        if let Some(children) = self.source.node(at)? {
            return children.into_iter().try_for_each(|child| self.subtree(child, height - 1));
        }
        let below = u64::from(self.source.geometry.fan_out).saturating_pow(height);
        self.unreachable = self.unreachable.saturating_add(below);
        Ok(())
    }

    fn record(&mut self, at: Coordinates) -> Result<()> {
        self.close_gap(Some(at))?;
        self.last = Some(at);
        hand_over(self.source, self.sink, at, true)
    }

    /// Looks for the records that the index did not lead to, between the last one and `before`.
    fn close_gap(&mut self, before: Option<Coordinates>) -> Result<()> {
        let expected = std::mem::take(&mut self.unreachable);
        if expected == 0 {
            return Ok(());
        }
        let start = self.last.map_or(self.source.data_start, |last| last.frame);
        let region = Region { after: self.last, before, start };
        let fan_out = self.source.geometry.fan_out;
        let known = Known { records: &[], metadata: self.known_metadata.unwrap_or_default() };
        let tally = Tally::of(self.source, region, known, fan_out)?;
        let missing = expected.saturating_sub(tally.records);
        let counted = tally.records == expected && tally.breaks.is_empty();
        let certain = counted || self.known_metadata.is_none();
        let mut gaps = tally.share_out(missing).into_iter();
        let told_apart = certain || tally.loose == 0;
        let exact = told_apart && tally.records <= expected && tally.breaks.len() <= 1;
        let mut left = missing;
        let sink = &mut *self.sink;
        Survey::run(self.source, region, known, &mut |source: &mut Source, event: Event<'_>| {
            match event {
                Event::Leaf { records, .. } => {
                    records.iter().try_for_each(|&record| hand_over(source, sink, record, true))?;
                }
                Event::Loose(at) => hand_over(source, sink, at, certain)?,
                Event::Break { .. } => {
                    let gap = gaps.next().unwrap_or_default();
                    left -= gap;
                    sink.lose(gap, exact)?;
                }
                Event::Node { .. } | Event::Metadata(_) => {}
            }
            Ok(())
        })?;
        self.sink.lose(left, false)
    }

    /// All records from `region` on to the end of the file, of which nothing is known. `records` are the last
    /// ones before, which no index node points at yet.
    pub(super) fn rest(&mut self, region: Region, records: &[Coordinates]) -> Result<()> {
        let known = Known { records, metadata: self.known_metadata.unwrap_or_default() };
        let fan_out = self.source.geometry.fan_out;
        let tally = Tally::of(self.source, region, known, fan_out)?;
        let mut breaks = tally.breaks.into_iter();
        let data_start = self.source.data_start;
        let certain = self.known_metadata.is_none();
        let (sink, metadata) = (&mut *self.sink, &mut self.metadata);
        Survey::run(self.source, region, known, &mut |source: &mut Source, event: Event<'_>| {
            match event {
                Event::Leaf { records, .. } => {
                    records.iter().try_for_each(|&record| hand_over(source, sink, record, true))?;
                }
                Event::Loose(at) => hand_over(source, sink, at, certain)?,
                Event::Break { bridged, position, .. } => {
                    if let Some(found) = breaks.next() {
                        sink.lose(found.estimate(sink.records, position - data_start), false)?;
                    }
                    // What follows may be left over from a transaction that was taken back.
                    sink.doubt |= !bridged;
                }
                Event::Metadata(at) => *metadata = Some(at),
                Event::Node { .. } => {}
            }
            Ok(())
        })
    }
}

fn hand_over(source: &mut Source, sink: &mut Sink<'_>, at: Coordinates, certain: bool) -> Result<()> {
    match source.with_entry(at, |bytes, proven| sink.add(bytes, certain && proven))? {
        Some(()) => Ok(()),
        None => sink.lose(1, true),
    }
}

/// What a region holds, counted before any of it is handed over.
struct Tally {
    /// Records that were found, and those that index nodes name though they cannot be read.
    records: u64,
    /// Those of them that no index node names.
    loose: u64,
    breaks: Vec<Gap>,
}

/// A place where any number of records may be missing.
struct Gap {
    bytes: u64,
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
    fn of(source: &mut Source, region: Region, known: Known<'_>, fan_out: u32) -> Result<Self> {
        let mut tally = Self { records: 0, loose: 0, breaks: Vec::new() };
        Survey::run(source, region, known, &mut |_: &mut Source, event: Event<'_>| {
            tally.count(&event, u64::from(fan_out));
            Ok(())
        })?;
        Ok(tally)
    }

    fn count(&mut self, event: &Event<'_>, fan_out: u64) {
        match *event {
            Event::Break { bytes, .. } => {
                self.breaks.push(Gap {
                    bytes,
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
                if let Some(gap) = self.breaks.last_mut().filter(|gap| gap.node.is_none()) {
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

    /// Gives each break its share of `missing` records: all to the only one, else by their lengths.
    fn share_out(&self, missing: u64) -> Vec<u64> {
        let bytes: u128 = self.breaks.iter().map(|gap| u128::from(gap.bytes)).sum();
        let mut left = missing;
        let last = self.breaks.len().saturating_sub(1);
        let share = |(index, gap): (usize, &Gap)| {
            let share = u128::from(missing) * u128::from(gap.bytes) / bytes.max(1);
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

    /// How many records are probably missing, after `before` records in `bytes` bytes of frames.
    fn estimate(&self, before: u64, bytes: u64) -> u64 {
        if !self.followed {
            return 0;
        }
        let guess = u128::from(self.bytes) * u128::from(before) / u128::from(bytes.max(1));
        let guess = u64::try_from(guess).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        if self.node.is_none() {
            return guess;
        }
        // The number of those missing is known but for multiples of the modulus; the nearest to the guess.
        let least = (self.residue + self.modulus - (before + self.loose) % self.modulus) % self.modulus;
        let rounds = (guess.saturating_sub(least) + self.modulus / 2) / self.modulus;
        least + rounds * self.modulus
    }
}
