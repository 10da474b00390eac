//! Frames of the file: read, checked, decoded, and kept in the cache.

use std::sync::Arc;

use super::cache::{Cached, Key};
use crate::error::{Damage, Error, Result, reserve};
use crate::format::in_memory;
use crate::storage::{read_up_to, too_short};
use crate::sync::transaction::Transaction;
use crate::v3::codec::{DecompressError, RecordBlock, decompress};
use crate::v3::format::checksum;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::format::index::{Child, decode_node};
use crate::v3::shared::Shared;

/// The frames below a limit, as one state of the file has them.
#[derive(Debug, Clone)]
pub(crate) struct FrameSource {
    pub(crate) file: Arc<Shared>,
    /// The end of the last of them.
    pub(crate) limit: u64,
    /// A transaction that may be rolled back, and the start of its frames.
    pub(crate) open: Option<(Arc<Transaction>, u64)>,
}

impl FrameSource {
    /// Returns the block of a child of the index, whose first record has the number `first`.
    #[inline]
    pub(crate) fn block(&self, child: &Child, first: u64) -> Result<Arc<RecordBlock>> {
        match self.cached_block(child, first) {
            Some(block) => Ok(block),
            None => self.read_block(child, first),
        }
    }

    /// Returns the block of a child of the index, if it is in memory.
    #[inline]
    pub(crate) fn cached_block(&self, child: &Child, first: u64) -> Option<Arc<RecordBlock>> {
        match self.file.cache.get(Key { child: *child, first }) {
            Some(Cached::Block(block)) => Some(block),
            _ => None,
        }
    }

    fn read_block(&self, child: &Child, first: u64) -> Result<Arc<RecordBlock>> {
        let block = self.with_frame(child.position, Some(child), |frame, body| {
            let fits = frame.first == first
                && u64::from(frame.count) == child.records
                && frame.times.1 == child.time;
            self.check(frame, child, Kind::Records, fits)?;
            RecordBlock::decode(frame, body, &self.file.header)
                .map_err(|error| self.undecoded(error, child.position))
        })?;
        let block = Arc::new(block);
        self.file.cache.keep(Key { child: *child, first }, Cached::Block(Arc::clone(&block)));
        Ok(block)
    }

    /// Returns the children of a child of the index that is a full node.
    pub(crate) fn node(&self, child: &Child, first: u64) -> Result<Arc<Vec<Child>>> {
        if let Some(children) = self.cached_node(child, first) {
            return Ok(children);
        }
        let children = self.with_frame(child.position, Some(child), |frame, body| {
            self.check(frame, child, Kind::Node, frame.first == first)?;
            self.node_of(body, child)
        })?;
        let children = Arc::new(children);
        self.file.cache.keep(Key { child: *child, first }, Cached::Node(Arc::clone(&children)));
        Ok(children)
    }

    /// Returns the children of a child of the index that is a full node, if they are in memory.
    #[inline]
    pub(crate) fn cached_node(&self, child: &Child, first: u64) -> Option<Arc<Vec<Child>>> {
        match self.file.cache.get(Key { child: *child, first }) {
            Some(Cached::Node(children)) => Some(children),
            _ => None,
        }
    }

    /// Returns the header of the frame at `position`, after verifying its checksums.
    pub(crate) fn header(&self, position: u64) -> Result<FrameHeader> {
        self.with_frame(position, None, |frame, _| Ok(*frame))
    }

    /// Returns the end of the frame at `position` according to its header, even if its body is damaged.
    pub(crate) fn end_by_header(&self, position: u64) -> Result<u64> {
        let mut bytes = [0; FrameHeader::SIZE];
        read_up_to(&*self.file.storage, &mut bytes, position).map_err(self.file.failed("read"))?;
        let header = FrameHeader::decode(&bytes, position, &self.file.header);
        header.map(|header| position + header.total()).map_err(|damage| self.file.corrupt(damage))
    }

    fn node_of(&self, body: &[u8], child: &Child) -> Result<Vec<Child>> {
        let damage =
            |found: &str, expected: &str| self.file.corrupt(Damage::new(found, expected).at(child.position));
        let children = decode_node(body, self.file.header.fan_out);
        let children =
            children.ok_or_else(|| damage("an invalid index node", "children in ascending order"))?;
        let records = children.iter().try_fold(0_u64, |sum, child| sum.checked_add(child.records));
        let last = children.last().copied().unwrap_or_default();
        let first = children.first().copied().unwrap_or_default();
        let inside = first.position >= self.file.header.data_start() && last.end() <= child.position;
        if inside && records == Some(child.records) && last.time == child.time {
            return Ok(children);
        }
        Err(damage(
            "an index node that does not fit its parent",
            "as many records, before it, up to its time",
        ))
    }

