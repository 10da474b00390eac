//! The current block of a reader of many records, and the next ones once the reads look like a scan.

use std::sync::Arc;

use crate::error::Result;
use crate::read::read_ahead::ReadAhead;
use crate::read::source::BlockSource;

/// Number of consecutive blocks after which read-ahead starts.
const BLOCKS_OF_A_SCAN: u32 = 3;

/// The position of one reader in the blocks of a state.
pub(crate) struct Scan<S: BlockSource> {
    source: Arc<S>,
    /// The block of the last record, with its key.
    at_hand: Option<(u64, S::Block)>,
    /// Number of consecutive reads that went forward to a later block.
    rising: u32,
    ahead: Option<ReadAhead<S, S::Following>>,
}

impl<S: BlockSource> Scan<S> {
    pub(crate) fn new(source: Arc<S>) -> Self {
        Self { source, at_hand: None, rising: 0, ahead: None }
    }

    pub(crate) fn source(&self) -> &Arc<S> {
        &self.source
    }

    /// Returns the current block, with its key.
    #[inline]
    pub(crate) fn at_hand(&self) -> Option<&(u64, S::Block)> {
        self.at_hand.as_ref()
    }

    /// Records that the block with this key comes next; returns whether the blocks after it will probably be
    /// needed, too.
    pub(crate) fn note(&mut self, key: u64) -> bool {
        let is_behind = self.at_hand.as_ref().is_some_and(|(before, _)| *before < key);
        self.rising = if is_behind { self.rising.saturating_add(1) } else { 0 };
        self.rising == BLOCKS_OF_A_SCAN
    }

    /// Reads ahead the blocks after the one with the key `key`, up to the one with the key `last`.
    pub(crate) fn read_ahead(&mut self, key: u64, last: u64) {
        let following = |source: &Arc<S>| source.following(key, last);
        self.ahead = Some(ReadAhead::scan(&self.source, key, last, following));
    }

    /// Makes this block the current one.
    pub(crate) fn hold(&mut self, key: u64, block: S::Block) {
        if let Some(ahead) = &mut self.ahead {
            ahead.discard_before(key);
        }
        self.at_hand = Some((key, block));
    }

    /// Returns the block with this key from wherever it is.
    pub(crate) fn fetch(&mut self, key: u64) -> Result<S::Block> {
        if let Some((_, block)) = self.at_hand.as_ref().filter(|(at, _)| *at == key) {
            return Ok(block.clone());
        }
        self.ahead.take_if(|ahead| ahead.is_forked());
        if let Some(ahead) = &mut self.ahead
            && let Some(block) = ahead.get(key)?
        {
            return Ok(block);
        }
        self.source.block(key)
    }
}
