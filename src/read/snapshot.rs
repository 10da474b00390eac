//! An immutable state of a file: every read runs on one, whatever happens to the file meanwhile.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::codec::frame::{self, InflateError};
use crate::codec::inflate_stream::{self, Stream};
use crate::error::{Damage, Error, Result, reserve};
use crate::format::master::{Extent, MasterNode};
use crate::format::{Coordinates, Geometry, LENGTH_SIZE, NodePart, entries, get_u32, in_memory};
use crate::read::block::Block;
use crate::read::node::Node;
use crate::read::open_file::{OpenFile, check_length};
use crate::read::record::Record;
use crate::read::validity::{Trust, Validity, new_epoch};
use crate::sync::published::Versioned;
use crate::sync::transaction::Transaction;
use crate::tree::Descent;

/// The records and metadata of one moment, readable for as long as the snapshot lives.
pub struct Snapshot {
    file: Arc<OpenFile>,
    master: MasterNode,
    pending: Arc<Block>,
    extent: Extent,
    /// Frames that start before this belong to a commit, and whole pages up to it never change.
    committed_limit: u64,
    /// Whole pages up to here are in the file, or saved in `transaction`.
    written: u64,
    epoch: u64,
    transaction: Option<Arc<Transaction>>,
    /// Which of its writer's states it is.
    version: u64,
}

impl Versioned for Snapshot {
    fn version(&self) -> u64 {
        self.version
    }

    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Snapshot")
            .field("path", &self.path())
            .field("serial", &self.serial())
            .field("record_count", &self.record_count())
            .finish_non_exhaustive()
    }
}

/// Whether a read may go to the file or has to do with what the cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    File,
    CacheOnly,
}

/// Where a record hangs in the index tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Off the rightmost path, with these coordinates.
    Loose(Coordinates),
    /// Off the full node of the lowest level with this number, counted from 0, as this child of it.
    InLeaf(u64, usize),
}

impl Snapshot {
    /// A committed state; its file was long enough for it a moment ago.
    pub(crate) fn committed(file: Arc<OpenFile>, master: MasterNode) -> Self {
        let committed_limit = master.file_limit;
        Self::new(file, master, committed_limit, new_epoch(), None)
    }

    /// The state of an open transaction over a commit with the file limit `committed_limit`.
    pub(crate) fn uncommitted(
        file: Arc<OpenFile>,
        master: MasterNode,
        committed_limit: u64,
        transaction: Arc<Transaction>,
    ) -> Self {
        Self::new(file, master, committed_limit, transaction.epoch, Some(transaction))
    }

    fn new(
        file: Arc<OpenFile>,
        mut master: MasterNode,
        committed_limit: u64,
        epoch: u64,
        transaction: Option<Arc<Transaction>>,
    ) -> Self {
        let extent = master.extent();
        let pending = std::mem::take(&mut master.pending).into_boxed_slice();
        let pending = Arc::new(Block::whole(pending, Validity::Epoch(epoch)));
        Self {
            extent,
            written: file.geometry.whole_pages(master.file_limit),
            file,
            master,
            pending,
            committed_limit,
            epoch,
            transaction,
            version: 0,
        }
    }

    /// How many records there are.
    pub fn record_count(&self) -> u64 {
        self.extent.records
    }

    /// The file's path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The sizes that the file was created with.
    pub fn geometry(&self) -> Geometry {
        self.file.geometry
    }

    /// Serial number of the commit.
    pub fn serial(&self) -> u32 {
        self.master.serial
    }

    /// Where the next frame will start, in bytes from the start of the file.
    pub fn file_limit(&self) -> u64 {
        self.master.file_limit
    }

    /// Levels of the index tree; 0 in a file without records.
    pub fn tree_height(&self) -> u8 {
        self.master.path.height()
    }

