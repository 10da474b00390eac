//! Parses capture files of any writer as `docs/format.md` specifies.

use capturefile::Geometry;

use crate::image::{At, NO_METADATA, SlotImage, crc32, data_start, slot_size, slot_start};

/// A file and its current slot. Any defect of the file is a panic here.
#[derive(Debug)]
pub(crate) struct Parsed {
    bytes: Vec<u8>,
    pub(crate) geometry: Geometry,
    /// Slot A and slot B, where their checksums are right.
    pub(crate) slots: [Option<SlotImage>; 2],
    pub(crate) current: SlotImage,
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn coordinates_at(bytes: &[u8], at: usize) -> At {
    (u64_at(bytes, at), u32_at(bytes, at + 8))
}

fn parse_slot(bytes: &[u8], geometry: &Geometry) -> Option<SlotImage> {
    if u32_at(bytes, 0) != crc32(&bytes[4..]) {
        return None;
    }
    let page = geometry.page_size as usize;
    let (file_limit, pending_length, child_count) = (u64_at(bytes, 8), u32_at(bytes, 16), u32_at(bytes, 32));
    let child = |index| (bytes[36 + 13 * index], coordinates_at(bytes, 37 + 13 * index));
    Some(SlotImage {
        serial: u32_at(bytes, 4),
        file_limit,
        pending_length,
        metadata: coordinates_at(bytes, 20),
        child_count,
        children: (0..child_count as usize).map(child).collect(),
        tail: bytes[page..][..usize::try_from(file_limit).unwrap() % page].to_vec(),
        pending: bytes[2 * page..][..pending_length as usize].to_vec(),
    })
}

impl Parsed {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        assert_eq!(&bytes[..11], b"MioCapture\0");
        let number = |index: usize| u32_at(&bytes, 11 + 4 * index);
        let geometry = crate::image::geometry(number(1), number(2), number(3)).with_version(number(0));
        let slots = [0, 1].map(|serial| {
            let start = slot_start(&geometry, serial);
            let slot = parse_slot(&bytes[start..start + slot_size(&geometry)], &geometry);
            slot.inspect(|slot| assert_eq!(slot.serial % 2, serial))
        });
        let current = match slots.clone() {
            [Some(a), Some(b)] if b.serial.wrapping_sub(a.serial) < 1 << 31 => b,
            [Some(a), _] => a,
            [None, b] => b.unwrap(),
        };
        Self { bytes, geometry, slots, current }
    }

    pub(crate) fn read(path: impl AsRef<std::path::Path>) -> Self {
        Self::new(std::fs::read(path).unwrap())
    }

    /// All committed bytes of the data area.
    pub(crate) fn data(&self) -> Vec<u8> {
        let limit = usize::try_from(self.current.file_limit).unwrap();
        let whole = limit - limit % self.geometry.page_size as usize;
        [&self.bytes[data_start(&self.geometry)..whole], &self.current.tail].concat()
    }

    /// Every frame's position and block, in order; they fill the data area without a gap.
    pub(crate) fn frames(&self) -> Vec<(u64, Vec<u8>)> {
        let (data, mut at, mut frames) = (self.data(), 0, Vec::new());
        while at < data.len() {
            let stream = &data[at + 4..][..u32_at(&data, at) as usize];
            frames.push(((data_start(&self.geometry) + at) as u64, inflate(stream)));
            at += 4 + stream.len();
        }
        frames
    }

    pub(crate) fn record_count(&self) -> u64 {
        let below = |height: u8| u64::from(self.geometry.fan_out).pow(u32::from(height) - 1);
        self.current.children.iter().map(|&(height, _)| below(height)).sum()
    }

    /// For each full node over full nodes, in order: its frame, and those of its children.
    pub(crate) fn frames_of_nodes(&self) -> Vec<(u64, Vec<u64>)> {
        let frames = self.frames();
        let mut open: Vec<(u8, At)> = self.current.children.clone();
        let mut found = Vec::new();
        while let Some((height, (position, offset))) = open.pop() {
            if height < 3 {
                continue;
            }
            let block = frames.binary_search_by_key(&position, |frame| frame.0).map(|index| &frames[index].1);
            let bytes = &block.unwrap_or(&self.current.pending)[offset as usize..];
            let child = |index| coordinates_at(bytes, 12 * index);
            let children: Vec<At> = (0..self.geometry.fan_out as usize).map(child).collect();
            if height == 3 {
                found.push((position, children.iter().map(|child| child.0).collect()));
            }
            open.extend(children.into_iter().map(|child| (height - 1, child)));
        }
        found.sort_unstable();
        found
    }

    /// All records in order, found by walking the whole tree.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        let mut blocks = self.frames();
        blocks.push((self.current.file_limit, self.current.pending.clone()));
        let block = |position| &blocks[blocks.binary_search_by_key(&position, |block| block.0).unwrap()].1;
        let mut open: Vec<(u8, At)> = self.current.children.clone();
        // The oldest children are the highest ones; within a height the oldest comes first.
        open.sort_by_key(|&(height, _)| std::cmp::Reverse(height));
        open.reverse();
        let mut records = Vec::new();
        while let Some((height, (position, offset))) = open.pop() {
            let bytes = &block(position)[offset as usize..];
            if height == 1 {
                records.push(bytes[4..][..u32_at(bytes, 0) as usize].to_vec());
            } else {
                let child = |index| (height - 1, coordinates_at(bytes, 12 * index));
                open.extend((0..self.geometry.fan_out as usize).rev().map(child));
            }
        }
        records
    }

    pub(crate) fn metadata(&self) -> Option<Vec<u8>> {
        let (position, offset) = self.current.metadata;
        if (position, offset) == NO_METADATA {
            return None;
        }
        let found = self.frames().into_iter().find(|frame| frame.0 == position);
        let block = found.map_or_else(|| self.current.pending.clone(), |frame| frame.1);
        let bytes = &block[offset as usize..];
        Some(bytes[4..][..u32_at(bytes, 0) as usize].to_vec())
    }
}

/// Inflates a complete zlib stream, which must end where `stream` does.
fn inflate(stream: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 1 << 16];
    loop {
        match libdeflater::Decompressor::new().zlib_decompress(stream, &mut block) {
            Ok(length) => {
                block.truncate(length);
                return block;
            }
            Err(libdeflater::DecompressionError::InsufficientSpace) => block.resize(2 * block.len(), 0),
            Err(error) => panic!("a frame does not inflate: {error}"),
        }
    }
}
