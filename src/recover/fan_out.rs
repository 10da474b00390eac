//! Finding the fan-out of an index without a readable header.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Result;
use crate::format::master::MasterNode;
use crate::format::{self, Coordinates, Geometry};

use super::block::{Found, FoundBlock};
use super::slots::{SlotState, Slots, current};
use super::source::DamagedFrames;

/// Number of frames that are examined to find the fan-out.
const FRAMES_FOR_FAN_OUT: usize = 200;
/// Maximum total size of their blocks.
const BYTES_FOR_FAN_OUT: usize = 8 * 1024 * 1024;
/// Maximum number of nodes to which the slots point that are also examined.
const MAX_ROOTS: usize = 64;

/// Returns the fan-out with which the first blocks are most consistent, and whether any index node supports it.
/// `said` is the fan-out of an intact header.
pub(super) fn find_fan_out(
    source: &mut DamagedFrames,
    slots: &Slots,
    said: Option<u32>,
) -> Result<(u32, bool)> {
    let max_children = slots.max_children(&source.geometry());
    let half_said = source.geometry().fan_out;
    // The smallest that the slots allow, which is sufficient to read the end of the data from them.
    source.set_fan_out(max_children.saturating_add(1).max(2));
    let states = slots.states(&source.geometry());
    let masters = states.iter().filter_map(SlotState::master);
    let roots: HashSet<_> = masters.flat_map(roots_of).take(MAX_ROOTS).collect();
    if let (Some(newest), _) = current(states) {
        source.end_with(&newest);
    }
    let blocks = telling_blocks(source, &roots)?;
    let runs = runs_of_coordinates(source, &blocks);
    let common = runs.iter().copied().reduce(greatest_common_divisor);
    let shortest = runs.iter().copied().min();
    let divisors = shortest.map(|run| (2..=run).rev().filter(move |fan_out| run % fan_out == 0));
    let usual = [said, common, shortest, Some(Geometry::default().fan_out), Some(half_said)];
    let guesses = usual.into_iter().flatten().chain(divisors.into_iter().flatten());
    let guesses = guesses.filter(|guess| *guess > max_children.max(1));
    let mut best = None;
    for fan_out in guesses {
        source.set_fan_out(fan_out);
        let score = score(source, &blocks, &roots);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, fan_out));
        }
    }
    let least = max_children.saturating_add(1).max(2);
    Ok((best.map_or(least, |(_, fan_out)| fan_out), !runs.is_empty()))
}

/// Returns the index nodes to which a rightmost path leads.
fn roots_of(master: &MasterNode) -> impl Iterator<Item = Coordinates> {
    (2..=master.path.height()).flat_map(|height| master.path.children(height).iter().copied())
}

/// Returns the first blocks, and those with the roots, in order.
fn telling_blocks(source: &mut DamagedFrames, roots: &HashSet<Coordinates>) -> Result<Vec<Arc<FoundBlock>>> {
    let mut blocks: Vec<Arc<FoundBlock>> = Vec::new();
    for root in roots {
        let block = source.block(root.frame)?;
        let bytes: usize = blocks.iter().chain(&block).map(|block| block.head().len()).sum();
        blocks.extend(block.filter(|_| blocks.is_empty() || bytes <= BYTES_FOR_FAN_OUT));
    }
    let mut position = source.frames.start;
    for _ in 0..FRAMES_FOR_FAN_OUT {
        if blocks.iter().map(|block| block.head().len()).sum::<usize>() > BYTES_FOR_FAN_OUT {
            break;
        }
        if position >= source.frames.limit {
            blocks.push(Arc::clone(&source.pending));
            break;
        }
        position = match source.find(position)? {
            Found::Hole(hole) => hole.range.end,
            Found::Block(block) => {
                let end = block.end;
                blocks.push(block);
                end
            }
        };
    }
    blocks.sort_unstable_by_key(|block| block.at);
    blocks.dedup_by_key(|block| block.at);
    Ok(blocks)
}

/// Returns how consistent the blocks are with the fan-out of `source`: the more of their bytes are entries, and the
/// more nodes are referenced from above, the higher.
fn score(source: &DamagedFrames, blocks: &[Arc<FoundBlock>], roots: &HashSet<Coordinates>) -> i64 {
    let mut explained = 0;
    let mut nodes = HashSet::new();
    let mut children = HashSet::new();
    for block in blocks {
        let mut offset = 0;
        while offset < block.head().len() {
            let Ok(at) = u32::try_from(offset) else {
                break;
            };
            if let Some(found) = source.rising_node(block, offset) {
                offset += found.len() * Coordinates::SIZE;
                nodes.insert(Coordinates { frame: block.at, offset: at });
                children.extend(found);
            } else if let Some(end) = block.entry_end(offset) {
                offset = format::in_memory(end);
            } else {
                break;
            }
        }
        explained += offset.min(block.head().len());
    }
    let found_roots = roots.iter().filter(|root| nodes.contains(root)).count();
    let pointed_at = nodes.iter().filter(|node| children.contains(node)).count();
    let strays = nodes.len() - pointed_at - found_roots.min(nodes.len() - pointed_at);
    let score = explained + (found_roots + pointed_at) * Coordinates::SIZE;
    i64::try_from(score).unwrap_or(i64::MAX) - i64::try_from(strays * Coordinates::SIZE).unwrap_or(0)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Returns the lengths of runs of ascending coordinates. Each is an index node, or several in a row.
fn runs_of_coordinates(source: &DamagedFrames, blocks: &[Arc<FoundBlock>]) -> Vec<u32> {
    let mut runs = Vec::new();
    for block in blocks {
        let mut offset = 0;
        while offset < block.head().len() {
            let run = rising(block, offset, source.least_position());
            if run >= 2 {
                runs.push(u32::try_from(run).unwrap_or(u32::MAX));
                offset += run * Coordinates::SIZE;
            } else if let Some(end) = block.entry_end(offset) {
                offset = format::in_memory(end);
            } else {
                break;
            }
        }
    }
    runs
}

/// Returns how many coordinates from `offset` on ascend from `data_start` and point to earlier places.
fn rising(block: &FoundBlock, offset: usize, data_start: u64) -> usize {
    let mut last = Coordinates { frame: data_start.saturating_sub(1), offset: u32::MAX };
    let mut count = 0;
    loop {
        let place = offset + count * Coordinates::SIZE;
        let (child, place) = (Coordinates::decode(block.head(), place), u32::try_from(place));
        let (Some(child), Ok(place)) = (child, place) else {
            break;
        };
        if child <= last || child >= (Coordinates { frame: block.at, offset: place }) {
            break;
        }
        last = child;
        count += 1;
    }
    count
}
