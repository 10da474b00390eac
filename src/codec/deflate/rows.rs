//! From bytes to tokens for rows of equal length, such as the coordinates in an index node.

use super::sizes::{MAX_DISTANCE, MAX_MATCH_LEN, PURPOSE};
use super::tokens::{SINGLE, copy, token};
use crate::error::{Result, reserve};

/// Shorter copies take about as many bits as literals.
const MIN_COPY: usize = 4;

/// Turns a block into tokens: each row begins with a copy of the prefix that it shares with the previous row.
pub(super) fn tokenize(block: &[u8], row: usize) -> Result<Vec<u32>> {
    debug_assert!((1..=MAX_MATCH_LEN.min(MAX_DISTANCE)).contains(&row));
    let mut tokens = Vec::new();
    reserve(&mut tokens, block.len().div_ceil(row) * (1 + row.div_ceil(2)), PURPOSE)?;
    let mut before: &[u8] = &[];
    for this in block.chunks(row) {
        let same = this.iter().zip(before).take_while(|(byte, other)| byte == other).count();
        let copied = if same < MIN_COPY { 0 } else { same };
        if copied > 0 {
            tokens.push(copy(copied, row));
        }
        let literals = this[copied..].chunks(2);
        tokens.extend(
            literals.map(|two| token(two[0].into(), two.get(1).map_or(SINGLE, |&second| second.into()), 0)),
        );
        before = this;
    }
    Ok(tokens)
}
