//! Corrects the checksums of a damaged file, so that they do not reveal the damage.

use libdeflater::{adler32, crc32};

use crate::checksums_3;

/// Offsets of the page size and the block size in the header.
const PAGE_SIZE: usize = 15;
const BLOCK_SIZE: usize = 19;
const HEADER_SIZE: usize = 27;
/// Offsets of the serial number and the file limit in a slot.
const SERIAL: usize = 4;
const FILE_LIMIT: usize = 8;
/// Offset of the data in a zlib stream of one stored block: after two bytes of header, the block type, and two lengths.
const STORED_START: usize = 7;
const SUM_SIZE: usize = 4;

/// Corrects the checksum of every stored frame, and the parity and the checksum of both slots; in version 3, all
/// checksums.
///
/// A file whose header does not say where the slots are remains unchanged.
pub(crate) fn put_right(data: &mut [u8]) {
    if checksums_3::is_version_3(data) {
        return checksums_3::put_right(data);
    }
    let Some((page, slot)) = sizes(data) else {
        return;
    };
    let data_start = page + 2 * slot;
    let (head, frames) = data.split_at_mut(data_start);
    for (parity, slot) in head[page..].chunks_exact_mut(slot).enumerate() {
        let limit = u64::from_be_bytes(array(slot, FILE_LIMIT));
        if let Ok(limit) = usize::try_from(limit) {
            put_frames_right(slot, frames, limit.saturating_sub(data_start), page, data_start);
        }
        slot[SERIAL + 3] = slot[SERIAL + 3] & !1 | u8::from(parity == 1);
        let checksum = crc32(&slot[SERIAL..]);
        slot[..SERIAL].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Returns the sizes of a page and a slot, if the file is long enough for its slots.
fn sizes(data: &[u8]) -> Option<(usize, usize)> {
    if data.len() < HEADER_SIZE {
        return None;
    }
    let page = number(data, PAGE_SIZE);
    let slot = page.checked_mul(2)?.checked_add(number(data, BLOCK_SIZE))?;
    let data_start = slot.checked_mul(2)?.checked_add(page)?;
    (page >= 512 && data_start <= data.len()).then_some((page, slot))
}

/// Corrects the checksums of the frames that end before `limit`; the last of their bytes are in the slot's partial
/// page.
fn put_frames_right(slot: &mut [u8], frames: &mut [u8], limit: usize, page: usize, data_start: usize) {
    let tail_length = (data_start + limit) % page;
    let Some(whole) = limit.checked_sub(tail_length).filter(|whole| *whole <= frames.len()) else {
        return;
    };
    let tail = &mut slot[page..page + tail_length];
    let mut joined = [&frames[..whole], tail].concat();
    let mut rest = &mut joined[..];
    while let Some((length, frame)) = rest.split_at_mut_checked(4) {
        let Some((stream, next)) = frame.split_at_mut_checked(number(length, 0)) else {
            break;
        };
        put_stored_right(stream);
        rest = next;
    }
    frames[..whole].copy_from_slice(&joined[..whole]);
    tail.copy_from_slice(&joined[whole..]);
}

/// Corrects the lengths and the checksum of a zlib stream if it is one stored block.
fn put_stored_right(stream: &mut [u8]) {
    let is_stored = stream.first() == Some(&0x78) && stream.get(2).is_some_and(|kind| kind & 7 == 1);
    let Some(length) = stream.len().checked_sub(STORED_START + SUM_SIZE).filter(|_| is_stored) else {
        return;
    };
    let Ok(length) = u16::try_from(length) else {
        return;
    };
    stream[3..5].copy_from_slice(&length.to_le_bytes());
    stream[5..7].copy_from_slice(&(!length).to_le_bytes());
    let (content, sum) = stream[STORED_START..].split_at_mut(usize::from(length));
    sum.copy_from_slice(&adler32(content).to_be_bytes());
}

pub(crate) fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(array(bytes, at)) as usize
}

fn array<const SIZE: usize>(bytes: &[u8], at: usize) -> [u8; SIZE] {
    bytes[at..at + SIZE].try_into().expect("this many bytes")
}
