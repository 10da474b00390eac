//! Corrects the checksums of a damaged file of format 3, so that they do not reveal the damage.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::checksums::number;

/// Offsets of the sizes, the identity and the checksum in the header; heads and frames repeat the fields in between, and
/// a copy of all of it follows the log.
const PAGE_SIZE: usize = 16;
const LOG_SIZE: usize = 28;
const IDENTITY: Range<usize> = 32..48;
const HEADER_SUM: usize = 64;
const HEADER_SIZE: usize = 72;
/// Offsets in a head: the start of the log, the checksum before it, the header's fields, the length of the frame area,
/// and the frame area itself. `PATH` is the offset of the index in a frame area, also in an entry's base.
const BEGIN: usize = 16;
const SEED: usize = 24;
const FIELDS: usize = 48;
const FRAMES_LENGTH: usize = 96;
const FRAMES: usize = 100;
const PATH: usize = 24;
/// The kind of index nodes, and the offsets of the body length and the checksums in a frame.
const NODE: u8 = 2;
const BODY_LENGTH: usize = 32;
const BODY_SUM: usize = 64;
const FRAME_FIELDS: usize = 72;
const FRAME_SUM: usize = 120;
const FRAME_HEADER: usize = 128;
/// Offsets in an entry of the count and the lengths of its parts.
const RECORDS: usize = 24;
const RECORDS_LENGTH: usize = 28;
const TOTAL: usize = 32;
const METADATA_LENGTH: usize = 36;
const BASE_LENGTH: usize = 40;
const ENTRY_HEADER: usize = 72;

/// Returns whether the file says that it is in version 3.
pub(crate) fn is_version_3(data: &[u8]) -> bool {
    data.len() >= HEADER_SIZE && data[11..15] == [0, 0, 0, 3]
}

/// Corrects the checksums of the header, of frames and index, of the log, and of both heads.
pub(crate) fn put_right(data: &mut [u8]) {
    let sum = xxh3_64_with_seed(&data[..HEADER_SUM], 0);
    put(data, HEADER_SUM, sum);
    let (page, log) = (number(data, PAGE_SIZE), number(data, LOG_SIZE));
    let Some(log_end) = page.checked_mul(3).and_then(|start| start.checked_add(log)) else {
        return;
    };
    let Some(data_start) = log_end.checked_add(HEADER_SIZE).filter(|start| *start <= data.len()) else {
        return;
    };
    if page < 512 || log < page {
        return;
    }
    data.copy_within(..HEADER_SIZE, log_end);
    let seed = xxh3_64_with_seed(&data[IDENTITY], 0);
    put_frames_right(data, data_start, seed);
    let mut heads = [page, 2 * page];
    heads.sort_by_key(|head| get(data, head + BEGIN));
    let newer_begin = get(data, heads[1] + BEGIN);
    let (begin, before) = (get(data, heads[0] + BEGIN), get(data, heads[0] + SEED));
    let reached = put_log_right(data, &(3 * page..log_end), begin, before, newer_begin);
    match reached {
        Some(before) => put(data, heads[1] + SEED, before),
        None => {
            let _ = put_log_right(data, &(3 * page..log_end), newer_begin, get(data, heads[1] + SEED), 0);
        }
    }
    for head in heads {
        put_head_right(data, head..head + page, seed);
    }
}

fn put_head_right(data: &mut [u8], head: Range<usize>, seed: u64) {
    let start = head.start;
    data.copy_within(PAGE_SIZE..HEADER_SUM, start + FIELDS);
    let end = start + FRAMES + number(data, start + FRAMES_LENGTH);
    if end <= head.end {
        let mut path = data.get(start + FRAMES + PATH..end).unwrap_or_default().to_vec();
        put_path_right(&mut path, data);
        data[end - path.len()..end].copy_from_slice(&path);
    }
    let sum = xxh3_64_with_seed(&data[start + 8..head.end], seed);
    put(data, start, sum);
}

