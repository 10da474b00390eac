//! Verifying a file of version 3: its heads, log, frames, index and records.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Damage, Error, Result};
use crate::sync::progress::Monitor;
use crate::v3::format::frame::Kind;
use crate::v3::format::index::Child;
use crate::v3::log::find_lost_entry;
use crate::v3::open::heads::{damaged_copy, read_slot};
use crate::v3::open::reader;
use crate::v3::read::snapshot::Snapshot;
use crate::v3::shared::Shared;

use super::report::Report;

/// Verifies everything in a state.
pub(super) fn read_all(snapshot: &Arc<Snapshot>, monitor: &Monitor<'_>) -> Result<Report> {
    monitor.set_total(snapshot.frames.limit);
    monitor.report()?;
    let mut walk = VerifyWalk::new(snapshot, monitor);
    walk.heads_and_log()?;
    walk.frames()?;
    for (height, child, first) in walk.roots() {
        walk.subtree(height, &child, first)?;
    }
    walk.log_records_and_metadata()?;
    monitor.finish()?;
    Ok(walk.report)
}

/// Checks only what is cheap: the heads, the log, the first and the last block, and the metadata.
pub(super) fn look_at_edges(snapshot: &Arc<Snapshot>) -> Result<Report> {
    let monitor = Monitor::new(&snapshot.frames.file.path, None);
    let mut walk = VerifyWalk::new(snapshot, &monitor);
    walk.heads_and_log()?;
    let count = snapshot.state.frames.count();
    for number in HashSet::from([1.min(count), count]) {
        if number > 0 {
            walk.block_of(number)?;
        }
    }
    walk.log_records_and_metadata()?;
    Ok(walk.report)
}

struct VerifyWalk<'a> {
    snapshot: &'a Snapshot,
    monitor: &'a Monitor<'a>,
    report: Report,
    /// Positions of frames that are known to be damaged.
    damaged: HashSet<u64>,
    /// The end of the last frame of the index: a hostile file may lead to the same frames again and again.
    reached: u64,
}

impl<'a> VerifyWalk<'a> {
    fn new(snapshot: &'a Snapshot, monitor: &'a Monitor<'a>) -> Self {
        let report = Report { record_count: snapshot.total, ..Report::default() };
        Self { snapshot, monitor, report, damaged: HashSet::new(), reached: 0 }
    }

