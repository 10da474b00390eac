//! Finding the sizes of a file and its master nodes in what is left of header and slots.

use crate::error::{Damage, Result};
use crate::format::master::{has_right_checksum, pages_of_slot};
use crate::format::{self, Geometry, Slot, in_memory};

use super::fan_out::find_fan_out;
use super::raw::Raw;
use super::slots::{SlotState, Slots, slot_in};
use super::source::DamagedFrames;

/// Maximum page size that is tried if nothing determines it; all powers of two up to it are tried.
const MAX_PAGE: u32 = 1 << 16;
/// Maximum block size that is tried.
const MAX_BLOCK: u32 = 1 << 24;
/// End of the slots with these maximum sizes.
const MAX_SLOTS_END: u64 = 5 * MAX_PAGE as u64 + 2 * MAX_BLOCK as u64;
/// Larger block sizes than this are accepted only if the file is large enough.
const MAX_USUAL_BLOCK: u32 = 1 << 20;
/// Larger fan-outs than this are accepted only if the file has this many bytes for each child.
const MAX_USUAL_FAN_OUT: u32 = 1 << 17;

const BYTES_PER_CHILD: u64 = 16;

/// The contents of header and slots, except for what the [`DamagedFrames`] contain.
pub(super) struct Sizes {
    pub(super) geometry: Geometry,
    /// Whether an intact header or an index node determines the fan-out.
    pub(super) fan_out_known: bool,
    pub(super) slots: [SlotState; 2],
    /// The damage of the header.
    pub(super) damage: Option<Damage>,
}

/// Finds the sizes from what is left of the file, strongest evidence first: a header that its checksum or a
/// valid slot confirms, a slot whose checksum is correct with some sizes, the contents of the frames. Blocks
/// that were read for this are kept.
pub(super) fn find(raw: Raw<'_>) -> Result<(Sizes, DamagedFrames<'_>)> {
    let header = raw.read(0..raw.length.min(Geometry::HEADER_SIZE as u64))?.unwrap_or_default();
    let decoded = Geometry::decode(&header).and_then(|sizes| check_likely(sizes, raw.length));
    let said = decoded.clone().ok().or_else(|| sizes_said(&header, raw.length));
    let mut damage = decoded.as_ref().err().cloned();
    let sure = decoded.is_ok() && format::has_checksum(&header);
    let header_sizes = decoded.clone().unwrap_or_default();
    let (mut geometry, slots, confirmed) = if sure {
        (header_sizes, Slots::read(&raw, &header_sizes)?, false)
    } else {
        confirmed_sizes(&raw, said, header_sizes)?
    };
    let known = decoded.is_ok() || confirmed;
    if let Ok(header) = &decoded
        && (header.page_size, header.block_size) != (geometry.page_size, geometry.block_size)
    {
        damage = Some(differs("page and block sizes", "those of the master nodes"));
    }
    geometry.fan_out = said.map_or(geometry.fan_out, |said| said.fan_out);
    let mut source = DamagedFrames::open_ended(raw, geometry);
    source.guessed = !known;
    if !known && source.block(source.frames.start)?.is_none() {
        source.frames.start = 0;
        let first = source.search(0)?.unwrap_or(geometry.data_start());
        source.frames.start = first.min(geometry.data_start());
    }
    let mut fan_out_known = decoded.is_ok();
    if !sure {
        let said = decoded.as_ref().ok().map(|header| header.fan_out);
        let (fan_out, from_nodes) = find_fan_out(&mut source, &slots, said)?;
        if decoded.is_ok() && fan_out != geometry.fan_out {
            damage = Some(differs("a fan-out", "that of the index nodes"));
        }
        geometry.fan_out = fan_out;
        fan_out_known |= from_nodes;
    }
    let slots = slots.settle(&source.raw, &geometry)?;
    source.start_over(geometry.fan_out);
    Ok((Sizes { geometry, fan_out_known, slots, damage: damage.map(|damage| damage.at(0)) }, source))
}

