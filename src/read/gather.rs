//! A given set of records, block by block.

use std::sync::Arc;

use crate::error::{Result, reserve};
use crate::read::read_ahead::ReadTogether;
use crate::read::record::Record;
use crate::read::source::BlockSource;
use crate::sync::progress::Monitor;

/// Maximum number of blocks whose records are handed over together.
const BLOCKS_PER_BATCH: usize = 64;
/// Maximum number of records that are handed over together; one record may be requested many times.
const RECORDS_PER_BATCH: usize = 1 << 16;

/// Number of bytes after which no more records are added to a batch, which bounds the memory.
const BYTES_PER_BATCH: usize = 8 * 1024 * 1024;

/// A set of records of one state, gathered block by block.
pub(crate) struct Batches<S: BlockSource> {
    source: Arc<S>,
    /// The places of the records with their positions in the requested order, sorted by place.
    wanted: Vec<(S::Place, usize)>,
    done: usize,
    blocks: ReadTogether<S>,
}

impl<S: BlockSource> Batches<S> {
    pub(crate) fn new(source: Arc<S>, numbers: &[u64], monitor: &Monitor<'_>) -> Result<Self> {
        let mut order: Vec<(u64, usize)> = Vec::new();
        reserve(&mut order, numbers.len(), "record numbers")?;
        order.extend(numbers.iter().copied().zip(0..));
        // In the order of their numbers, so that each index node is read once.
        order.sort_unstable();
        let wanted = source.places(&order, monitor)?;
        let blocks = read_together(&source, wanted.iter().map(|(place, _)| S::key(*place)))?;
        Ok(Self { source, wanted, done: 0, blocks })
    }

    /// Returns the number of records left.
    pub(crate) fn remaining(&self) -> usize {
        self.wanted.len() - self.done
    }

    /// Takes the records of the next blocks; empty at the end.
    fn take_batch(&mut self) -> Result<Vec<(usize, Record)>> {
        let mut batch = Vec::new();
        let mut at_hand: Option<(u64, S::Block)> = None;
        let (mut blocks, mut bytes) = (0, 0);
        for &(place, index) in &self.wanted[self.done..] {
            if bytes > BYTES_PER_BATCH || batch.len() == RECORDS_PER_BATCH {
                break;
            }
            let key = S::key(place);
            let block = match &at_hand {
                Some((same, block)) if *same == key => block.clone(),
                _ if blocks == BLOCKS_PER_BATCH => break,
                _ => {
                    let block = self.blocks.take(key)?;
                    (blocks, bytes) = (blocks + 1, bytes + S::held_bytes(&block).unwrap_or_default());
                    at_hand = Some((key, block.clone()));
                    block
                }
            };
            let is_held = S::held_bytes(&block).is_some();
            let record = self.source.record_in(block, place)?;
            // Records of a block that is not held as a whole are copies, possibly of the same bytes.
            bytes += if is_held { 0 } else { record.len() };
            batch.push((index, record));
        }
        self.done += batch.len();
        Ok(batch)
    }
}

impl<S: BlockSource> Iterator for Batches<S> {
    type Item = Result<Vec<(usize, Record)>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.take_batch();
        if batch.is_err() {
            self.done = self.wanted.len();
        }
        Some(batch).filter(|batch| !matches!(batch, Ok(batch) if batch.is_empty()))
    }
}

/// Decompresses the blocks with these ascending keys in parallel.
pub(crate) fn read_together<S: BlockSource>(
    source: &Arc<S>,
    rising: impl Iterator<Item = u64>,
) -> Result<ReadTogether<S>> {
    let mut keys: Vec<u64> = Vec::new();
    for key in rising {
        if keys.last() != Some(&key) {
            reserve(&mut keys, 1, "block positions")?;
            keys.push(key);
        }
    }
    Ok(ReadTogether::of(source, keys))
}
