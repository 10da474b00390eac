//! Frames of a damaged file to which no index leads: each is recognised by its header.

use crate::error::Result;
use crate::format::in_memory;
use crate::v3::format::frame::FrameHeader;
use crate::v3::format::index::Child;

use super::super::raw::Raw;

const MARK: &[u8] = b"Fram";
/// Minimum and maximum length of the chunks in which frames are searched for; most are near.
const FIRST_CHUNK: u64 = 1 << 12;
const MAX_CHUNK: u64 = 1 << 20;

/// A frame, with its entry as an index would have it.
pub(super) struct FoundFrame {
    pub(super) header: FrameHeader,
    pub(super) child: Child,
}

/// Returns the frame at `position`, if its header has the right checksum and it ends at or before `end`.
pub(super) fn frame_at(raw: &Raw<'_>, seed: u64, position: u64, end: u64) -> Result<Option<FoundFrame>> {
    let bytes = raw.read(position..(position + FrameHeader::SIZE as u64).min(end))?.unwrap_or_default();
    let Ok(header) = FrameHeader::decode(&bytes, position, seed) else {
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

/// Returns the position of the next such frame from `from` on.
pub(super) fn search(raw: &Raw<'_>, seed: u64, from: u64, end: u64) -> Result<Option<u64>> {
    let (mut start, mut length) = (from, FIRST_CHUNK);
    while start + FrameHeader::SIZE as u64 <= end {
        let stop = (start + length).min(end);
        length = (2 * length).min(MAX_CHUNK);
        let chunk = raw.read(start..stop)?.unwrap_or_default();
        for (offset, _) in chunk.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK) {
            let position = start + offset as u64;
            let said = chunk.get(offset + 8..offset + 16);
            if said.is_none_or(|said| said == position.to_be_bytes())
                && frame_at(raw, seed, position, end)?.is_some()
            {
                return Ok(Some(position));
            }
        }
        raw.monitor.add_work(in_memory(stop - start) as u64)?;
        start = stop - (MARK.len() as u64 - 1).min(stop - start - 1);
    }
    Ok(None)
}
