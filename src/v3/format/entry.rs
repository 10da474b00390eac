//! An entry of the log: one commit, with a checksum.

use super::head::FrameArea;
use super::{Header, NUMBER_LIMIT, Reader, checksum, put_u32, put_u64};

/// Its records follow frames that no head refers to yet.
pub(super) const HAS_BASE: u8 = 1;
/// It has random bits instead of a commit: a writer writes it first.
pub(super) const IS_OPENING: u8 = 2;

/// The effect of an entry on the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Change {
    /// Unchanged; if there is a base, it is in the frame to which the base refers.
    #[default]
    None,
    /// Removed.
    Cleared,
    /// Replaced by that in the entry.
    Here,
}

impl Change {
    fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Cleared => 1,
            Self::Here => 2,
        }
    }
}

/// The fields at the start of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EntryHeader {
    pub(super) flags: u8,
    pub(crate) change: Change,
    /// Its position in the log, which is its sequence number.
    pub(crate) position: u64,
    /// The number of its first record, or of the next record if it has none.
    pub(crate) first: u64,
    pub(crate) records: u32,
    /// Total length of its records.
    pub(super) bytes: u32,
    /// Length of the entry.
    pub(crate) total: u32,
    pub(super) metadata: u32,
    pub(super) base: u32,
    pub(crate) salt: u64,
    /// Time of the commit, in nanoseconds since 1970.
    pub(crate) time: u64,
    /// The position up to which the log was on the disk when this was written.
    pub(crate) sure: u64,
}

/// The offsets of the parts of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    ends: usize,
    base: usize,
    metadata: usize,
    end: usize,
}

impl EntryHeader {
    pub(crate) const SIZE: usize = 72;
    pub(crate) const MARK: [u8; 4] = *b"LogE";
    /// Length of an entry that holds nothing.
    pub(crate) const MIN_TOTAL: u64 = Self::SIZE as u64 + 8;

    /// Returns the length of an entry with these contents.
    pub(crate) fn total_of(records: usize, bytes: usize, base: usize, metadata: usize) -> u64 {
        let body = Self::SIZE + bytes + 4 * records + base + metadata;
        body.next_multiple_of(8) as u64 + 8
    }

    /// Decodes the header of an entry at `position`. Returns `None` if there is no entry, or an invalid one.
    pub(crate) fn decode(bytes: &[u8], position: u64, log: u32) -> Option<Self> {
        let header = Self::decode_fields(bytes).filter(|header| header.position == position)?;
        let needed = Self::total_of(
            header.records as usize,
            header.bytes as usize,
            header.base as usize,
            header.metadata as usize,
        );
        let opening_holds = !header.is_opening() || [header.records, header.base, header.metadata] == [0; 3];
        let sound = header.total <= log
            && needed == u64::from(header.total)
            && opening_holds
            && (header.records > 0 || header.bytes == 0)
            && (header.metadata == 0 || header.change == Change::Here)
            && header.has_base() == (header.base > 0)
            && header.first > 0
            && header.first < NUMBER_LIMIT
            && header.time < NUMBER_LIMIT
            && header.sure <= position;
        sound.then_some(header)
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.array().filter(|mark| *mark == Self::MARK)?;
        let flags = reader.u8().filter(|flags| *flags <= (HAS_BASE | IS_OPENING))?;
        let change = match reader.u8()? {
            0 => Change::None,
            1 => Change::Cleared,
            2 => Change::Here,
            _ => return None,
        };
        reader.u16().filter(|zeros| *zeros == 0)?;
        let header = Self {
            flags,
            change,
            position: reader.u64()?,
            first: reader.u64()?,
            records: reader.u32()?,
            bytes: reader.u32()?,
            total: reader.u32()?,
            metadata: reader.u32()?,
            base: reader.u32()?,
            ..Self::default()
        };
        reader.u32().filter(|zeros| *zeros == 0)?;
        Some(Self { salt: reader.u64()?, time: reader.u64()?, sure: reader.u64()?, ..header })
    }

    pub(super) fn encode(&self, out: &mut [u8]) {
        let mut bytes = Vec::with_capacity(Self::SIZE);
        bytes.extend_from_slice(&Self::MARK);
        bytes.extend_from_slice(&[self.flags, self.change.number(), 0, 0]);
        put_u64(&mut bytes, self.position);
        put_u64(&mut bytes, self.first);
        put_u32(&mut bytes, self.records);
        put_u32(&mut bytes, self.bytes);
        put_u32(&mut bytes, self.total);
        put_u32(&mut bytes, self.metadata);
        put_u32(&mut bytes, self.base);
        put_u32(&mut bytes, 0);
        put_u64(&mut bytes, self.salt);
        put_u64(&mut bytes, self.time);
        put_u64(&mut bytes, self.sure);
        out[..Self::SIZE].copy_from_slice(&bytes);
    }

