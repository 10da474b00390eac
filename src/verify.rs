//! Walking a whole file to find everything that is damaged in it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::cache::Block;
use crate::capture_file::CaptureFile;
use crate::error::{Damage, Error, Result};
use crate::format::{Coordinates, LENGTH_SIZE};
use crate::snapshot::Snapshot;

/// As many problems are listed at most; more say no more.
const MOST_PROBLEMS: usize = 1000;

/// What a walk through a whole file found.
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
    /// What is wrong, at most a thousand things.
    pub problems: Vec<Damage>,
}

/// Reads everything in the file at `path`: both master nodes, every frame from the start of the data to
/// the file limit, every index node, every record's bounds, and the metadata.
///
/// An error means that the file cannot be opened as a capture file at all.
pub fn verify(path: impl AsRef<Path>) -> Result<Report> {
    verify_open(&CaptureFile::open(path)?)
}

/// The same for a file that is open already.
pub(crate) fn verify_open(file: &CaptureFile) -> Result<Report> {
    let snapshot = file.snapshot()?;
    let mut walk = Walk::new(&snapshot);
    walk.report.problems.extend(file.damaged_slot()?);
    walk.frames()?;
    walk.tree()?;
    walk.keep(snapshot.metadata().map(drop))?;
    Ok(walk.report)
}

struct Walk<'a> {
    snapshot: &'a Arc<Snapshot>,
    /// Nodes that have been looked at, with the height they were found at, where subtrees are shared:
    /// such a tree is walked in proportion to its bytes, not to its records.
    seen: Option<HashSet<(Coordinates, u32)>>,
    /// Frames that are reported already, not to be tried again for each thing in them.
    broken: HashSet<u64>,
    /// The block at hand, which the next thing is probably in as well.
    block: Option<(u64, Arc<Block>)>,
    report: Report,
}

impl<'a> Walk<'a> {
    fn new(snapshot: &'a Arc<Snapshot>) -> Self {
        let report = Report { record_count: snapshot.record_count(), ..Report::default() };
        Self { snapshot, seen: None, broken: HashSet::new(), block: None, report }
    }

    /// Notes damage and goes on; other errors end the walk.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Invalid { damage, .. }) => {
                let problems = &mut self.report.problems;
                if problems.len() < MOST_PROBLEMS && !problems.contains(&damage) {
                    problems.push(damage);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Every frame follows the one before, from the start of the data to the file limit.
    fn frames(&mut self) -> Result<()> {
        let mut position = self.snapshot.geometry().data_start();
        let mut bytes = self.snapshot.pending_bytes() as u64;
        while position < self.snapshot.file_limit() {
            let Some(end) = self.keep(self.snapshot.frame_end(position))? else {
                break;
            };
            if let Some(block) = self.keep(self.snapshot.inflate_frame(position))? {
                self.report.frames += 1;
                bytes += block.size;
            }
            position = end;
        }
        // Each record takes at least its length prefix, so this many need not be told apart.
        if self.report.record_count > bytes / LENGTH_SIZE as u64 {
            self.seen = Some(HashSet::new());
        }
        Ok(())
    }

    fn tree(&mut self) -> Result<()> {
        for (height, child) in self.snapshot.roots() {
            self.subtree(child, height)?;
        }
        Ok(())
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

    /// Looks at all below `root`, in file order and without recursion.
    fn subtree(&mut self, root: Coordinates, height: u32) -> Result<()> {
        let mut open = vec![(root, height)];
        while let Some((at, height)) = open.pop() {
            let again = |seen: &mut HashSet<_>| !seen.insert((at, height));
            if height > 0 && self.seen.as_mut().is_some_and(again) {
                continue;
            }
            let Some(block) = self.block(at.frame)? else {
                continue;
            };
            if height == 0 {
                if self.keep(self.snapshot.entry_in(block, at))?.is_some() {
                    self.report.records_checked += 1;
                }
            } else if let Some(node) = self.keep(self.snapshot.node_in(&block, at))? {
                self.report.index_nodes += 1;
                open.extend(node.children.iter().rev().map(|&child| (child, height - 1)));
            }
        }
        Ok(())
    }
}
