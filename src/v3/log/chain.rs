//! Following the chain of entries, and searching for entries that damage has cut off.

use std::io;
use std::sync::Arc;

use super::entries::{LogEntry, window_of};
use super::ring::Ring;
use super::state::LogState;
use crate::error::Damage;
use crate::v3::format::entry::{EntryHeader, EntryView};
use crate::v3::shared::Shared;
use crate::v3::steps::Step;

/// Bytes of the log that are read together.
pub(crate) const WINDOW: u64 = 64 << 10;

/// Adds the entries that follow to `state`, reading windows, of which the first has `first_window` bytes. Returns their
/// number.
pub(crate) fn follow(file: &Shared, state: &mut LogState, first_window: u64) -> io::Result<usize> {
    let (mut size, mut added) = (first_window, 0);
    loop {
        let (found, wanted) = follow_window(file, state, size)?;
        added += found;
        match wanted {
            Some(wanted) => size = wanted,
            None => return Ok(added),
        }
    }
}

/// Returns the seed of the entry after the one with this checksum.
pub(crate) fn seed_after(file: &Shared, check: u64) -> u64 {
    if file.steps.include(Step::ChainedChecksum) { check } else { file.header.seed() }
}

/// Adds the entries that are complete in the window at the state's end. Returns their number, and the window size that
/// the next entry needs, unless the chain ends here.
fn follow_window(file: &Shared, state: &mut LogState, size: u64) -> io::Result<(usize, Option<u64>)> {
    let ring = Ring::new(&*file.storage, &file.header);
    let left = (state.origin + ring.size()).saturating_sub(state.end);
    let mut window = zeroed(size.min(left))?;
    ring.read(state.end, &mut window)?;
    let (mut found, mut at, mut seed) = (Vec::new(), 0, state.check);
    let wanted = loop {
        let (position, rest) = (state.end + at as u64, &window[at..]);
        if rest.len() < EntryHeader::SIZE {
            break (left - at as u64 >= EntryHeader::MIN_TOTAL).then_some(WINDOW);
        }
        let Some(header) = EntryHeader::decode(rest, position, file.header.log) else {
            break None;
        };
        if u64::from(header.total) > rest.len() as u64 {
            let fits = at as u64 + u64::from(header.total) <= left;
            break fits.then(|| WINDOW.max(header.total.into()));
        }
        let seed_here = seed_after(file, seed);
        let Some(entry) = EntryView::decode(rest, position, seed_here, file.header.log) else {
            break None;
        };
        (seed, at) = (entry.checksum(), at + header.total as usize);
        found.push(header);
    };
    window.truncate(at);
    let window = window_of(window);
    let (mut start, mut added) = (0, 0);
    for header in found {
        if !state.add(LogEntry::new(Arc::clone(&window), start, header), &file.header) {
            return Ok((added, None));
        }
        start += header.total as usize;
        added += 1;
    }
    Ok((added, wanted))
}

fn zeroed(size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Searches the whole ring for an entry after the state's end that was written when the log was already on the disk
/// beyond that end: then the chain was not ended by a crash, but by damage.
pub(crate) fn find_lost_entry(file: &Shared, state: &LogState) -> io::Result<Option<Damage>> {
    let ring = Ring::new(&*file.storage, &file.header);
    let mut bytes = zeroed(ring.size())?;
    ring.read(0, &mut bytes)?;
    let mut at = 0;
    while at < bytes.len() {
        if let Some(sure) = lost_entry_at(file, state, &bytes, at) {
            let found = format!("a log that breaks off at position {}", state.end);
            let expected = format!("one that continues to position {sure} at least");
            return Ok(Some(Damage::new(found, expected).at(ring.place(state.end))));
        }
        at += 8;
    }
    Ok(None)
}

fn lost_entry_at(file: &Shared, state: &LogState, ring: &[u8], at: usize) -> Option<u64> {
    if ring.get(at..at + 4)? != b"LogE" {
        return None;
    }
    let around = |from: usize, length: usize| -> Vec<u8> {
        ring.iter().cycle().skip(from).take(length).copied().collect()
    };
    let start = around(at, EntryHeader::SIZE);
    let position = u64::from_be_bytes(start[8..16].try_into().ok()?);
    let size = ring.len() as u64;
    let in_this_lap = position % size == at as u64 && state.end < position && position < state.origin + size;
    let header = EntryHeader::decode(&start, position, file.header.log).filter(|_| in_this_lap)?;
    let before = around((at + ring.len() - 8) % ring.len(), 8);
    let seed = u64::from_be_bytes(before.try_into().ok()?);
    let entry = around(at, header.total as usize);
    let whole = EntryView::decode(&entry, position, seed_after(file, seed), file.header.log).is_some();
    (whole && header.sure > state.end).then_some(header.sure)
}
