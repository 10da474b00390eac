//! The sizes that a file was made with, and its two master nodes, whatever is left of header and slots.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use libdeflater::{Crc, crc32};

use crate::error::{Damage, Error, Result};
use crate::format::master::MasterNode;
use crate::format::{self, Coordinates, Geometry, Slot, get_u32};

use super::raw::Raw;
use super::source::{Block, Found, Source};

/// Page sizes that are tried where nothing says which it was: powers of two up to this.
const LARGEST_PAGE: u32 = 1 << 16;
/// Block sizes that are tried go up to this.
const LARGEST_BLOCK: u32 = 1 << 24;
/// Longer blocks than this are believed only where the file has room for them.
const LARGEST_USUAL_BLOCK: u32 = 1 << 20;
/// Larger fan-outs than this are believed only where the file has so many times as many bytes.
const LARGEST_USUAL_FAN_OUT: u32 = 1 << 17;
const BYTES_PER_CHILD: u64 = 16;
/// As many frames are looked at to find out how many children an index node has.
const FRAMES_FOR_FAN_OUT: usize = 200;
/// Their blocks have so many bytes at most.
const BYTES_FOR_FAN_OUT: usize = 8 * 1024 * 1024;
/// So many of the nodes that the slots point at are looked at, too.
const MOST_ROOTS: usize = 64;
/// A slot that a writer may be writing is read so many times, with a pause.
const MOST_LOOKS: usize = 20;
/// Nobody writes the files that fuzzing makes.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 20 });

/// What a slot holds.
pub(super) enum SlotState {
    Good(Box<MasterNode>),
    /// What is wrong, and the serial number if numbers of a commit stand there all the same.
    Bad {
        damage: Damage,
        serial: Option<u32>,
    },
}

impl SlotState {
    /// Where the metadata is, if this says so.
    pub(super) fn metadata(&self) -> Option<Coordinates> {
        match self {
            Self::Good(master) => Some(master.metadata).filter(|at| !at.is_none()),
            Self::Bad { .. } => None,
        }
    }
}

/// All that header and slots tell.
pub(super) struct Sizes {
    pub(super) geometry: Geometry,
    pub(super) data_start: u64,
    /// Whether the sizes are known, and not only the usual ones.
    pub(super) known: bool,
    /// Whether a sound header or an index node says what the fan-out is.
    pub(super) fan_out_known: bool,
    pub(super) slots: [SlotState; 2],
    /// What is wrong with the header.
    pub(super) damage: Option<Damage>,
}

/// Finds the sizes from what is left of the file, the surest evidence first: a header that its checksum
/// or a whole slot confirms, a slot whose checksum fits some sizes, what the frames hold.
pub(super) fn find(raw: Raw) -> Result<(Sizes, Raw)> {
    let header = raw.read(0..raw.length.min(Geometry::HEADER_SIZE as u64))?.unwrap_or_default();
    let decoded = Geometry::decode(&header).and_then(|sizes| check_likely(sizes, raw.length));
    let said = decoded.clone().ok().or_else(|| sizes_said(&header, raw.length));
    let mut damage = decoded.as_ref().err().cloned();
    let sure = decoded.is_ok() && format::has_checksum(&header);
    let guesses = [said, Some(Geometry::default())];
    let confirmed = match first_confirmed(&raw, guesses.into_iter().flatten())? {
        None if !sure => search_slots(&raw)?,
        found => found.filter(|_| !sure),
    };
    let known = decoded.is_ok() || confirmed.is_some();
    let mut geometry = confirmed.or_else(|| decoded.clone().ok()).unwrap_or_default();
    if let (Ok(header), Some(found)) = (&decoded, confirmed)
        && (header.page_size, header.block_size) != (found.page_size, found.block_size)
    {
        damage = Some(differs("page and block sizes", "those of the master nodes"));
    }
    geometry.fan_out = said.map_or(geometry.fan_out, |said| said.fan_out);
    let mut source = Source::open_ended(raw, geometry, geometry.data_start());
    source.guessed = !known;
    if !known && source.block(source.data_start)?.is_none() {
        source.data_start = 0;
        let first = source.search(0)?.unwrap_or(geometry.data_start());
        source.data_start = first.min(geometry.data_start());
    }
    let data_start = source.data_start;
    let mut fan_out_known = decoded.is_ok();
    if !sure {
        let (fan_out, from_nodes) =
            find_fan_out(&mut source, decoded.as_ref().ok().map(|header| header.fan_out))?;
        if decoded.is_ok() && fan_out != geometry.fan_out {
            damage = Some(differs("a fan-out", "that of the index nodes"));
        }
        geometry.fan_out = fan_out;
        fan_out_known |= from_nodes;
    }
    let slots = read_slots(&source.raw, &geometry)?;
    Ok((
        Sizes {
            geometry,
            data_start,
            known,
            fan_out_known,
            slots,
            damage: damage.map(|damage| damage.at(0)),
        },
        source.raw,
    ))
}

fn differs(what: &str, other: &str) -> Damage {
    Damage::new(format!("{what} in the header that the file does not have"), other)
}

