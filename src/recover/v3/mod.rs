//! Recovering a file of version 3, whose parts describe themselves.
//!
//! Frames contain the numbers of their records and have checksums, they and heads repeat the header, and each entry of
//! the log is verified by the checksum before it. So the numbers of lost records are known, and nothing has
//! to be guessed.

mod ring;
mod seen;
mod log;
mod scan;
mod damaged_file;
mod walk;

use crate::error::{Damage, Result};
use crate::v3::format::entry::{Change, EntryView};
use crate::v3::format::head::FrameArea;
use crate::v3::log::Metadata;
use crate::v3::read::frames::FrameSource;
use crate::verify::list_problem;

use super::raw::Raw;
use super::report::MetadataOutcome;
use super::sink::Sink;
pub(super) use damaged_file::DamagedFile;
use log::DamagedLog;
use ring::{FoundEntry, Trust};
use walk::{KnownCounts, Walk};

/// The place of the metadata.
enum MetadataPlace {
    None,
    Frame(u64),
    Bytes(Vec<u8>),
}

impl MetadataPlace {
    fn of(metadata: Metadata) -> Self {
        match metadata {
            Metadata::None => Self::None,
            Metadata::Frame(position) => Self::Frame(position),
            Metadata::Entry(entry) => Self::Bytes(entry.view().metadata().to_vec()),
        }
    }
}

/// Passes all records to `sink`, and returns the metadata.
pub(super) fn recover_records(
    raw: &Raw<'_>,
    start: DamagedFile,
    sink: &mut Sink<'_>,
) -> Result<Option<Vec<u8>>> {
    let DamagedFile { header, log, problems, .. } = start;
    for damage in problems.into_iter().chain(log.problems()) {
        list_problem(&mut sink.recovery.problems, damage);
    }
    let frames = best_frames(&log);
    let count = frames.as_ref().map(FrameArea::count);
    let last = log.certain().map(|entry| entry.header.last()).max();
    let committed = count.max(last);
    sink.recovery.expected = committed;
    sink.recovery.later_commit_lost = log.may_go_on || committed.is_none();
    // Without a head, frames hold at least the records before the log.
    let before_log = log.certain().map(|entry| entry.header.first - 1).min().unwrap_or(0);
    let known = KnownCounts { framed: count.unwrap_or(before_log), committed: committed.unwrap_or(0) };
    let limit = frames.as_ref().map_or(raw.length, |frames| frames.limit);
    if limit > raw.length {
        let damage =
            Damage::new(format!("a file of {} bytes", raw.length), format!("{limit}, which were committed"));
        list_problem(&mut sink.recovery.problems, damage);
    }
    let limit = limit.min(raw.length);
    let source = FrameSource { file: raw.open_version_3(header), limit, open: None };
    let (metadata, is_known) = metadata_place(&log, frames.as_ref());
    let mut walk = Walk::new(raw, source.clone(), &log, sink, known);
    if let Some(frames) = &frames {
        walk.index(&frames.path)?;
    }
    if frames.is_none() || !log.breaks.is_empty() {
        walk.rest()?;
    }
    let end = log.entries.iter().map(|entry| entry.header.last()).max().unwrap_or(0);
    walk.fill(end.max(known.committed) + 1)?;
    let found = walk.metadata;
    recover_metadata(&source, sink, metadata, is_known, found)
}

/// Returns the entries that are not in the chain that readers see, and were not committed before it.
fn after_chain(log: &DamagedLog) -> impl Iterator<Item = &FoundEntry> {
    let end = log.seen.as_ref().map_or(0, |seen| seen.state.end);
    log.entries.iter().filter(move |entry| entry.header.position >= end)
}

/// Returns the latest frames to which what readers see or the base of a later commit refers, if there are any.
fn best_frames(log: &DamagedLog) -> Option<FrameArea> {
    let certain = after_chain(log).filter(|entry| entry.trust == Trust::Certain);
    let seen = log.seen.as_ref().map(|seen| FrameArea::clone(&seen.state.frames));
    certain.filter_map(|entry| log.base(entry)).chain(seen).max_by_key(|frames| frames.limit)
}

/// Returns the last metadata that is known to have been committed, and whether no lost entry can have changed it.
fn metadata_place(log: &DamagedLog, frames: Option<&FrameArea>) -> (MetadataPlace, bool) {
    let of_frames = |frames: &FrameArea| MetadataPlace::of(Metadata::of(frames.metadata));
    let first = log.certain().next().map(|entry| entry.header.position);
    let (mut place, mut is_known, mut expected) = if let Some(seen) = &log.seen {
        (MetadataPlace::of(seen.state.metadata.clone()), true, Some(seen.state.end))
    } else {
        let is_known = frames.is_some() || first == Some(log.first_position());
        (frames.map_or(MetadataPlace::None, of_frames), is_known, None)
    };
    for entry in after_chain(log) {
        let header = &entry.header;
        is_known &= expected.is_none_or(|end| end == header.position) && entry.trust == Trust::Certain;
        expected = Some(header.end());
        let base = log.base(entry).filter(|_| entry.trust == Trust::Certain);
        if let Some(base) = &base {
            (place, is_known) = (of_frames(base), true);
        }
        if let Some(changed) = change_of(log, entry) {
            (place, is_known) = (changed, entry.trust == Trust::Certain);
        }
    }
    (place, is_known && !log.may_go_on)
}

fn change_of(log: &DamagedLog, entry: &FoundEntry) -> Option<MetadataPlace> {
    match entry.header.change {
        Change::None => None,
        Change::Cleared => Some(MetadataPlace::None),
        Change::Here => {
            let bytes = log.bytes_of(entry);
            Some(MetadataPlace::Bytes(EntryView::of(entry.header, &bytes).metadata().to_vec()))
        }
    }
}

/// Reads the metadata; if it may not be the last, it is only reported.
fn recover_metadata(
    source: &FrameSource,
    sink: &mut Sink<'_>,
    place: MetadataPlace,
    is_known: bool,
    found: Option<u64>,
) -> Result<Option<Vec<u8>>> {
    let read = |position| match source.metadata(position) {
        Ok(bytes) => Ok(Some(bytes.into_vec())),
        Err(error) if error.is_corrupt() => Ok(None),
        Err(error) => Err(error),
    };
    let is_none = matches!(place, MetadataPlace::None);
    let metadata = match place {
        MetadataPlace::None => None,
        MetadataPlace::Frame(position) => read(position)?,
        MetadataPlace::Bytes(bytes) => Some(bytes),
    };
    if is_known && (is_none || metadata.is_some()) {
        let outcome = if is_none { MetadataOutcome::None } else { MetadataOutcome::Recovered };
        sink.recovery.metadata = outcome;
        return Ok(metadata);
    }
    sink.recovery.metadata = MetadataOutcome::Lost;
    sink.recovery.last_metadata = match (metadata, found) {
        (None, Some(position)) => read(position)?,
        (metadata, _) => metadata,
    };
    Ok(None)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#[expect(clippy::single_range_in_vec_init, reason = "a list of parts may have one")]
mod tests;