/// Corrects the checksums of all consecutive frames, and those that index nodes contain of other frames.
fn put_frames_right(data: &mut [u8], mut at: usize, seed: u64) {
    while data.len() >= at + FRAME_HEADER && data[at..].starts_with(b"Fram") {
        let body = at + FRAME_HEADER;
        let length = usize::try_from(get(data, at + BODY_LENGTH)).unwrap_or(usize::MAX);
        let Some(end) = body.checked_add(length).filter(|end| *end <= data.len()) else {
            return;
        };
        if data[at + 4] == NODE && data[at + 5] == 0 {
            let mut children = data[body..end].to_vec();
            let (mut from, mut before) = (0, 0);
            while put_child_right(&mut children, &mut from, &mut before, data).is_some() {}
            data[body..end].copy_from_slice(&children);
        }
        let sum = xxh3_64_with_seed(&data[body..end], seed);
        put(data, at + BODY_SUM, sum);
        data.copy_within(PAGE_SIZE..HEADER_SUM, at + FRAME_FIELDS);
        let sum = xxh3_64_with_seed(&data[at..at + FRAME_SUM], seed);
        put(data, at + FRAME_SUM, sum);
        at = end;
    }
}

/// Corrects the chain of entries from `position` on, which follows the checksum `seed`. Returns the checksum before the
/// entry at `wanted`, if that is one of them.
fn put_log_right(
    data: &mut [u8],
    ring: &Range<usize>,
    mut position: u64,
    mut seed: u64,
    wanted: u64,
) -> Option<u64> {
    let (mut left, mut found) = (ring.len(), None);
    while position.is_multiple_of(8) {
        let start = usize::try_from(position % ring.len() as u64).ok()?;
        let place = |offset: usize| ring.start + (start + offset) % ring.len();
        if position == wanted {
            found = Some(seed);
        }
        let header: Vec<u8> = (0..ENTRY_HEADER).map(|offset| data[place(offset)]).collect();
        let total = number(&header, TOTAL);
        if !header.starts_with(b"LogE") || total < ENTRY_HEADER + 8 || total > left {
            return found;
        }
        let mut entry: Vec<u8> = (0..total).map(|offset| data[place(offset)]).collect();
        put_base_right(&mut entry, data);
        let sum = xxh3_64_with_seed(&entry[..total - 8], seed);
        put(&mut entry, total - 8, sum);
        entry.iter().enumerate().for_each(|(offset, byte)| data[place(offset)] = *byte);
        (seed, left, position) = (sum, left - total, position.checked_add(total as u64)?);
    }
    found
}

fn put_base_right(entry: &mut [u8], data: &[u8]) {
    let [records, length, metadata, base] =
        [RECORDS, RECORDS_LENGTH, METADATA_LENGTH, BASE_LENGTH].map(|at| number(entry, at) as u64);
    let start = ENTRY_HEADER as u64 + length + 4 * records;
    let end = start + base;
    if base >= PATH as u64 && end + metadata <= entry.len() as u64 {
        let path = usize::try_from(start).map_or(0, |start| start + PATH);
        put_path_right(&mut entry[path..usize::try_from(end).unwrap_or(path)], data);
    }
}

/// Corrects the checksums of frames in a rightmost path.
fn put_path_right(path: &mut [u8], file: &[u8]) -> Option<()> {
    let (mut at, mut before) = (0, 0);
    for _ in 0..varint(path, &mut at)? {
        for _ in 0..varint(path, &mut at)? {
            put_child_right(path, &mut at, &mut before, file)?;
        }
    }
    Some(())
}

/// Corrects the checksum in the child at `at`, and moves `at` after it; `before` is the end of the previous child.
fn put_child_right(children: &mut [u8], at: &mut usize, before: &mut u64, file: &[u8]) -> Option<()> {
    let position = before.checked_add(varint(children, at)?)?;
    *before = position.checked_add(varint(children, at)?)?;
    let (_records, _time) = (varint(children, at)?, varint(children, at)?);
    let sum = children.get_mut(*at..*at + 4)?;
    let end = usize::try_from(position).ok()?.checked_add(FRAME_HEADER)?;
    if let Some(right) = file.get(end - 4..end) {
        sum.copy_from_slice(right);
    }
    *at += 4;
    Some(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn get(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn put(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
}