/// Refuses sizes that would take far more memory than the file has bytes. Usual ones may be those of a file
/// that was cut short.
fn check_likely(sizes: Geometry, length: u64) -> std::result::Result<Geometry, Damage> {
    let usual = sizes.page_size <= LARGEST_PAGE && sizes.block_size <= LARGEST_USUAL_BLOCK;
    let found = format!("a file of {length} bytes");
    if !usual && sizes.data_start() > length {
        let expected = format!("at least {}, which its master nodes need", sizes.data_start());
        return Err(Damage::new(found, expected));
    }
    if !is_likely_fan_out(sizes.fan_out, length) {
        let expected = format!("one with room for the {} children of an index node", sizes.fan_out);
        return Err(Damage::new(found, expected));
    }
    Ok(sizes)
}

fn is_likely_fan_out(fan_out: u32, length: u64) -> bool {
    fan_out <= LARGEST_USUAL_FAN_OUT || u64::from(fan_out) * BYTES_PER_CHILD <= length
}

/// The sizes in a header that is not sound, as far as they are possible.
fn sizes_said(header: &[u8], length: u64) -> Option<Geometry> {
    let mut number = [11, 15, 19, 23].into_iter().map(|at| get_u32(header, at));
    let _version = number.next()?;
    let (page_size, block_size, fan_out) = (number.next()??, number.next()??, number.next()??);
    let likely = Some(fan_out).filter(|&fan_out| is_likely_fan_out(fan_out, length));
    let fan_out = likely.unwrap_or(Geometry::default().fan_out);
    let geometry = Geometry { page_size, block_size, fan_out, ..Geometry::default() };
    let possible = Geometry { fan_out: fan_out.max(2), ..geometry }.check_settings().is_ok();
    (possible && page_size <= LARGEST_BLOCK).then_some(geometry)
}

/// The first of the guesses under which a slot has the right checksum.
fn first_confirmed(raw: &Raw, guesses: impl Iterator<Item = Geometry>) -> Result<Option<Geometry>> {
    for geometry in guesses {
        for slot in Slot::BOTH {
            if slot_bytes(raw, &geometry, slot)?.is_some_and(|bytes| is_whole(&bytes)) {
                return Ok(Some(geometry));
            }
        }
    }
    Ok(None)
}

fn slot_bytes(raw: &Raw, geometry: &Geometry, slot: Slot) -> Result<Option<Vec<u8>>> {
    let start = geometry.slot_position(slot);
    raw.read(start..start + geometry.slot_size())
}

fn is_whole(slot: &[u8]) -> bool {
    get_u32(slot, 0).is_some_and(|stored| stored == crc32(&slot[4..]))
}

/// Page and block sizes under which a slot has the right checksum. Slot A starts at a page whatever the
/// block size; slot B is tried under block sizes that are powers of two.
fn search_slots(raw: &Raw) -> Result<Option<Geometry>> {
    let pages =
        std::iter::successors(Some(512), |page| Some(page * 2)).take_while(|page| *page <= LARGEST_PAGE);
    for page_size in pages {
        let geometry = |block_size| Geometry { page_size, block_size, ..Geometry::default() };
        if let Some(block_size) = search_slot_a(raw, page_size)? {
            return Ok(Some(geometry(block_size)));
        }
        let blocks = std::iter::successors(Some(page_size), |block| Some(block * 2));
        let blocks = std::iter::once(0).chain(blocks.take_while(|block| *block <= LARGEST_BLOCK));
        if let Some(found) = first_confirmed(raw, blocks.map(geometry))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn search_slot_a(raw: &Raw, page_size: u32) -> Result<Option<u32>> {
    let page = u64::from(page_size);
    let end = raw.length.min(3 * page + u64::from(LARGEST_BLOCK));
    let Some(bytes) = raw.read(page.min(end)..end)? else {
        return Ok(None);
    };
    let mut checksum = Crc::new();
    for (index, part) in (0..).zip(bytes.chunks_exact(page_size as usize)) {
        checksum.update(if index == 0 { &part[4..] } else { part });
        if index >= 1 && get_u32(&bytes, 0) == Some(checksum.sum()) {
            return Ok(Some((index - 1) * page_size));
        }
    }
    Ok(None)
}

/// Reads both slots; one that a writer may be writing is read again.
fn read_slots(raw: &Raw, geometry: &Geometry) -> Result<[SlotState; 2]> {
    let mut before = None;
    for _ in 0..MOST_LOOKS {
        let bytes = (slot_bytes(raw, geometry, Slot::A)?, slot_bytes(raw, geometry, Slot::B)?);
        let states =
            [decode(geometry, Slot::A, bytes.0.as_deref()), decode(geometry, Slot::B, bytes.1.as_deref())];
        let good = states.iter().all(|state| matches!(state, SlotState::Good(_)));
        if good || before.as_ref() == Some(&bytes) {
            return Ok(states);
        }
        before = Some(bytes);
        std::thread::sleep(PAUSE);
    }
    Err(Error::invalid(
        &raw.path,
        Damage::new("master nodes that keep changing", "a file that nobody writes"),
    ))
}

fn decode(geometry: &Geometry, slot: Slot, bytes: Option<&[u8]>) -> SlotState {
    let bytes = bytes.unwrap_or_default();
    match MasterNode::decode(geometry, slot, bytes) {
        Ok(master) => SlotState::Good(Box::new(master)),
        Err(bad) => SlotState::Bad { damage: bad.damage, serial: MasterNode::serial_said(geometry, bytes) },
    }
}

/// The fan-out under which the first blocks make most sense, and whether there is any index node to say so.
/// `said` is what a sound header says.
fn find_fan_out(source: &mut Source, said: Option<u32>) -> Result<(u32, bool)> {
    let most_children = most_children(&source.raw, &source.geometry)?;
    let half_said = source.geometry.fan_out;
    // The smallest that the slots allow; enough to read from them where the data ends.
    source.geometry.fan_out = most_children.saturating_add(1).max(2);
    let masters = whole_masters(source)?;
    if let Some(newest) = masters.iter().reduce(|a, b| if b.is_newer_than(a) { b } else { a }) {
        source.end_with(newest);
    }
    let roots: HashSet<_> = masters.iter().flat_map(roots_of).take(MOST_ROOTS).collect();
    let blocks = telling_blocks(source, &roots)?;
    let runs = runs_of_coordinates(source, &blocks);
    let common = runs.iter().copied().reduce(greatest_common_divisor);
    let shortest = runs.iter().copied().min();
    let divisors = shortest.map(|run| (2..=run).rev().filter(move |fan_out| run % fan_out == 0));
    let usual = [said, common, shortest, Some(Geometry::default().fan_out), Some(half_said)];
    let guesses = usual.into_iter().flatten().chain(divisors.into_iter().flatten());
    let guesses = guesses.filter(|guess| *guess > most_children.max(1));
    let mut best = None;
    for fan_out in guesses {
        source.geometry.fan_out = fan_out;
        let score = score(source, &blocks, &roots);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, fan_out));
        }
    }
    let least = most_children.saturating_add(1).max(2);
    Ok((best.map_or(least, |(_, fan_out)| fan_out), !runs.is_empty()))
}

