//! Frames of a damaged file to which no index leads, each recognised by its header, and the header of the file that
//! they repeat.

use std::ops::Range;

use crate::error::Result;
use crate::v3::format::Header;
use crate::v3::format::frame::FrameHeader;
use crate::v3::format::index::Child;

use super::super::raw::Raw;

/// The first bytes of a frame, and of the copy of the header.
const FRAME: [u8; MARK_LENGTH] = *b"Fram";
const COPY: [u8; MARK_LENGTH] = *b"MioC";
const MARK_LENGTH: usize = 4;
/// Minimum and maximum length of the chunks that are searched; most frames are near.
const FIRST_CHUNK: u64 = 1 << 12;
const MAX_CHUNK: u64 = 1 << 20;
/// This many frames that agree are enough.
const ENOUGH: u32 = 16;
/// Maximum number of headers among which the search decides. A file has one; others are of records that look like
/// frames, or forged, and looking through any number of them would take for ever.
const MAX_HEADERS: usize = 256;

/// A frame, with its entry as an index would have it.
pub(super) struct FoundFrame {
    pub(super) header: FrameHeader,
    pub(super) child: Child,
}

/// Returns the frame at `position`, if its header has the right checksum and it ends at or before `end`.
pub(super) fn frame_at(raw: &Raw<'_>, file: &Header, position: u64, end: u64) -> Result<Option<FoundFrame>> {
    let bytes = raw.read(position..(position + FrameHeader::SIZE as u64).min(end))?.unwrap_or_default();
    let Ok(header) = FrameHeader::decode(&bytes, position, file) else {
        return Ok(None);
    };
    let child = Child {
        position,
        length: header.total(),
        records: header.count.into(),
        time: header.times.1,
        sum: FrameHeader::sum(&bytes),
    };
    Ok((child.end() <= end).then_some(FoundFrame { header, child }))
}

/// Returns the position of the first such frame in a part of the file.
pub(super) fn search(raw: &Raw<'_>, file: &Header, part: Range<u64>) -> Result<Option<u64>> {
    let end = part.end;
    find(raw, part, &[FRAME], |position, bytes| {
        let is_there = may_be_frame(bytes, position) && frame_at(raw, file, position, end)?.is_some();
        Ok(is_there.then_some(position))
    })
}

/// Returns whether what is known of the bytes at `position` can be the header of a frame.
fn may_be_frame(bytes: &[u8], position: u64) -> bool {
    bytes.get(8..16).is_none_or(|said| said == position.to_be_bytes())
}

/// Returns the header that most frames and the copy after the log have, for a file without header and heads.
pub(super) fn find_copy(raw: &Raw<'_>) -> Result<Option<Header>> {
    let mut found: Vec<(Header, u32)> = Vec::new();
    let enough = find(raw, 0..raw.length, &[FRAME, COPY], |position, bytes| {
        let Some(header) = header_at(raw, position, bytes)? else {
            return Ok(None);
        };
        let known = found.iter().position(|(known, _)| *known == header);
        if known.is_none() && found.len() == MAX_HEADERS {
            return Ok(None);
        }
        let at = known.unwrap_or_else(|| {
            found.push((header, 0));
            found.len() - 1
        });
        found[at].1 += 1;
        Ok((found[at].1 >= ENOUGH).then_some(header))
    })?;
    let most = || found.iter().rev().max_by_key(|(_, votes)| *votes).map(|(header, _)| *header);
    Ok(enough.or_else(most))
}

/// Returns the header that the frame or the copy at `position` repeats, if one is there and intact.
fn header_at(raw: &Raw<'_>, position: u64, start: &[u8]) -> Result<Option<Header>> {
    let is_frame = start.starts_with(&FRAME);
    if is_frame && !may_be_frame(start, position) {
        return Ok(None);
    }
    let size = if is_frame { FrameHeader::SIZE } else { Header::SIZE };
    let bytes = raw.read(position..position + size as u64)?.unwrap_or_default();
    if is_frame {
        return Ok(FrameHeader::header_in(&bytes, position));
    }
    Ok(Header::decode(&bytes).ok().filter(|header| header.log_end() == position))
}

/// Calls `work` with each position in a part of the file where one of these marks is, and the bytes that are known
/// from there on, until it returns something.
fn find<T>(
    raw: &Raw<'_>,
    part: Range<u64>,
    marks: &[[u8; MARK_LENGTH]],
    mut work: impl FnMut(u64, &[u8]) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let (mut start, mut length) = (part.start, FIRST_CHUNK);
    while start < part.end {
        let stop = (start + length).min(part.end);
        length = (2 * length).min(MAX_CHUNK);
        let chunk = raw.read(start..stop)?.unwrap_or_default();
        for (offset, bytes) in chunk.windows(MARK_LENGTH).enumerate() {
            if marks.iter().any(|mark| bytes == mark) {
                let found = work(start + offset as u64, &chunk[offset..])?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        if stop == part.end {
            break;
        }
        start = stop - (MARK_LENGTH as u64 - 1);
    }
    Ok(None)
}