    pub(crate) fn has_base(&self) -> bool {
        self.flags & HAS_BASE != 0
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.flags & IS_OPENING != 0
    }

    /// Returns the position after it.
    pub(crate) fn end(&self) -> u64 {
        self.position + u64::from(self.total)
    }

    /// Returns the number of records up to its end.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.records) - 1
    }

    fn parts(&self) -> Parts {
        let ends = Self::SIZE + self.bytes as usize;
        let base = ends + 4 * self.records as usize;
        let metadata = base + self.base as usize;
        Parts { ends, base, metadata, end: metadata + self.metadata as usize }
    }
}

/// A complete entry, or the records of a future one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryView<'a> {
    pub(crate) header: EntryHeader,
    bytes: &'a [u8],
}

impl<'a> EntryView<'a> {
    /// Decodes the entry at `position` that follows one with the checksum `seed`; `None` if `bytes` are not
    /// an entry, or an invalid one.
    pub(crate) fn decode(bytes: &'a [u8], position: u64, seed: u64, log: u32) -> Option<Self> {
        let view = Self::decode_unproven(bytes, position, log)?;
        let (body, sum) = view.bytes.split_at(view.bytes.len() - 8);
        (checksum(body, seed).to_be_bytes() == sum).then_some(view)
    }

    /// Decodes the entry at `position`, whatever its checksum.
    pub(crate) fn decode_unproven(bytes: &'a [u8], position: u64, log: u32) -> Option<Self> {
        let header = EntryHeader::decode(bytes, position, log)?;
        let view = Self { header, bytes: bytes.get(..header.total as usize)? };
        view.ends_rise().then_some(view)
    }

    /// Views an entry whose header is known.
    pub(crate) fn of(header: EntryHeader, bytes: &'a [u8]) -> Self {
        Self { header, bytes }
    }