/// The master nodes of the slots with a right checksum.
fn whole_masters(source: &Source) -> Result<Vec<MasterNode>> {
    let mut masters = Vec::new();
    for slot in Slot::BOTH {
        if let Some(bytes) = slot_bytes(&source.raw, &source.geometry, slot)? {
            masters.extend(MasterNode::decode(&source.geometry, slot, &bytes));
        }
    }
    Ok(masters)
}

/// The index nodes that a rightmost path leads to.
fn roots_of(master: &MasterNode) -> impl Iterator<Item = Coordinates> {
    (2..=master.path.height()).flat_map(|height| master.path.children(height).iter().copied())
}

/// The first blocks, and those with the roots, in order.
fn telling_blocks(source: &mut Source, roots: &HashSet<Coordinates>) -> Result<Vec<Arc<Block>>> {
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    for root in roots {
        let block = source.block(root.frame)?;
        let bytes: usize = blocks.iter().chain(&block).map(|block| block.head.len()).sum();
        blocks.extend(block.filter(|_| blocks.is_empty() || bytes <= BYTES_FOR_FAN_OUT));
    }
    let mut position = source.data_start;
    for _ in 0..FRAMES_FOR_FAN_OUT {
        if blocks.iter().map(|block| block.head.len()).sum::<usize>() > BYTES_FOR_FAN_OUT {
            break;
        }
        if position >= source.limit {
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

/// How much sense the blocks make with the fan-out that `source` has: the more of their bytes are entries,
/// and the more nodes are pointed at from above, the better.
fn score(source: &Source, blocks: &[Arc<Block>], roots: &HashSet<Coordinates>) -> i64 {
    let mut explained = 0;
    let mut nodes = HashSet::new();
    let mut children = HashSet::new();
    for block in blocks {
        let mut offset = 0;
        while offset < block.head.len() {
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
        explained += offset.min(block.head.len());
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

/// How many children of one height the slots list at most, of those whose checksum is right.
fn most_children(raw: &Raw, geometry: &Geometry) -> Result<u32> {
    let mut most = 0;
    for slot in Slot::BOTH {
        if let Some(bytes) = slot_bytes(raw, geometry, slot)?.filter(|bytes| is_whole(bytes)) {
            most = most.max(MasterNode::most_children(geometry, &bytes));
        }
    }
    Ok(most)
}

/// The lengths of the runs of rising coordinates. Each is an index node, or several in a row.
fn runs_of_coordinates(source: &Source, blocks: &[Arc<Block>]) -> Vec<u32> {
    let mut runs = Vec::new();
    for block in blocks {
        let mut offset = 0;
        while offset < block.head.len() {
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

/// How many coordinates there are from `offset` on that rise from `data_start` and stay before themselves.
fn rising(block: &Block, offset: usize, data_start: u64) -> usize {
    let mut last = Coordinates { frame: data_start.saturating_sub(1), offset: u32::MAX };
    let mut count = 0;
    loop {
        let place = offset + count * Coordinates::SIZE;
        let (child, place) = (Coordinates::decode(&block.head, place), u32::try_from(place));
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
