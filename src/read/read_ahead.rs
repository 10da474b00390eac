//! Read-ahead: other threads inflate the next blocks while earlier ones are processed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Result;
use crate::format::in_memory;
use crate::read::block::Block;
use crate::read::snapshot::Snapshot;
use crate::sync::pipeline::{Pipeline, Task};

/// Maximum number of blocks per thread that are inflated ahead: a writer with many threads stores an index
/// node several blocks behind its records, and a scan needs both.
const BLOCKS_PER_THREAD: usize = 8;
/// Minimum number of blocks for which threads save more than they cost.
const BLOCKS_WORTH_THREADS: usize = 4;
/// Maximum share of the cache size for blocks inflated ahead.
const PART_OF_CACHE: u64 = 4;

/// The blocks of some frames, in the order of the file.
#[derive(Debug)]
pub(crate) struct ReadAhead<F> {
    snapshot: Arc<Snapshot>,
    /// The next frames, in ascending order.
    source: F,
    /// Positions of the frames whose blocks are in the pipeline.
    frames: VecDeque<u64>,
    pipeline: Pipeline<Inflation>,
    depth: usize,
}

/// A frame to inflate.
struct Inflation {
    snapshot: Arc<Snapshot>,
    frame: u64,
}

impl Task for Inflation {
    type Outcome = Arc<Block>;

    fn run(&self) -> Result<Arc<Block>> {
        self.snapshot.block_reader().block(self.frame)
    }
}

impl<F: Iterator<Item = u64>> ReadAhead<F> {
    /// Starts with the first of `frames`, on as many threads as the file was opened with.
    pub(crate) fn new(snapshot: &Arc<Snapshot>, frames: F) -> Self {
        let few = frames.size_hint().1.is_some_and(|most| most < BLOCKS_WORTH_THREADS);
        let threads = if few { 1 } else { snapshot.file().threads };
        let block_size = u64::from(snapshot.geometry().block_size).max(1);
        let in_cache = in_memory(snapshot.file().cache.capacity() / PART_OF_CACHE / block_size);
        let depth = if threads == 1 { 1 } else { in_cache.clamp(1, BLOCKS_PER_THREAD * threads) };
        Self {
            snapshot: Arc::clone(snapshot),
            source: frames,
            frames: VecDeque::new(),
            pipeline: Pipeline::new(if depth == 1 { 1 } else { threads }),
            depth,
        }
    }

    /// Whether it was inherited by a forked child; if so, it must only be dropped.
    pub(crate) fn is_forked(&self) -> bool {
        self.pipeline.is_forked()
    }

    fn fill(&mut self) {
        while self.frames.len() < self.depth
            && let Some(frame) = self.source.next()
        {
            self.frames.push_back(frame);
            match self.snapshot.block_reader().cached_block(frame) {
                Some(block) => self.pipeline.push_outcome(block, 0),
                None => self.pipeline.push(Inflation { snapshot: Arc::clone(&self.snapshot), frame }, 0),
            }
        }
    }

    /// Returns the block of `frame` if it is one of those inflated ahead.
    pub(crate) fn get(&mut self, frame: u64) -> Result<Option<Arc<Block>>> {
        self.fill();
        match self.frames.iter().position(|&next| next == frame) {
            Some(index) => self.pipeline.get(index),
            None => Ok(None),
        }
    }

    /// Releases the blocks before that of `frame`.
    pub(crate) fn discard_before(&mut self, frame: u64) {
        while self.frames.front().is_some_and(|&first| first < frame) {
            self.frames.pop_front();
            self.pipeline.pop();
        }
    }
}

/// The frames that follow a given one in the file.
#[derive(Debug)]
pub(crate) struct FrameScan {
    snapshot: Arc<Snapshot>,
    next: u64,
    /// Limit for the start of a frame.
    last: u64,
}

impl FrameScan {
    /// Iterates over the committed frames behind the one at `frame`, up to the one at `last`.
    pub(crate) fn new(snapshot: &Arc<Snapshot>, frame: u64, last: u64) -> Self {
        let mut following = Self { snapshot: Arc::clone(snapshot), next: frame, last };
        // The caller has that one.
        following.next();
        following
    }
}

impl Iterator for FrameScan {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let frame = self.next;
        if frame > self.last || !self.snapshot.block_reader().is_committed(frame) {
            return None;
        }
        // The position of the frame behind a damaged one is unknown.
        self.next = self.snapshot.frames().end_of(frame).unwrap_or(u64::MAX);
        Some(frame)
    }
}