    /// Bytes that are committed but not yet compressed.
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes.len()
    }

    pub(crate) fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Whether it shows a transaction that is or was open.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.transaction.is_some()
    }

    /// Checks that the file is as long as this state needs.
    pub(crate) fn check_length(&self) -> Result<()> {
        check_length(&self.file, &self.master)
    }

    /// Whether both show the same records and metadata.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.extent == other.extent && self.master.metadata == other.master.metadata
    }

    /// Whether this state, of the same file, was committed later.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        if self.extent == other.extent {
            return self.serial() != other.serial() && self.master.is_newer_than(&other.master);
        }
        other.extent.is_before(self.extent)
    }

    /// Record `number`, from 1 to [`record_count`](Self::record_count).
    pub fn record(&self, number: u64) -> Result<Record> {
        match self.find(number, Source::File)? {
            Some(record) => Ok(record),
            None => Err(self.no_such_record(number)),
        }
    }

    /// Record `number` if all that it takes is in memory; never waits for the disk or inflates.
    #[inline]
    pub fn record_in_memory(&self, number: u64) -> Result<Option<Record>> {
        self.find(number, Source::CacheOnly)
    }

    /// The metadata of the same commit as the records.
    pub fn metadata(&self) -> Result<Option<Record>> {
        if self.master.metadata.is_none() {
            return Ok(None);
        }
        self.entry(self.master.metadata, Source::File)
    }

    /// Where the whole pages end that belong to a commit.
    fn stable(&self) -> u64 {
        self.file.geometry.whole_pages(self.committed_limit)
    }

    #[inline]
    fn trust(&self, frame: u64) -> Trust {
        Trust { epoch: self.epoch, committed: self.is_committed(frame) }
    }

    #[cold]
    pub(crate) fn no_such_record(&self, number: u64) -> Error {
        Error::NoSuchRecord { path: self.file.path.clone(), number, count: self.extent.records }
    }

    #[inline]
    fn find(&self, number: u64, source: Source) -> Result<Option<Record>> {
        match self.coordinates(number, source)? {
            Some(at) => self.entry(at, source),
            None => Ok(None),
        }
    }

    /// Where record `number` is; `None` where `source` does not have that.
    #[inline]
    pub(super) fn coordinates(&self, number: u64, source: Source) -> Result<Option<Coordinates>> {
        match self.place(number)? {
            Place::Loose(at) => Ok(Some(at)),
            Place::InLeaf(leaf, child) => {
                self.leaf(leaf, source)?.map(|leaf| self.child(&leaf, child)).transpose()
            }
        }
    }

    /// Where record `number` hangs.
    #[inline]
    pub(crate) fn place(&self, number: u64) -> Result<Place> {
        let index = number.checked_sub(1).filter(|&index| index < self.extent.records);
        let index = index.ok_or_else(|| self.no_such_record(number))?;
        let loose = self.master.path.children(1);
        let in_leaves = self.extent.records - loose.len() as u64;
        if let Some(behind_leaves) = index.checked_sub(in_leaves) {
            return Ok(Place::Loose(loose[in_memory(behind_leaves)]));
        }
        let fan_out = u64::from(self.file.geometry.fan_out);
        let (leaf, child) = (index / fan_out, index % fan_out);
        let part = leaf * self.parts_of_node() + child / u64::from(NodePart::SIZE);
        Ok(Place::InLeaf(part, in_memory(child % u64::from(NodePart::SIZE))))
    }

    /// Into how many parts nodes are divided in memory.
    #[inline]
    fn parts_of_node(&self) -> u64 {
        u64::from(self.file.geometry.fan_out).div_ceil(NodePart::SIZE.into())
    }

    /// The part of a leaf with the given number, if it is in memory; parts are counted through all leaves.
    #[inline]
    pub(crate) fn cached_leaf(&self, number: u64) -> Option<Node> {
        self.file.cache.leaf(number, |frame| self.trust(frame))
    }

    #[inline]
    fn leaf(&self, number: u64, source: Source) -> Result<Option<Node>> {
        if let Some(leaf) = self.cached_leaf(number) {
            return Ok(Some(leaf));
        }
        let Some(part) = self.descend_to_leaf(number, source)? else {
            return Ok(None);
        };
        let leaf = self.read_node(part, source)?;
        if let Some(leaf) = &leaf {
            self.file.cache.keep_leaf(number, leaf.clone());
        }
        Ok(leaf)
    }

    /// Where the part of a leaf with the given number is.
    pub(crate) fn leaf_position(&self, number: u64) -> Result<NodePart> {
        self.descend_to_leaf(number, Source::File)?.ok_or_else(|| self.no_such_record(self.extent.records))
    }

    /// Goes from the rightmost path down to a part of a leaf.
    fn descend_to_leaf(&self, number: u64, source: Source) -> Result<Option<NodePart>> {
        let fan_out = self.file.geometry.fan_out;
        let first = number / self.parts_of_node() * u64::from(fan_out);
        let Some(mut descent) = self.master.path.descend(first) else {
            return Err(self.no_such_record(first + 1));
        };
        while descent.height > 1 {
            let (child, index) = descent.step(fan_out);
            let part = NodePart::with_child(descent.root, child);
            let Some(node) = self.node(part, source)? else {
                return Ok(None);
            };
            let root = self.child(&node, child - part.start as usize)?;
            descent = Descent { root, height: descent.height - 1, index };
        }
        let part = number % self.parts_of_node();
        Ok(Some(NodePart::with_child(descent.root, in_memory(part * u64::from(NodePart::SIZE)))))
    }

    #[inline]
    fn entry(&self, at: Coordinates, source: Source) -> Result<Option<Record>> {
        match self.block_from(at.frame, source)? {
            Some(block) if block.is_whole() || source == Source::File => self.entry_in(block, at).map(Some),
            _ => Ok(None),
        }
    }

    /// The entry at `at`, whose block is `block`.
    #[inline]
    pub(crate) fn entry_in(&self, block: Arc<Block>, at: Coordinates) -> Result<Record> {
        if !block.is_whole() {
            let bytes = self.part(at, |stream| inflate_stream::entry(stream, block.size, at.offset))?;
            let range = 0..bytes.len();
            return Ok(Record { block: Arc::new(Block::whole(bytes, block.validity)), range });
        }
        let range = entries::entry_range(&block.bytes, at.offset)
            .map_err(|damage| self.invalid(damage.at(at.frame)))?;
        Ok(Record { block, range })
    }

    /// A child of a full node, which has as many as the fan-out says.
    #[inline]
    pub(crate) fn child(&self, node: &Node, index: usize) -> Result<Coordinates> {
        let missing = || self.invalid(Damage::new("an index node without a child", "one").at(node.frame()));
        node.child(index).ok_or_else(missing)
    }

    fn node(&self, at: NodePart, source: Source) -> Result<Option<Node>> {
        if let Some(node) = self.file.cache.node(at, self.trust(at.frame)) {
            return Ok(Some(node));
        }
        let node = self.read_node(at, source)?;
        if let Some(node) = &node {
            self.file.cache.keep_node(at, node.clone());
        }
        Ok(node)
    }

    fn read_node(&self, at: NodePart, source: Source) -> Result<Option<Node>> {
        match self.block_from(at.frame, source)? {
            Some(block) if block.is_whole() || source == Source::File => {
                self.packed_node_in(&block, at).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A part of an index node whose block is `block`.
    pub(crate) fn packed_node_in(&self, block: &Block, part: NodePart) -> Result<Node> {
        Ok(Node::new(part.frame, block.validity, &self.children_in(block, part)?))
    }

    /// The children in a part of an index node whose block is `block`, all of which the node must be in.
    pub(crate) fn children_in(&self, block: &Block, part: NodePart) -> Result<Vec<Coordinates>> {
        let fan_out = self.file.geometry.fan_out;
        let (offset, children) = (part.offset, part.children(fan_out));
        let found = if block.is_whole() {
            entries::children_at(&block.bytes, offset, fan_out, children)
        } else {
            let count = children.end - children.start;
            let some = |stream: &[u8]| {
                inflate_stream::children(stream, block.size, offset, fan_out, children.clone())
            };
            entries::node_at(&self.part(part.node(), some)?, 0, count)
        };
        found.map_err(|damage| self.invalid(damage.at(part.frame)))
    }

    /// The inflated block whose frame starts at `frame`, from the cache or the file.
    pub(crate) fn block(&self, frame: u64) -> Result<Arc<Block>> {
        match self.block_from(frame, Source::File)? {
            Some(block) => Ok(block),
            None => Err(self.invalid(Damage::new("no frame", "one").at(frame))),
        }
    }

    /// The same if it is in memory.
    pub(crate) fn cached_block(&self, frame: u64) -> Option<Arc<Block>> {
        self.block_from(frame, Source::CacheOnly).ok().flatten()
    }

    /// Whether the frame that starts at `frame`, if one does, is part of a commit.
    #[inline]
    pub(crate) fn is_committed(&self, frame: u64) -> bool {
        frame < self.committed_limit
    }

    #[inline]
    fn block_from(&self, frame: u64, source: Source) -> Result<Option<Arc<Block>>> {
        if frame == self.master.file_limit {
            return Ok(Some(Arc::clone(&self.pending)));
        }
        if let Some(block) = self.file.cache.block(frame, self.trust(frame)) {
            return Ok(Some(block));
        }
        if source == Source::CacheOnly {
            return Ok(None);
        }
        let block = Arc::new(self.inflate_frame(frame)?);
        self.file.cache.keep_block(frame, Arc::clone(&block));
        Ok(Some(block))
    }

    /// The children of the rightmost path, oldest records first, with the height of what is below each.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (u32, Coordinates)> + '_ {
        let path = &self.master.path;
        let level = |level: u8| path.children(level).iter().map(move |&child| (u32::from(level) - 1, child));
        (1..=path.height()).rev().flat_map(level)
    }

    /// Where the frame that starts at `frame` ends.
    pub(crate) fn frame_end(&self, frame: u64) -> Result<u64> {
        self.with_pieces(None, |pieces| Ok(self.frame_body(pieces, frame)?.end))
    }

    /// Reads and inflates the frame at `frame`, past all caches.
    pub(crate) fn inflate_frame(&self, frame: u64) -> Result<Block> {
        self.with_frames(|pieces| self.inflate(pieces, frame))
    }

    /// What `work` makes of the frames.
    fn with_frames<T>(&self, work: impl Fn(&Pieces<'_>) -> Result<T>) -> Result<T> {
        match &self.transaction {
            Some(open) => open.read(|saved| self.with_pieces(saved, &work)),
            None => self.with_pieces(None, work),
        }
    }

    /// Calls `work` with all bytes below the file limit.
    fn with_pieces<T>(&self, saved: Option<&[u8]>, work: impl FnOnce(&Pieces<'_>) -> Result<T>) -> Result<T> {
        let in_file = if saved.is_some() { self.stable() } else { self.written };
        let map = self.file.storage.map(in_file).map_err(|error| self.read_error(error))?;
        work(&Pieces {
            snapshot: self,
            file: &map,
            in_file,
            saved: saved.unwrap_or_default(),
            written: self.written,
            tail: &self.master.tail,
        })
    }

    /// Where the zlib stream of a frame is.
    fn frame_body(&self, pieces: &Pieces<'_>, frame: u64) -> Result<Range<u64>> {
        let limit = self.master.file_limit;
        let data_start = self.file.geometry.data_start();
        let body = frame.saturating_add(LENGTH_SIZE as u64);
        if frame < data_start || body > limit {
            let found = format!("a reference to a frame at byte {frame}");
            let expected = format!("a frame between bytes {data_start} and {limit}");
            return Err(self.invalid(Damage::new(found, expected)));
        }
        let length = get_u32(&pieces.bytes(frame..body)?, 0).unwrap_or_default();
        let end = body + u64::from(length);
        if end > limit {
            let found = format!("a frame of {length} bytes");
            let expected = format!("one that ends at or before byte {limit}, the file limit");
            return Err(self.invalid(Damage::new(found, expected).at(frame)));
        }
        Ok(body..end)
    }

    fn inflate(&self, pieces: &Pieces<'_>, frame: u64) -> Result<Block> {
        let body = self.frame_body(pieces, frame)?;
        let end = body.end;
        let stream = pieces.bytes(body)?;
        let validity = if end <= self.stable() { Validity::Always } else { Validity::Epoch(self.epoch) };
        match frame::inflate(&stream, self.file.geometry.block_size) {
            Ok(bytes) => Ok(Block::whole(bytes, validity)),
            Err(InflateError::Oversized) => {
                let size =
                    inflate_stream::measure(&stream).map_err(|error| self.inflate_error(error, frame))?;
                Ok(Block { bytes: Box::default(), size, validity })
            }
            Err(error) => Err(self.inflate_error(error, frame)),
        }
    }

    /// Takes the entry at `at` out of a block that is too large to be kept.
    fn part<T>(
        &self,
        at: Coordinates,
        take: impl Fn(&[u8]) -> std::result::Result<T, InflateError>,
    ) -> Result<T> {
        self.check_near(at)?;
        self.with_frames(|pieces| {
            let stream = pieces.bytes(self.frame_body(pieces, at.frame)?)?;
            take(&stream).map_err(|error| self.inflate_error(error, at.frame))
        })
    }

    /// Checks that an entry starts where one can: a writer closes a block that is full, so the way to an entry is
    /// short, however long the block.
    pub(crate) fn check_near(&self, at: Coordinates) -> Result<()> {
        let full = self.file.geometry.block_size.max(1);
        if at.offset < full {
            return Ok(());
        }
        let found = format!("an entry at offset {}", at.offset);
        let expected = format!("one that starts before its block is full, at {full} bytes");
        Err(self.invalid(Damage::new(found, expected).at(at.frame)))
    }

    /// The compressed bytes of the block whose frame starts at `frame`.
    pub(crate) fn stream_of(&self, frame: u64) -> Result<Stream> {
        self.with_frames(|pieces| {
            let stream = pieces.bytes(self.frame_body(pieces, frame)?)?;
            let mut copy = Vec::new();
            reserve(&mut copy, stream.len(), "a compressed block")?;
            copy.extend_from_slice(&stream);
            Ok(Stream::new(copy))
        })
    }

    pub(crate) fn inflate_error(&self, error: InflateError, frame: u64) -> Error {
        match error {
            InflateError::Damage(damage) => self.invalid(damage.at(frame)),
            InflateError::OutOfMemory(bytes) => Error::OutOfMemory { bytes, what: "an inflated block" },
            InflateError::Oversized => self.invalid(Damage::new("too large a block", "less").at(frame)),
        }
    }

    fn read_error(&self, error: std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            let expected = "all of what was committed: the file has been cut short";
            return self.invalid(Damage::new(error.to_string(), expected));
        }
        self.file.failed("map")(error)
    }

    /// The error for bytes of a transaction that are neither in the file nor in memory.
    fn not_saved(&self) -> Error {
        if self.transaction.as_ref().is_some_and(|open| open.is_inherited()) {
            return Error::Forked { path: self.file.path.clone() };
        }
        // They could not be copied into memory when the transaction was taken back.
        let bytes = self.written - self.stable();
        Error::OutOfMemory { bytes, what: "what a transaction had written before it was taken back" }
    }

    pub(crate) fn invalid(&self, damage: Damage) -> Error {
        Error::invalid(&self.file.path, damage)
    }
}

/// Where the bytes below a file limit are: in the file, saved from a transaction that was taken back,
/// and in the partial page of the master node.
struct Pieces<'a> {
    snapshot: &'a Snapshot,
    file: &'a [u8],
    in_file: u64,
    saved: &'a [u8],
    written: u64,
    tail: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// The bytes of `range`, copied only where they lie in more than one piece.
    fn bytes(&self, range: Range<u64>) -> Result<Cow<'a, [u8]>> {
        let pieces = [
            (0, self.in_file, self.file),
            (self.in_file, self.written, self.saved),
            (self.written, u64::MAX, self.tail),
        ];
        let mut joined = Vec::new();
        for (start, end, bytes) in pieces {
            let from = range.start.max(start);
            let to = range.end.min(end);
            if from >= to {
                continue;
            }
            let Some(part) = bytes.get(in_memory(from - start)..in_memory(to - start)) else {
                return Err(self.snapshot.not_saved());
            };
            if part.len() == in_memory(range.end - range.start) {
                return Ok(Cow::Borrowed(part));
            }
            reserve(&mut joined, part.len(), "a compressed block")?;
            joined.extend_from_slice(part);
        }
        Ok(Cow::Owned(joined))
    }
}
