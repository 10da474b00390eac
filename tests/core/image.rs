//! Makes capture files byte by byte, including files that no writer would make.

use capturefile::Geometry;

/// Coordinates of an entry: position of its frame, offset in its block.
pub(crate) type At = (u64, u32);

pub(crate) const NO_METADATA: At = (0, 0);

pub(crate) const MAGIC: &[u8; 11] = b"MioCapture\0";

pub(crate) const SMALL: Geometry = geometry(512, 1024, 3);

pub(crate) const fn geometry(page_size: u32, block_size: u32, fan_out: u32) -> Geometry {
    Geometry::new().with_page_size(page_size).with_block_size(block_size).with_fan_out(fan_out)
}

pub(crate) fn slot_size(geometry: &Geometry) -> usize {
    2 * geometry.page_size as usize + geometry.block_size as usize
}

/// Where the slot of this serial number starts.
pub(crate) fn slot_start(geometry: &Geometry, serial: u32) -> usize {
    geometry.page_size as usize + (serial % 2) as usize * slot_size(geometry)
}

pub(crate) fn data_start(geometry: &Geometry) -> usize {
    geometry.page_size as usize + 2 * slot_size(geometry)
}

pub(crate) fn new_length(geometry: &Geometry) -> usize {
    data_start(geometry).max(100 * geometry.page_size as usize)
}

/// The content of a master slot, without checksum and padding. `pending_length` and `child_count` may be
/// wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotImage {
    pub(crate) serial: u32,
    pub(crate) file_limit: u64,
    pub(crate) pending_length: u32,
    pub(crate) metadata: At,
    pub(crate) child_count: u32,
    pub(crate) children: Vec<(u8, At)>,
    pub(crate) tail: Vec<u8>,
    pub(crate) pending: Vec<u8>,
}

impl SlotImage {
    pub(crate) fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        let page = geometry.page_size as usize;
        let mut out = vec![0; 4];
        out.extend(self.serial.to_be_bytes());
        out.extend(self.file_limit.to_be_bytes());
        out.extend(self.pending_length.to_be_bytes());
        push_coordinates(&mut out, self.metadata);
        out.extend(self.child_count.to_be_bytes());
        for &(height, child) in &self.children {
            out.push(height);
            push_coordinates(&mut out, child);
        }
        for (part, end) in [(&self.tail, page), (&self.pending, 2 * page), (&Vec::new(), slot_size(geometry))]
        {
            assert!(out.len() <= end, "a part of the slot does not fit");
            out.resize(end, 0);
            out.extend(part);
        }
        out.resize(slot_size(geometry), 0);
        let checksum = crc32(&out[4..]);
        out[..4].copy_from_slice(&checksum.to_be_bytes());
        out
    }
}

pub(crate) fn push_coordinates(out: &mut Vec<u8>, (position, offset): At) {
    out.extend(position.to_be_bytes());
    out.extend(offset.to_be_bytes());
}

/// The header's page, with its checksum.
pub(crate) fn header(magic: &[u8; 11], geometry: &Geometry) -> Vec<u8> {
    let mut out = magic.to_vec();
    for number in [geometry.version, geometry.page_size, geometry.block_size, geometry.fan_out] {
        out.extend(number.to_be_bytes());
    }
    let checksum = crc32(&out);
    out.resize(32, 0);
    out.extend(b"HCRC");
    out.extend(checksum.to_be_bytes());
    out.resize(geometry.page_size as usize, 0);
    out
}

/// A record or metadata as an entry of a block.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A full index node as an entry of a block.
pub(crate) fn index_node(children: &[At]) -> Vec<u8> {
    let mut out = Vec::new();
    children.iter().for_each(|&child| push_coordinates(&mut out, child));
    out
}