    /// Returns the metadata in the frame at `position`.
    pub(crate) fn metadata(&self, position: u64) -> Result<Box<[u8]>> {
        self.with_frame(position, None, |frame, body| {
            if frame.kind != Kind::Metadata || frame.raw > u64::from(u32::MAX) {
                let damage = Damage::new("a frame of something else", "one of metadata").at(position);
                return Err(self.file.corrupt(damage));
            }
            decompress(body, frame.codec, frame.raw).map_err(|error| self.undecoded(error, position))
        })
    }

    fn check(&self, frame: &FrameHeader, child: &Child, kind: Kind, fits: bool) -> Result<()> {
        if fits && frame.kind == kind && frame.total() == child.length {
            return Ok(());
        }
        let found = format!(
            "a frame of {} records from {} on, {} bytes long",
            frame.count,
            frame.first,
            frame.total()
        );
        let expected =
            format!("one of {} records, {} bytes long, according to the index", child.records, child.length);
        Err(self.file.corrupt(Damage::new(found, expected).at(child.position)))
    }

    fn undecoded(&self, error: DecompressError, position: u64) -> Error {
        match error {
            DecompressError::Damage(damage) => self.file.corrupt(damage.at(position)),
            DecompressError::OutOfMemory(bytes) => Error::OutOfMemory { bytes, what: "a decompressed block" },
        }
    }

    /// Calls `work` with the frame at `position`, after verifying its checksums. It must be that of `child`, if one is
    /// given.
    fn with_frame<T>(
        &self,
        position: u64,
        child: Option<&Child>,
        work: impl Fn(&FrameHeader, &[u8]) -> Result<T>,
    ) -> Result<T> {
        let work = |header: &FrameHeader, encoded: &[u8], body: &[u8]| {
            if child.is_none_or(|child| child.sum == FrameHeader::sum(encoded)) {
                return work(header, body);
            }
            Err(self
                .file
                .corrupt(Damage::new("another frame", "the one to which the index refers").at(position)))
        };
        let length = child.map_or(0, |child| child.length);
        match &self.open {
            Some((transaction, start)) if position >= *start => transaction.read(|saved| match saved {
                Some(saved) if self.limit - start > saved.pages.len() as u64 => {
                    Err(self.not_saved(transaction))
                }
                Some(saved) => self.decode(&saved.pages, *start, position, work),
                None => self.decode_in_file(self.limit, position, length, work),
            }),
            Some((_, start)) => self.decode_in_file(*start, position, length, work),
            None => self.decode_in_file(self.limit, position, length, work),
        }
    }

    /// Returns the error for frames of a transaction that are neither in the file nor in memory.
    fn not_saved(&self, transaction: &Transaction) -> Error {
        if transaction.is_forked() {
            return Error::Forked { path: self.file.path.clone() };
        }
        let start = self.open.as_ref().map_or(self.limit, |(_, start)| *start);
        let what = "the bytes that a transaction wrote before it was rolled back";
        Error::OutOfMemory { bytes: self.limit - start, what }
    }

    /// Decodes the frame at `position` of the file, which must end at or before `end`, and is read in one go
    /// if it has `length` bytes.
    fn decode_in_file<T>(
        &self,
        end: u64,
        position: u64,
        length: u64,
        work: impl Fn(&FrameHeader, &[u8], &[u8]) -> Result<T>,
    ) -> Result<T> {
        match self.file.storage.map(end).map_err(|error| self.file.unread(error, "map"))? {
            Some(map) => self.decode(&map, 0, position, work),
            None => self.decode(&self.read(position, end, length)?, position, position, work),
        }
    }

    /// Reads the frame at `position`, but no bytes from `end` on; in one go if it has `length` bytes.
    fn read(&self, position: u64, end: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut read_to = |to: u64| {
            let start = bytes.len();
            let length = in_memory(to.min(end).saturating_sub(position)).max(start);
            reserve(&mut bytes, length - start, "a frame")?;
            bytes.resize(length, 0);
            let from = position + start as u64;
            let done = read_up_to(&*self.file.storage, &mut bytes[start..], from)
                .map_err(|error| self.file.unread(error, "read"))?;
            if done < length - start {
                return Err(self.file.unread(too_short(from + done as u64, to.min(end)), "read"));
            }
            FrameHeader::decode(&bytes, position, &self.file.header)
                .map_err(|damage| self.file.corrupt(damage))
        };
        let header = read_to(position.saturating_add(length.max(FrameHeader::SIZE as u64)))?;
        read_to(position.saturating_add(header.total()))?;
        Ok(bytes)
    }

