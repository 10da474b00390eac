//! Following the chain of entries, and searching for entries that damage has cut off.

use std::io;
use std::sync::Arc;

use super::entries::{LogEntry, window_of};
use super::ring::Ring;
use super::state::LogState;
use crate::error::Damage;
use crate::format::get_u64;
use crate::v3::format::checksum;
use crate::v3::format::entry::{EntryHeader, EntryView};
use crate::v3::shared::Shared;

/// Number of bytes of the log that are read together.
pub(crate) const WINDOW: u64 = 64 << 10;
/// Maximum multiple of the log's length that is read in searching for an entry after its end.
const MAX_LOOKS: u64 = 4;

/// Adds the entries that follow to `state`. The first window that is read has `first_window` bytes.
pub(crate) fn follow(file: &Shared, state: &mut LogState, first_window: u64) -> io::Result<()> {
    let mut wanted = Some(first_window);
    while let Some(size) = wanted {
        wanted = follow_window(file, state, size)?;
    }
    Ok(())
}

/// Adds the entries that are complete in the window at the state's end. Returns the size of the window that
/// the next entry requires, unless the chain ends here.
fn follow_window(file: &Shared, state: &mut LogState, size: u64) -> io::Result<Option<u64>> {
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
        let Some(entry) = EntryView::decode(rest, position, seed, file.header.log) else {
            break None;
        };
        (seed, at) = (entry.checksum(), at + header.total as usize);
        found.push(header);
    };
    window.truncate(at);
    let window = window_of(window);
    let mut start = 0;
    for header in found {
        if !state.add(LogEntry::new(Arc::clone(&window), start, header), &file.header) {
            return Ok(None);
        }
        start += header.total as usize;
    }
    Ok(wanted)
}

fn zeroed(size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Searches for an entry after the state's end that was written when the log was already on the disk beyond
/// that end. If there is one, the chain is not cut off by a crash, but damaged.
pub(crate) fn find_lost_entry(file: &Shared, state: &LogState) -> io::Result<Option<Damage>> {
    let ring = Ring::new(&*file.storage, &file.header);
    let end_of_lap = state.origin + ring.size();
    // Records can be crafted to look like entries; the time for examining them must be limited.
    let mut budget = MAX_LOOKS * ring.size();
    let cut_off = entry_at_end(file, state)?;
    // Bytes inside that entry are not an entry after it.
    let mut start = cut_off.map_or(state.end + 8, |(end, _)| end);
    while start < end_of_lap {
        let rest = end_of_lap - start;
        let mut window = zeroed(rest.min(WINDOW + EntryHeader::SIZE as u64))?;
        ring.read(start, &mut window)?;
        let places = window.windows(EntryHeader::SIZE).step_by(8);
        for (position, bytes) in (start..end_of_lap).step_by(8).zip(places) {
            let marked = bytes.starts_with(&EntryHeader::MARK).then_some(bytes);
            let header = marked.and_then(|bytes| EntryHeader::decode(bytes, position, file.header.log));
            let Some(header) = header.filter(|header| header.sure > state.end) else {
                continue;
            };
            let total = u64::from(header.total);
            if total > budget {
                return Ok(None);
            }
            budget -= total;
            if is_whole(file, position, total, cut_off)? {
                let found = format!("a log that breaks off at position {}", state.end);
                let expected = format!("one that continues to position {} at least", header.sure);
                return Ok(Some(Damage::new(found, expected).at(ring.place(state.end))));
            }
        }
        start += WINDOW;
    }
    Ok(None)
}

/// Returns the end of what looks like an entry at the state's end, and the checksum of its bytes, whether or not it has that
/// checksum.
fn entry_at_end(file: &Shared, state: &LogState) -> io::Result<Option<(u64, u64)>> {
    let ring = Ring::new(&*file.storage, &file.header);
    let mut start = [0; EntryHeader::SIZE];
    ring.read(state.end, &mut start)?;
    let Some(header) = EntryHeader::decode(&start, state.end, file.header.log) else {
        return Ok(None);
    };
    let mut bytes = zeroed(u64::from(header.total) - 8)?;
    ring.read(state.end, &mut bytes)?;
    Ok(Some((header.end(), checksum(&bytes, state.check))))
}

/// Returns whether there is a complete entry at `position`, regardless of what precedes it; `cut_off` is the end and
/// the checksum of an entry that it may follow.
fn is_whole(file: &Shared, position: u64, total: u64, cut_off: Option<(u64, u64)>) -> io::Result<bool> {
    let mut bytes = zeroed(8 + total)?;
    Ring::new(&*file.storage, &file.header).read(position - 8, &mut bytes)?;
    let (seed, entry) = bytes.split_at(8);
    let stands_before = seed.try_into().map_or(0, u64::from_be_bytes);
    let follows = cut_off.filter(|(end, _)| *end == position).map(|(_, check)| check);
    let mut seeds = follows.into_iter().chain([stands_before]);
    Ok(seeds.any(|seed| EntryView::decode(entry, position, seed, file.header.log).is_some()))
}

/// Returns whether an entry was begun at the state's end: it is being written, a crash has torn it, or it is damaged.
/// Any of the first three numbers of an entry is sufficient, so damage hides an entry only if it destroys all three.
pub(crate) fn is_begun(file: &Shared, state: &LogState) -> io::Result<bool> {
    const NUMBERS: usize = 24;
    let mut start = [0; NUMBERS];
    Ring::new(&*file.storage, &file.header).read(state.end, &mut start)?;
    let number = |at: usize| get_u64(&start, at);
    let is_marked = start.starts_with(&EntryHeader::MARK);
    Ok(is_marked || number(8) == Some(state.end) || number(16) == Some(state.total + 1))
}
