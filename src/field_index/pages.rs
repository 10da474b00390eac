//! The pages of an index: the groups of records that have values with a hash, and the extents and bounds of groups.
//!
//! Pages come from a file that may be damaged or forged: everything in them is checked before it is used.

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::value::{Bounds, MAX_BOUND};

/// Number of bits of a hash that are stored.
const HASH_BITS: u32 = 24;
/// Maximum number of groups in a page.
pub(crate) const GROUPS_PER_PAGE: usize = 128;
/// The entries of a page of hashes, on average.
const ENTRIES_PER_PAGE: usize = 2048;
const SUM_SIZE: usize = 4;
const HAS_NUMBERS: u8 = 1;
const HAS_TEXTS: u8 = 2;

/// The part of an index that a page belongs to: what a run says of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The first record of the run.
    pub(crate) first: u64,
    /// A hash of the key's name.
    pub(crate) key: u64,
    pub(crate) spread: Spread,
}

impl Part {
    pub(crate) fn new(first: u64, key: &str, spread: Spread) -> Self {
        Self { first, key: xxh3_64(key.as_bytes()), spread }
    }

    /// The place of a page of hashes.
    pub(crate) fn hashes(self, number: u64) -> Place {
        Place { part: self, is_hashes: true, number }
    }

    /// The place of a page of groups.
    pub(crate) fn groups(self, number: u64) -> Place {
        Place { part: self, is_hashes: false, number }
    }
}

/// Where a page belongs, which its checksum covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    part: Part,
    is_hashes: bool,
    number: u64,
}

impl Place {
    fn sum(self, body: &[u8]) -> [u8; SUM_SIZE] {
        let Self { part: Part { first, key, spread }, is_hashes, number } = self;
        let all = [first, key, spread.groups, spread.pages, u64::from(is_hashes), number];
        let seed = xxh3_64(all.map(u64::to_le_bytes).as_flattened());
        let [a, b, c, d, ..] = xxh3_64_with_seed(body, seed).to_le_bytes();
        [a, b, c, d]
    }

    /// Returns the page with this body.
    pub(crate) fn seal(self, body: &[u8]) -> Vec<u8> {
        [&self.sum(body), body].concat()
    }

    /// Returns the body of a page, if it is the page of this place.
    fn open(self, page: &[u8]) -> Option<&[u8]> {
        let (sum, body) = page.split_at_checked(SUM_SIZE)?;
        (self.sum(body) == sum).then_some(body)
    }
}

// Numbers

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

fn low_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_byte(number));
}

/// Decodes numbers from the start of a page.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(self.byte()?);
        (length <= MAX_BOUND).then(|| self.take(length).map(<[u8]>::to_vec))?
    }
}

// Hashes

/// Returns the bits of a hash that are stored.
fn kept(hash: u64) -> u64 {
    hash >> (64 - HASH_BITS)
}

/// Returns the entry of a group that has a value with this hash: the stored bits of the hash above the group's number,
/// so that entries are in the order of the hashes.
pub(crate) fn entry(hash: u64, group: u32) -> u64 {
    (kept(hash) << 32) | u64::from(group)
}

/// The distribution of the hashes of a run among its pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) groups: u64,
    pub(crate) pages: u64,
}

impl Spread {
    pub(crate) fn of(entries: usize, groups: usize) -> Self {
        Self { groups: groups.max(1) as u64, pages: entries.div_ceil(ENTRIES_PER_PAGE).max(1) as u64 }
    }

    /// The most entries that a run with this many pages has.
    pub(crate) fn max_entries(self) -> u64 {
        self.pages * ENTRIES_PER_PAGE as u64
    }

    /// Returns whether a run can have these numbers.
    pub(crate) fn is_valid(self) -> bool {
        (1..=1 << HASH_BITS).contains(&self.pages) && (1..=u64::from(u32::MAX)).contains(&self.groups)
    }

    pub(crate) fn page_of(self, hash: u64) -> u64 {
        (kept(hash) * self.pages) >> HASH_BITS
    }

    /// Returns the range of the stored hash bits in a page.
    fn hashes(self, page: u64) -> Range<u64> {
        let start = |page: u64| (page << HASH_BITS).div_ceil(self.pages);
        start(page)..start(page + 1)
    }
}

/// Encodes a page of entries, sorted and without duplicates: the differences between them, as Rice codes.
pub(crate) fn encode_hashes(entries: &[u64], place: Place) -> Vec<u8> {
    let spread = place.part.spread;
    let hashes = spread.hashes(place.number);
    let average = (hashes.end - hashes.start) * spread.groups / (entries.len() as u64 + 1);
    let shift = (average * 7 / 10).max(1).ilog2();
    let mut body = Vec::with_capacity(entries.len() * 3);
    push_varint(&mut body, entries.len() as u64);
    body.push(low_byte(u64::from(shift)));
    let mut bits = BitWriter { bytes: body, pending: 0, count: 0 };
    let mut next = 0;
    for entry in entries {
        let code = ((entry >> 32) - hashes.start) * spread.groups + (entry & u64::from(u32::MAX));
        let above = code - next;
        next = code + 1;
        bits.ones(above >> shift);
        bits.push(0, 1);
        bits.push(above & ((1 << shift) - 1), shift);
    }
    place.seal(&bits.finish())
}

