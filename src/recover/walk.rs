//! Iterating over the records of a damaged file in order: along the index where it is readable, and by the
//! contents of the blocks where it is not.

use crate::error::{Damage, Error, Result};
use crate::format::Coordinates;
use crate::format::master::MasterNode;

use super::sink::Sink;
use super::source::DamagedFrames;
use super::survey::{Event, Known, Region, Survey};
use super::tally::Tally;

/// Maximum number of times that a record or an index node may be in the file before its predecessor. In files of
/// writers this never happens; it is how a few kilobytes can contain more records than any disk.
const MAX_RETURNS: u32 = 10_000;

/// A walk through a file.
pub(super) struct RecoverWalk<'a, 'b, 'c> {
    source: &'a mut DamagedFrames<'c>,
    sink: &'a mut Sink<'b>,
    /// Places of metadata according to master nodes; `None` if there apparently was none ever. Old metadata looks
    /// like a record.
    known_metadata: Option<&'a [Coordinates]>,
    /// The last record so far, whether it could be read or not.
    last: Option<Coordinates>,
    /// Number of records below unreadable index nodes since that record.
    unreachable: u64,
    /// The last item of each height so far; records have height 0.
    passed: Vec<Coordinates>,
    returns: u32,
    /// Place of the last item that certainly is metadata.
    pub(super) metadata: Option<Coordinates>,
}

impl<'a, 'b, 'c> RecoverWalk<'a, 'b, 'c> {
    pub(super) fn new(
        source: &'a mut DamagedFrames<'c>,
        sink: &'a mut Sink<'b>,
        known_metadata: Option<&'a [Coordinates]>,
    ) -> Self {
        Self {
            source,
            sink,
            known_metadata,
            last: None,
            unreachable: 0,
            passed: Vec::new(),
            returns: 0,
            metadata: None,
        }
    }

    pub(super) fn data_start(&self) -> u64 {
        self.source.frames.start
    }

    /// Processes all records of a commit.
    pub(super) fn commit(&mut self, master: &MasterNode) -> Result<()> {
        for height in (1..=master.path.height()).rev() {
            for &child in master.path.children(height) {
                self.subtree(child, u32::from(height) - 1)?;
            }
        }
        self.close_gap(None)
    }

    /// Processes the records below `at`. The height decreases with each step, and is at most 64.
    fn subtree(&mut self, at: Coordinates, height: u32) -> Result<()> {
        self.pass(at, height)?;
        if height == 0 {
            return self.record(at);
        }
        if let Some(children) = self.source.node(at)? {
            return children.into_iter().try_for_each(|child| self.subtree(child, height - 1));
        }
        let below = u64::from(self.source.geometry().fan_out).saturating_pow(height);
        self.unreachable = self.unreachable.saturating_add(below);
        Ok(())
    }

    /// Prevents endless work if index nodes are shared.
    fn pass(&mut self, at: Coordinates, height: u32) -> Result<()> {
        let height = height as usize;
        if self.passed.len() <= height {
            self.passed.resize(height + 1, Coordinates::NONE);
        }
        let before = std::mem::replace(&mut self.passed[height], at);
        self.returns += u32::from(at <= before);
        if self.returns <= MAX_RETURNS {
            return Ok(());
        }
        let found = format!("an index that leads back to the same places more than {MAX_RETURNS} times");
        let damage = Damage::new(found, "records in the order in which writers add them").at(at.frame);
        Err(Error::corrupt(&self.source.raw.path, damage))
    }

    fn record(&mut self, at: Coordinates) -> Result<()> {
        self.close_gap(Some(at))?;
        self.last = Some(at);
        hand_over(self.source, self.sink, at, true)
    }

    /// Searches for records between the last one and `before` to which the index did not lead.
    fn close_gap(&mut self, before: Option<Coordinates>) -> Result<()> {
        let expected = std::mem::take(&mut self.unreachable);
        if expected == 0 {
            return Ok(());
        }
        let start = self.last.map_or(self.source.frames.start, |last| last.frame);
        let region = Region { after: self.last, before, start };
        let fan_out = self.source.geometry().fan_out;
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
        Survey::run(self.source, region, known, &mut |source: &mut DamagedFrames, event: Event<'_>| {
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
                Event::Block { .. } | Event::Node { .. } | Event::Metadata(_) | Event::Seam => {}
            }
            Ok(())
        })?;
        self.sink.lose(left, false)
    }

    /// Processes all records from `region` to the end of the file, about which nothing is known. `records` are the
    /// last ones before, to which no index node points yet.
    pub(super) fn rest(&mut self, region: Region, records: &[Coordinates]) -> Result<()> {
        let known = Known { records, metadata: self.known_metadata.unwrap_or_default() };
        let fan_out = self.source.geometry().fan_out;
        let tally = Tally::of(self.source, region, known, fan_out)?;
        let density = tally.density();
        let mut breaks = tally.breaks.into_iter();
        let certain = self.known_metadata.is_none();
        let (sink, metadata) = (&mut *self.sink, &mut self.metadata);
        Survey::run(self.source, region, known, &mut |source: &mut DamagedFrames, event: Event<'_>| {
            match event {
                Event::Leaf { records, .. } => {
                    records.iter().try_for_each(|&record| hand_over(source, sink, record, true))?;
                }
                Event::Loose(at) => hand_over(source, sink, at, certain)?,
                Event::Break { bridged, .. } => {
                    if let Some(found) = breaks.next() {
                        sink.lose(found.estimate(sink.records, density), false)?;
                    }
                    // What follows may be left over from a transaction that was rolled back.
                    sink.doubt |= !bridged;
                }
                Event::Seam => sink.doubt = true,
                Event::Metadata(at) => *metadata = Some(at),
                Event::Block { .. } | Event::Node { .. } => {}
            }
            Ok(())
        })
    }
}

fn hand_over(source: &mut DamagedFrames, sink: &mut Sink<'_>, at: Coordinates, certain: bool) -> Result<()> {
    source.hand_over(at.frame);
    match source.with_entry(at, |bytes, proven| sink.add(bytes, certain && proven))? {
        Some(()) => Ok(()),
        None => sink.lose(1, true),
    }
}