    /// Views bytes that are known to be an entry.
    pub(crate) fn trusted(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { header: EntryHeader::decode_fields(bytes)?, bytes })
    }

    fn ends_rise(&self) -> bool {
        let parts = self.header.parts();
        let mut last = 0;
        let rises = self.bytes[parts.ends..parts.base].chunks_exact(4).all(|end| {
            let end = end.try_into().map_or(0, u32::from_be_bytes);
            let before = std::mem::replace(&mut last, end);
            before <= end
        });
        rises && last == self.header.bytes
    }

    /// Returns the end of the record with this index, relative to the start of the entry.
    fn end_of(&self, index: u32) -> usize {
        let at = self.header.parts().ends + 4 * index as usize;
        let end =
            self.bytes.get(at..at + 4).and_then(|end| end.try_into().ok()).map_or(0, u32::from_be_bytes);
        EntryHeader::SIZE + end as usize
    }

    /// Returns the range of consecutive records in the entry.
    pub(crate) fn range(&self, records: std::ops::Range<u32>) -> std::ops::Range<usize> {
        let start = if records.start == 0 { EntryHeader::SIZE } else { self.end_of(records.start - 1) };
        start..if records.end == records.start { start } else { self.end_of(records.end - 1) }
    }

    /// Returns how many records, starting at `from`, fit into `room`, each with `overhead` in addition to its length.
    pub(crate) fn fitting(&self, from: u32, room: u64, overhead: u64) -> u32 {
        let start = self.range(from..from).start as u64;
        let fits = |records: u32| {
            let end = if records == 0 { start } else { self.end_of(from + records - 1) as u64 };
            end - start + overhead * u64::from(records) <= room
        };
        let (mut low, mut high) = (0, self.header.records - from);
        while low < high {
            let middle = high - (high - low) / 2;
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Returns the lengths of some of its records.
    pub(crate) fn lengths(&self, records: std::ops::Range<u32>) -> impl Iterator<Item = u32> {
        let parts = self.header.parts();
        let start = self.range(records.start..records.start).start - EntryHeader::SIZE;
        let mut before = u32::try_from(start).unwrap_or(u32::MAX);
        let ends =
            &self.bytes[parts.ends + 4 * records.start as usize..parts.ends + 4 * records.end as usize];
        ends.chunks_exact(4).map(move |end| {
            let end = end.try_into().map_or(0, u32::from_be_bytes);
            end - std::mem::replace(&mut before, end)
        })
    }

    /// Returns the bytes of some of its records, one after the other.
    pub(crate) fn records(&self, records: std::ops::Range<u32>) -> &'a [u8] {
        &self.bytes[self.range(records)]
    }

    pub(crate) fn metadata(&self) -> &'a [u8] {
        let parts = self.header.parts();
        &self.bytes[parts.metadata..parts.end]
    }

    /// Returns the range of the metadata in the entry.
    pub(crate) fn metadata_range(&self) -> std::ops::Range<usize> {
        let parts = self.header.parts();
        parts.metadata..parts.end
    }

    /// Decodes its base, if it has one. Returns an error if the base is invalid.
    pub(crate) fn base(&self, header: &Header) -> Result<Option<FrameArea>, ()> {
        let parts = self.header.parts();
        if !self.header.has_base() {
            return Ok(None);
        }
        let frames = FrameArea::decode(&self.bytes[parts.base..parts.metadata], header).ok_or(())?;
        // Its records follow those in frames, and it alone determines the metadata.
        if frames.count() + 1 == self.header.first { Ok(Some(frames)) } else { Err(()) }
    }

    pub(crate) fn checksum(&self) -> u64 {
        let sum = self.bytes[self.bytes.len() - 8..].try_into();
        sum.map_or(0, u64::from_be_bytes)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::v3::format::Codec;
    use crate::v3::format::entry_builder::{Builder, Fields};

    fn entry(records: &[&[u8]], fields: &Fields<'_>) -> Vec<u8> {
        let mut builder = Builder::default();
        for record in records {
            builder.push(record);
        }
        builder.finish(fields)
    }

    const FIELDS: Fields<'static> = Fields {
        position: 1 << 20,
        first: 10,
        seed: 99,
        time: 7,
        sure: 1 << 20,
        salt: None,
        base: None,
        change: Change::Here,
        metadata: b"up to here",
    };

    #[test]
    fn an_entry_comes_back_and_no_flipped_bit_is_taken_for_one() {
        let bytes = entry(&[b"one", b"", b"three"], &FIELDS);
        let view = EntryView::decode(&bytes, 1 << 20, 99, 1 << 20).unwrap();
        assert_eq!((view.header.last(), view.header.end()), (12, (1 << 20) + bytes.len() as u64));
        assert_eq!(
            (view.records(0..1), view.records(1..2), view.records(1..3)),
            (&b"one"[..], &b""[..], &b"three"[..])
        );
        assert_eq!(view.metadata(), b"up to here");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(EntryView::decode(&flipped, 1 << 20, 99, 1 << 20).is_none(), "{bit}");
        }
        assert!((0..bytes.len()).all(|end| EntryView::decode(&bytes[..end], 1 << 20, 99, 1 << 20).is_none()));
        assert!(EntryView::decode(&bytes, 1 << 20, 98, 1 << 20).is_none());
        assert!(EntryView::decode(&bytes, (1 << 20) + 8, 99, 1 << 20).is_none());
    }

    #[test]
    fn right_checksums_over_numbers_that_cannot_be_are_refused() {
        let rewrite = |at: usize, with: &[u8]| {
            let mut bytes = entry(&[b"one", b"two"], &FIELDS);
            bytes[at..at + with.len()].copy_from_slice(with);
            let end = bytes.len() - 8;
            let sum = checksum(&bytes[..end], 99);
            bytes[end..].copy_from_slice(&sum.to_be_bytes());
            EntryView::decode(&bytes, 1 << 20, 99, 1 << 20).is_some()
        };
        assert!(rewrite(0, b"LogE"));
        for (at, with) in [
            (4, &[4][..]),
            (4, &[1]),
            (4, &[2]),
            (5, &[3]),
            (5, &[0]),
            (6, &[1]),
            (16, &[0; 8]),
            (16, &[0xFF; 8]),
            (24, &[0; 4]),
            (24, &[0xFF; 4]),
            (28, &[0, 0, 0, 5]),
            (32, &[0, 0, 0, 8]),
            (36, &[0xFF; 4]),
            (40, &[0, 0, 0, 1]),
            (44, &[1]),
            (56, &[0xFF; 8]),
            (64, &[0xFF; 8]),
            // The ends of its records.
            (78, &[0, 0, 0, 7]),
            (82, &[0, 0, 0, 2]),
            (82, &[0, 0, 0, 9]),
        ] {
            assert!(!rewrite(at, with), "{at} {with:?}");
        }
    }

    #[test]
    fn a_base_has_to_end_where_the_records_begin() {
        let header = Header::new(Codec::Zstd, [1; 16], 0);
        let frames = FrameArea::none(&header);
        let fields =
            |first| Fields { first, base: Some(&frames), change: Change::None, metadata: b"", ..FIELDS };
        let at = |first: u64| {
            let bytes = entry(&[b"one"], &fields(first));
            EntryView::decode(&bytes, 1 << 20, 99, 1 << 20).unwrap().base(&header)
        };
        assert_eq!(at(1), Ok(Some(frames.clone())));
        assert_eq!(at(2), Err(()));
    }
}
