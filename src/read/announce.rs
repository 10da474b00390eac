//! Announcing blocks to a storage that fetches them: a scan in large parts, and scattered blocks together.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::Result;
use crate::read::source::BlockSource;
use crate::storage::READ_AHEAD;

/// Number of bytes of a scan that are announced together.
const STEP: u64 = 2 * 1024 * 1024;
/// Maximum number of blocks of a set that are announced but not yet needed.
const MAX_BLOCKS: usize = 512;

/// What has been announced to the storage, and what is left.
#[derive(Debug)]
pub(crate) enum Announcements {
    /// The storage needs no announcements.
    None,
    /// All bytes of a part of the file are needed, in their order.
    Scan {
        /// The bytes that have not been announced yet.
        left: Range<u64>,
    },
    /// Some blocks are needed.
    Set {
        /// Keys of those that have not been announced yet, ascending.
        left: VecDeque<u64>,
        /// Keys and lengths of those that have been announced and are not needed yet.
        coming: VecDeque<(u64, u64)>,
        /// The sum of these lengths.
        bytes: u64,
    },
}

impl Announcements {
    /// Begins with the blocks after the one with this key, up to the one with the key `last`.
    pub(crate) fn of_scan(source: &impl BlockSource, key: u64, last: u64) -> Self {
        if source.storage().as_object().is_none() {
            return Self::None;
        }
        Self::Scan { left: source.bytes_of(key).start..source.bytes_of(last).end }
    }

    /// Begins with the blocks with these keys, in ascending order.
    pub(crate) fn of_set(source: &impl BlockSource, keys: &[u64]) -> Self {
        if source.storage().as_object().is_none() {
            return Self::None;
        }
        Self::Set { left: keys.iter().copied().collect(), coming: VecDeque::new(), bytes: 0 }
    }

    /// Announces more now that the block with this key is needed.
    pub(crate) fn advance(&mut self, source: &impl BlockSource, key: u64) {
        let mut ranges = Vec::new();
        match self {
            Self::None => return,
            Self::Scan { left } => {
                let most = source.bytes_of(key).start.saturating_add(READ_AHEAD).min(left.end);
                // In whole steps, except for the last one.
                while left.start < most && (left.start + STEP <= most || most == left.end) {
                    let end = (left.start + STEP).min(most);
                    ranges.push(left.start..end);
                    left.start = end;
                }
            }
            Self::Set { left, coming, bytes } => {
                while coming.front().is_some_and(|(first, _)| *first <= key) {
                    *bytes -= coming.pop_front().map_or(0, |(_, length)| length);
                }
                // Not a few at a time, so that one request fetches neighbours.
                if *bytes > READ_AHEAD / 2 || coming.len() > MAX_BLOCKS / 2 {
                    return;
                }
                while *bytes < READ_AHEAD && coming.len() < MAX_BLOCKS {
                    let Some(next) = left.pop_front() else { break };
                    let range = source.bytes_of(next);
                    let length = range.end - range.start;
                    if length > 0 && source.cached_block(next).is_none() {
                        ranges.push(range);
                        coming.push_back((next, length));
                        *bytes += length;
                    }
                }
            }
        }
        if !ranges.is_empty() {
            source.storage().will_read(&mut ranges);
        }
    }

    /// Waits for the bytes of the block with this key, in the thread that needs them, because that thread may
    /// cancel the wait.
    pub(crate) fn wait(&self, source: &impl BlockSource, key: u64) -> Result<()> {
        if matches!(self, Self::None) || source.cached_block(key).is_some() {
            return Ok(());
        }
        let range = source.bytes_of(key);
        source.storage().await_coming(range).map_err(|error| source.unread(error))
    }
}