    fn file(&self) -> &'a Shared {
        &self.snapshot.frames.file
    }

    /// Reports damage, once for each frame, and continues; other errors end the walk.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { damage, .. }) => {
                if damage.position.is_none_or(|position| self.damaged.insert(position)) {
                    self.report.note(damage);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn heads_and_log(&mut self) -> Result<()> {
        for slot in [0, 1] {
            if let Some(damage) = self.torn_head(slot)? {
                self.report.repairable.push(damage);
            }
        }
        if let Some(damage) = damaged_copy(self.file())? {
            self.report.note(damage);
        }
        if let Some(damage) = self.lost_entry()? {
            self.report.note(damage);
        }
        Ok(())
    }

    /// Reports a torn head, which a crash can leave and the next writer repairs. The same damage twice is not a write
    /// in progress.
    fn torn_head(&self, slot: u64) -> Result<Option<Damage>> {
        let file = self.file();
        let look = || Ok(read_slot(file, slot)?.err().map(|bad| bad.damage));
        let found: Option<Damage> = look()?;
        if found.is_some() {
            let page = u64::from(file.header.page);
            file.storage
                .drop_cached(file.header.head_position(slot), page)
                .map_err(file.failed("drop the cached heads of"))?;
        }
        Ok(if found.is_some() && found == look()? { found } else { None })
    }

    /// Reports damage of the log that has cut off later entries.
    fn lost_entry(&self) -> Result<Option<Damage>> {
        let file = self.file();
        let mut state = self.snapshot.state.clone();
        loop {
            let found = find_lost_entry(file, &state).map_err(file.failed("read the log of"))?;
            if found.is_none() {
                return Ok(None);
            }
            // A writer may have added the entry since the state was read.
            let now = reader::refresh(file, &state)?.state;
            if now.end == state.end {
                return Ok(found);
            }
            state = now;
        }
    }

    /// Checks that the frames follow each other from the start of the data to the limit.
    fn frames(&mut self) -> Result<()> {
        let limit = self.snapshot.frames.limit;
        let mut position = self.file().header.data_start();
        while position < limit {
            let start = position;
            match self.keep(self.snapshot.frames.header(position))? {
                Some(frame) => {
                    self.report.frames += 1;
                    self.report.index_nodes += u64::from(frame.kind == Kind::Node);
                    position += frame.total();
                }
                // Only the body may be damaged; otherwise the index leads to the next frame.
                None => position = self.end_of_damaged(position).unwrap_or(limit),
            }
            self.monitor.advance_to(position / 2);
            self.monitor.add_work(position - start)?;
        }
        Ok(())
    }

    /// Returns the start of the frame after a damaged one, from its header or, if that is damaged, from the index.
    fn end_of_damaged(&self, position: u64) -> Option<u64> {
        if let Ok(end) = self.snapshot.frames.end_by_header(position) {
            return Some(end);
        }
        let is_behind = |child: &Child| child.end() > position;
        let (mut height, mut child, mut first) =
            self.roots().into_iter().find(|(_, child, _)| is_behind(child))?;
        while height > 0 && child.position > position {
            let children = self.snapshot.frames.node(&child, first).ok()?;
            let Some(at) = children.iter().position(is_behind) else {
                break;
            };
            first += children[..at].iter().map(|child| child.records).sum::<u64>();
            (height, child) = (height - 1, children[at]);
        }
        Some(if child.position > position { child.position } else { child.end() })
    }

    /// Returns the children of the rightmost path, with their heights and the numbers of their first records.
    fn roots(&self) -> Vec<(usize, Child, u64)> {
        let mut first = 1;
        let with_first = |(height, child): (usize, &Child)| {
            let root = (height, *child, first);
            first += child.records;
            root
        };
        self.snapshot.state.frames.path.roots().map(with_first).collect()
    }

    /// Checks everything below a child of the index.
    fn subtree(&mut self, height: usize, child: &Child, first: u64) -> Result<()> {
        if child.position < self.reached {
            let damage =
                Damage::new("a frame that is repeated or out of order", "frames in the order of the index");
            self.report.note(damage.at(child.position));
            self.report.note_unreadable(first, child.records);
            return Ok(());
        }
        if height == 0 {
            self.block(child, first)?;
        } else {
            self.node(height, child, first)?;
        }
        self.reached = child.end();
        Ok(())
    }

    fn node(&mut self, height: usize, child: &Child, first: u64) -> Result<()> {
        let Some(children) = self.keep(self.snapshot.frames.node(child, first))? else {
            self.report.note_unreadable(first, child.records);
            return Ok(());
        };
        let mut next = first;
        for child in children.iter() {
            self.subtree(height - 1, child, next)?;
            next += child.records;
        }
        Ok(())
    }

    fn block(&mut self, child: &Child, first: u64) -> Result<()> {
        match self.keep(self.snapshot.frames.block(child, first))? {
            Some(block) => self.report.records_checked += u64::from(block.count()),
            None => self.report.note_unreadable(first, child.records),
        }
        let limit = self.snapshot.frames.limit;
        self.monitor.advance_to(limit.midpoint(child.end().min(limit)));
        self.monitor.add_work(child.length)
    }

    fn block_of(&mut self, number: u64) -> Result<()> {
        match self.keep(self.snapshot.find_block(number))? {
            Some((child, first)) => self.block(&child, first),
            None => Ok(()),
        }
    }

    /// Checks the metadata, and counts the records of the log, which were checked when it was read.
    fn log_records_and_metadata(&mut self) -> Result<()> {
        self.report.records_checked += self.snapshot.total - self.snapshot.state.frames.count();
        self.keep(self.snapshot.metadata()).map(drop)
    }
}