/// A frame around a zlib stream that stores the block uncompressed.
pub(crate) fn frame(block: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut parts = block.chunks(0xFFFF).peekable();
    if block.is_empty() {
        stream.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(part) = parts.next() {
        let length = u16::try_from(part.len()).unwrap();
        stream.push(u8::from(parts.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(part);
    }
    stream.extend(adler32(block).to_be_bytes());
    sized(&stream)
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

/// The CRC-32 of zlib and gzip.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, bit)).collect();
    !bytes.iter().fold(u32::MAX, |crc, &byte| (crc >> 8) ^ table[((crc ^ u32::from(byte)) & 255) as usize])
}

/// Builds a capture file, entry by entry and commit by commit.
#[derive(Debug, Clone)]
pub(crate) struct FileImage {
    pub(crate) geometry: Geometry,
    /// The serial number of the last commit; initially, that of the commit before the first.
    pub(crate) serial: u32,
    pub(crate) metadata: At,
    pub(crate) pending: Vec<u8>,
    pub(crate) frames: Vec<u8>,
    /// The children of the rightmost path, height 1 first.
    pub(crate) levels: Vec<Vec<At>>,
    slots: [Vec<u8>; 2],
}

impl FileImage {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            serial: 0,
            metadata: NO_METADATA,
            pending: Vec::new(),
            frames: Vec::new(),
            levels: Vec::new(),
            slots: [0, 1].map(|_| vec![0; slot_size(&geometry)]),
        }
    }

    pub(crate) fn file_limit(&self) -> u64 {
        (data_start(&self.geometry) + self.frames.len()) as u64
    }

    /// Appends raw bytes to the pending block, closes it if it is full, and returns where the bytes are.
    pub(crate) fn add_entry(&mut self, entry: &[u8]) -> At {
        let at = (self.file_limit(), u32::try_from(self.pending.len()).unwrap());
        self.pending.extend(entry);
        if self.pending.len() >= self.geometry.block_size as usize {
            self.close_block();
        }
        at
    }

    /// Makes a frame of the pending block, full or not.
    pub(crate) fn close_block(&mut self) {
        let block = std::mem::take(&mut self.pending);
        self.frames.extend(frame(&block));
    }

    /// Puts a child on the rightmost path; a node that it fills is written and goes up a level.
    pub(crate) fn add_child(&mut self, height: usize, child: At) {
        self.levels.resize(self.levels.len().max(height), Vec::new());
        self.levels[height - 1].push(child);
        if self.levels[height - 1].len() == self.geometry.fan_out as usize {
            let full = std::mem::take(&mut self.levels[height - 1]);
            let at = self.add_entry(&index_node(&full));
            self.add_child(height + 1, at);
        }
    }

    pub(crate) fn add_record(&mut self, record: &[u8]) {
        let at = self.add_entry(&sized(record));
        self.add_child(1, at);
    }

    pub(crate) fn set_metadata(&mut self, metadata: &[u8]) {
        self.metadata = self.add_entry(&sized(metadata));
    }

    /// The slot that the next commit would write now.
    pub(crate) fn next_slot(&self) -> SlotImage {
        let children: Vec<(u8, At)> = (1..)
            .zip(&self.levels)
            .flat_map(|(height, node)| node.iter().map(move |&child| (height, child)))
            .collect();
        SlotImage {
            serial: self.serial.wrapping_add(1),
            file_limit: self.file_limit(),
            pending_length: u32::try_from(self.pending.len()).unwrap(),
            metadata: self.metadata,
            child_count: u32::try_from(children.len()).unwrap(),
            children,
            tail: self.frames[self.whole_pages()..].to_vec(),
            pending: self.pending.clone(),
        }
    }

    pub(crate) fn commit(&mut self) {
        self.commit_slot(&self.next_slot());
    }

    /// Writes any slot to the position for its serial number, which becomes the last one.
    pub(crate) fn commit_slot(&mut self, slot: &SlotImage) {
        self.serial = slot.serial;
        self.slots[(slot.serial % 2) as usize] = slot.encode(&self.geometry);
    }

    /// The current file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = header(MAGIC, &self.geometry);
        out.extend(self.slots.concat());
        out.extend(&self.frames[..self.whole_pages()]);
        out.resize(out.len().max(new_length(&self.geometry)), 0);
        out
    }

    /// How many bytes of the frames are in complete pages.
    fn whole_pages(&self) -> usize {
        // The data starts at a page.
        self.frames.len() - self.frames.len() % self.geometry.page_size as usize
    }
}

/// Corrects the checksums of both slots.
pub(crate) fn fix_checksums(bytes: &mut [u8], geometry: &Geometry) {
    for serial in [0, 1] {
        let start = slot_start(geometry, serial);
        let end = start + slot_size(geometry);
        if end <= bytes.len() {
            let checksum = crc32(&bytes[start + 4..end]);
            bytes[start..start + 4].copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

#[test]
fn the_checksums_are_those_of_zlib() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
}