/// Calls `found` with the entries of a page in order, until it returns false. Returns `None` if the page is damaged.
pub(crate) fn decode_hashes(page: &[u8], place: Place, mut found: impl FnMut(u64) -> bool) -> Option<()> {
    let spread = place.part.spread;
    let mut reader = Reader(place.open(page)?);
    let count = reader.varint().filter(|count| *count <= spread.max_entries())?;
    let shift = u32::from(reader.byte()?);
    let hashes = spread.hashes(place.number);
    let limit = (hashes.end - hashes.start).checked_mul(spread.groups)?;
    let mut bits = BitReader { bytes: reader.0, at: 0 };
    let mut next = 0_u64;
    for _ in 0..count {
        let above = bits.code(shift)?;
        let code = next.checked_add(above).filter(|code| *code < limit)?;
        next = code + 1;
        if !found(((hashes.start + code / spread.groups) << 32) | (code % spread.groups)) {
            break;
        }
    }
    Some(())
}

/// Returns the groups in a page that may have a value with this hash.
pub(crate) fn groups_with(page: &[u8], hash: u64, place: Place) -> Option<Vec<u32>> {
    let wanted = kept(hash);
    let mut groups = Vec::new();
    decode_hashes(page, place, |entry| {
        if entry >> 32 == wanted {
            groups.push(low_half(entry));
        }
        entry >> 32 <= wanted
    })?;
    Some(groups)
}

struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Appends bits: up to 32 in one step, more in several.
    fn push(&mut self, bits: u64, count: u32) {
        if count > 32 {
            self.push(bits & u64::from(u32::MAX), 32);
            return self.push(bits >> 32, count - 32);
        }
        self.pending |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(low_byte(self.pending));
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    fn ones(&mut self, mut count: u64) {
        while count > 0 {
            let some = low_half(count.min(32));
            self.push((1 << some) - 1, some);
            count -= u64::from(some);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(low_byte(self.pending));
        }
        self.bytes
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    /// Returns at least the next 57 bits, with zeros after the end.
    fn window(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => *word,
            None => std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0)),
        };
        u64::from_le_bytes(word) >> (self.at % 8)
    }

    /// Decodes the next code. Returns `None` if it does not end within the page.
    fn code(&mut self, shift: u32) -> Option<u64> {
        let mut high = 0_u64;
        loop {
            let ones = self.window().trailing_ones().min(56);
            high += u64::from(ones);
            self.at += ones as usize;
            if self.at > self.bytes.len() * 8 {
                return None;
            }
            if ones < 56 {
                break;
            }
        }
        self.at += 1;
        let low = if shift > 56 { return None } else { self.window() & ((1 << shift) - 1) };
        self.at += shift as usize;
        let fits = self.at <= self.bytes.len() * 8 && high.leading_zeros() >= shift;
        fits.then_some((high << shift) | low)
    }
}

// Groups

/// A group: its last record, and the bounds of a key in it.
pub(crate) type Group = (u64, Bounds);

/// Encodes a page of groups, of which the first one begins with the record `first`.
pub(crate) fn encode_groups(groups: &[Group], first: u64, place: Place) -> Vec<u8> {
    let mut body = Vec::new();
    push_varint(&mut body, first);
    let mut start = first;
    for (last, bounds) in groups {
        push_varint(&mut body, last - start);
        start = last + 1;
        let has = |there: bool, flag: u8| if there { flag } else { 0 };
        body.push(has(bounds.numbers.is_some(), HAS_NUMBERS) | has(bounds.texts.is_some(), HAS_TEXTS));
        if let Some((least, greatest)) = bounds.numbers {
            body.extend_from_slice(&least.to_le_bytes());
            body.extend_from_slice(&greatest.to_le_bytes());
        }
        if let Some((least, greatest)) = &bounds.texts {
            for text in [least, greatest] {
                body.push(low_byte(text.len() as u64));
                body.extend_from_slice(text);
            }
        }
    }
    place.seal(&body)
}

/// Decodes a page: its first record, and its groups. Returns `None` if the page is damaged.
pub(crate) fn decode_groups(page: &[u8], place: Place) -> Option<(u64, Vec<Group>)> {
    let mut reader = Reader(place.open(page)?);
    let first = reader.varint()?;
    let mut groups = Vec::with_capacity(GROUPS_PER_PAGE);
    let mut start = first;
    while !reader.0.is_empty() {
        let last = start.checked_add(reader.varint()?)?;
        start = last.checked_add(1)?;
        let has = reader.byte()?;
        let numbers = if has & HAS_NUMBERS == 0 { None } else { Some((reader.float()?, reader.float()?)) };
        let texts = if has & HAS_TEXTS == 0 { None } else { Some((reader.text()?, reader.text()?)) };
        if groups.len() == GROUPS_PER_PAGE {
            return None;
        }
        groups.push((last, Bounds { numbers, texts }));
    }
    Some((first, groups))
}