    /// Decodes the frame at `position` of the file, whose bytes from `start` on are `bytes`.
    fn decode<T>(
        &self,
        bytes: &[u8],
        start: u64,
        position: u64,
        work: impl Fn(&FrameHeader, &[u8], &[u8]) -> Result<T>,
    ) -> Result<T> {
        let invalid = |damage| self.file.corrupt(damage);
        let at = usize::try_from(position - start).unwrap_or(usize::MAX);
        let known = usize::try_from(self.limit - start).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.get(at..known).unwrap_or_default();
        let header = FrameHeader::decode(bytes, position, &self.file.header).map_err(invalid)?;
        let end = usize::try_from(header.total()).unwrap_or(usize::MAX);
        let body = bytes.get(FrameHeader::SIZE..end).ok_or_else(|| {
            let found = format!("a frame of {} bytes", header.total());
            invalid(Damage::new(found, format!("one that ends before byte {}", self.limit)).at(position))
        })?;
        if checksum(body, self.file.header.seed()) != header.body_sum {
            let damage = Damage::new("a frame with a wrong checksum", "the one of its body").at(position);
            return Err(invalid(damage));
        }
        work(&header, bytes, body)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::read::open_file::Opened;
    use crate::simulation::disk::Disk;
    use crate::simulation::disk_state::DiskState;
    use crate::simulation::random::Random;
    use crate::storage::write_all;
    use crate::sync::transaction::Saved;
    use crate::v3::format::{Codec, Header};

    #[test]
    fn frames_that_could_not_be_saved_are_not_called_damaged() {
        let disk = Disk::<()>::new(DiskState::default(), Random::new(0));
        let header = Header::new(Codec::None, [0; 16], 0);
        let opened = Opened::new(Path::new("some.capture"), Box::new(disk), 1);
        let file = Shared::new(opened, header, 1000);
        let transaction = Transaction::new(0);
        transaction.save(Saved { start: 0, pages: Vec::new() });
        let source = FrameSource { file: Arc::new(file), limit: 9000, open: Some((transaction, 5000)) };
        let error = source.metadata(6000).map(drop);
        assert!(matches!(error, Err(Error::OutOfMemory { bytes: 4000, .. })), "{error:?}");
    }

    /// Writes a frame of three empty records at 9000; returns it as a file, and as a child of the index.
    fn three_records() -> (FrameSource, Child) {
        let disk = Disk::<()>::new(DiskState::default(), Random::new(0));
        let header = Header::new(Codec::None, [0; 16], 0);
        let body = [0, 0, 0, 0, 3, 0];
        let frame = FrameHeader {
            kind: Kind::Records,
            codec: Codec::None,
            width: 0,
            position: 9000,
            first: 1,
            count: 3,
            commits: 1,
            body: 6,
            raw: 6,
            times: (5, 5),
            body_sum: checksum(&body, header.seed()),
        };
        let encoded = frame.encode(&header);
        write_all(&disk, &[&encoded[..], &body].concat(), 9000).unwrap();
        let child =
            Child { position: 9000, length: 134, records: 3, time: 5, sum: FrameHeader::sum(&encoded) };
        let file = Shared::new(Opened::new(Path::new("some.capture"), Box::new(disk), 1), header, 1000);
        (FrameSource { file: Arc::new(file), limit: 9134, open: None }, child)
    }

    #[test]
    fn a_frame_in_memory_is_refused_wherever_it_would_be_refused_in_the_file() {
        let (source, child) = three_records();
        assert!(source.cached_block(&child, 1).is_none());
        assert_eq!(source.block(&child, 1).unwrap().count(), 3);
        assert!(source.cached_block(&child, 1).is_some());
        for (wrong, first) in [
            (child, 4),
            (Child { records: 4, ..child }, 1),
            (Child { time: 6, ..child }, 1),
            (Child { length: 135, ..child }, 1),
            (Child { sum: !child.sum, ..child }, 1),
        ] {
            assert!(source.cached_block(&wrong, first).is_none(), "{wrong:?}");
            assert!(source.block(&wrong, first).is_err(), "{wrong:?}");
            assert!(source.node(&wrong, first).is_err(), "{wrong:?}");
        }
    }
}