/// Returns the sizes that a slot's checksum confirms, with the slots: those of the header, the default ones, or others.
/// If there are none, returns `otherwise` with its slots. The last value is whether they are confirmed.
fn confirmed_sizes(
    raw: &Raw<'_>,
    said: Option<Geometry>,
    otherwise: Geometry,
) -> Result<(Geometry, Slots, bool)> {
    let are_same = |a: Geometry, b: Geometry| (a.page_size, a.block_size) == (b.page_size, b.block_size);
    let usual = Some(Geometry::default()).filter(|usual| !said.is_some_and(|said| are_same(said, *usual)));
    let mut unconfirmed = None;
    for geometry in [said, usual].into_iter().flatten() {
        let slots = Slots::read(raw, &geometry)?;
        if slots.confirm_sizes() {
            return Ok((geometry, slots, true));
        }
        if are_same(geometry, otherwise) {
            unconfirmed = Some(slots);
        }
    }
    if let Some((geometry, slots)) = search_slots(raw)? {
        return Ok((geometry, slots, true));
    }
    let slots = unconfirmed.map_or_else(|| Slots::read(raw, &otherwise), Ok)?;
    Ok((otherwise, slots, false))
}

fn differs(what: &str, other: &str) -> Damage {
    Damage::new(format!("{what} in the header that the file does not have"), other)
}

/// Refuses sizes that would take far more memory than the file has bytes. Default sizes may be those of a
/// truncated file.
fn check_likely(sizes: Geometry, length: u64) -> std::result::Result<Geometry, Damage> {
    let usual = sizes.page_size <= MAX_PAGE && sizes.block_size <= MAX_USUAL_BLOCK;
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
    fan_out <= MAX_USUAL_FAN_OUT || u64::from(fan_out) * BYTES_PER_CHILD <= length
}

/// Returns the sizes in a damaged header, as far as they are possible.
fn sizes_said(header: &[u8], length: u64) -> Option<Geometry> {
    let [_, Some(page_size), Some(block_size), Some(fan_out)] = Geometry::numbers_said(header) else {
        return None;
    };
    let likely = Some(fan_out).filter(|&fan_out| is_likely_fan_out(fan_out, length));
    let fan_out = likely.unwrap_or(Geometry::default().fan_out);
    let geometry = Geometry { page_size, block_size, fan_out, ..Geometry::default() };
    let possible = Geometry { fan_out: fan_out.max(2), ..geometry }.check_settings().is_ok();
    (possible && page_size <= MAX_BLOCK).then_some(geometry)
}

/// Returns page and block sizes with which a slot has the correct checksum. Slot A starts at the second page,
/// whatever the block size; slot B is tried with block sizes that are powers of two.
fn search_slots(raw: &Raw<'_>) -> Result<Option<(Geometry, Slots)>> {
    let start = raw.read(0..raw.length.min(MAX_SLOTS_END))?.unwrap_or_default();
    let pages = std::iter::successors(Some(512), |page| Some(page * 2)).take_while(|page| *page <= MAX_PAGE);
    for page_size in pages {
        let geometry = |block_size| Geometry { page_size, block_size, ..Geometry::default() };
        let end = start.len().min(in_memory(geometry(MAX_BLOCK).slot_position(Slot::B)));
        let slot_a = start.get(page_size as usize..end).and_then(|slot| pages_of_slot(slot, page_size));
        let by_slot_a = slot_a.map(|pages| geometry((pages - 2) * page_size));
        let blocks = std::iter::successors(Some(page_size), |block| Some(block * 2));
        let blocks = std::iter::once(0).chain(blocks.take_while(|block| *block <= MAX_BLOCK));
        let by_slot_b =
            || blocks.map(geometry).find(|sizes| has_right_checksum(slot_in(&start, sizes, Slot::B)));
        if let Some(geometry) = by_slot_a.or_else(by_slot_b) {
            return Ok(Some((geometry, Slots::copy_from(&start, &geometry)?)));
        }
    }
    Ok(None)
}
