//! An immutable state of a file: every read runs on one, whatever happens to the file meanwhile.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::format::master::{Extent, MasterNode};
use crate::format::{Coordinates, Geometry, is_newer};
use crate::read::block::Block;
use crate::read::block_reader::BlockReader;
use crate::read::frames::Frames;
use crate::read::index::{Index, Lookup, Stuck};
use crate::read::open_file::{OpenFile, check_length};
use crate::read::record::Record;
use crate::read::validity::{Validity, new_epoch};
use crate::sync::published::Versioned;
use crate::sync::transaction::Transaction;

/// Holds the records and metadata of one moment, readable for as long as it lives.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// let snapshot = log.snapshot()?;
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| assert_eq!(snapshot.record(1).unwrap(), *b"one"));
///     }
/// });
/// # Ok(()) }
/// ```
pub struct Snapshot {
    index: Index,
    metadata: Coordinates,
    serial: u32,
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
            .field("serial_number", &self.serial_number())
            .field("record_count", &self.record_count())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Shows a committed state, for which its file was long enough a moment ago.
    pub(crate) fn committed(file: Arc<OpenFile>, master: MasterNode) -> Self {
        let committed_limit = master.file_limit;
        Self::new(file, master, committed_limit, new_epoch(), None)
    }

    /// Shows a committed state of a file that has only `length` bytes. What is missing is an error where it is needed.
    pub(crate) fn cut_short(file: Arc<OpenFile>, master: MasterNode, length: u64) -> Self {
        let committed_limit = master.file_limit.min(length);
        Self::new(file, master, committed_limit, new_epoch(), None)
    }

    /// Shows the state of an open transaction over a commit with the file limit `committed_limit`.
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
        master: MasterNode,
        committed_limit: u64,
        epoch: u64,
        transaction: Option<Arc<Transaction>>,
    ) -> Self {
        let extent = master.extent();
        let frames = Frames {
            start: file.geometry.data_start(),
            limit: master.file_limit,
            stable: file.geometry.whole_pages(committed_limit),
            written: file.geometry.whole_pages(master.file_limit),
            file,
            tail: master.tail,
            epoch,
            transaction,
        };
        let pending = Arc::new(Block::whole(master.pending.into_boxed_slice(), Validity::Epoch(epoch)));
        let blocks = BlockReader { frames, pending, committed_limit };
        let index = Index { blocks, path: master.path, extent };
        Self { index, metadata: master.metadata, serial: master.serial, version: 0 }
    }

    /// Counts the records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.snapshot()?.record_count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn record_count(&self) -> u64 {
        self.index.extent.records
    }

    /// Returns the file's path, as it was opened.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.snapshot()?.path(), path);
    /// # Ok(()) }
    /// ```
    pub fn path(&self) -> &Path {
        &self.file().path
    }

    /// Returns the sizes that the file was created with.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.snapshot()?.geometry().page_size, 4096);
    /// # Ok(()) }
    /// ```
    pub fn geometry(&self) -> Geometry {
        self.file().geometry
    }

    /// Returns the serial number of the commit; it wraps at 2^32.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let before = log.snapshot()?.serial_number();
    /// log.commit()?;
    /// assert_eq!(log.snapshot()?.serial_number(), before + 1);
    /// # Ok(()) }
    /// ```
    pub fn serial_number(&self) -> u32 {
        self.serial
    }

    /// Returns where the next frame will start, in bytes from the start of the file.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert!(log.snapshot()?.file_limit() <= log.file_size()?);
    /// # Ok(()) }
    /// ```
    pub fn file_limit(&self) -> u64 {
        self.index.blocks.frames.limit
    }

    /// Counts the levels of the index tree; 0 in a file without records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.snapshot()?.tree_height(), 1);
    /// # Ok(()) }
    /// ```
    pub fn tree_height(&self) -> u8 {
        self.index.path.height()
    }

    /// Counts the bytes that are not compressed yet, the lengths of the records included.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.snapshot()?.pending_bytes(), 4 + 3);
    /// # Ok(()) }
    /// ```
    pub fn pending_bytes(&self) -> usize {
        self.index.blocks.pending.bytes.len()
    }

    /// The master node of this state.
    pub(crate) fn master_node(&self) -> MasterNode {
        let Self { index, metadata, serial, .. } = self;
        MasterNode {
            serial: *serial,
            file_limit: index.blocks.frames.limit,
            metadata: *metadata,
            path: index.path.clone(),
            tail: index.blocks.frames.tail.clone(),
            pending: index.blocks.pending.bytes.to_vec(),
        }
    }

    pub(crate) fn file(&self) -> &Arc<OpenFile> {
        self.index.blocks.file()
    }

    #[inline]
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn block_reader(&self) -> &BlockReader {
        &self.index.blocks
    }

    pub(crate) fn frames(&self) -> &Frames {
        &self.index.blocks.frames
    }

    pub(crate) fn extent(&self) -> Extent {
        self.index.extent
    }

    /// Whether it shows a transaction that is or was open.
    pub(crate) fn is_uncommitted(&self) -> bool {
        self.frames().transaction.is_some()
    }

    /// Checks that the file is as long as this state needs.
    pub(crate) fn check_length(&self) -> Result<()> {
        check_length(self.file(), self.file_limit())
    }

    /// Whether both show the same records and metadata.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.extent() == other.extent() && self.metadata == other.metadata
    }

    /// Whether this state, of the same file, was committed later.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        if self.extent() == other.extent() {
            return self.serial != other.serial && is_newer(self.serial, other.serial);
        }
        other.extent().is_before(self.extent())
    }

    /// Returns record `number`, from 1 to [`record_count`](Self::record_count).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for other numbers;
    /// [`Error::Corrupt`](crate::Error::Corrupt) if what is needed for it is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.snapshot()?.record(1)?, *b"one");
    /// assert!(log.snapshot()?.record(2).is_err());
    /// # Ok(()) }
    /// ```
    pub fn record(&self, number: u64) -> Result<Record> {
        self.index.record(number)
    }

    /// Looks record `number` up in memory; never waits for the disk or inflates.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for other numbers;
    /// [`Error::Corrupt`](crate::Error::Corrupt) if what is in memory is damaged.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::Lookup;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let snapshot = log.snapshot()?;
    /// let record = match snapshot.record_cached(1)? {
    ///     Lookup::Found(record) => record,
    ///     Lookup::Stuck(place) => snapshot.resume(&place)?,
    /// };
    /// assert_eq!(record, *b"one");
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn record_cached(&self, number: u64) -> Result<Lookup> {
        self.index.record_cached(number)
    }

    /// Continues with a lookup of [`record_cached`](Self::record_cached) in this snapshot from where it got stuck.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if what is needed for it is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::Lookup;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let snapshot = log.snapshot()?;
    /// let record = match snapshot.record_cached(1)? {
    ///     Lookup::Found(record) => record,
    ///     Lookup::Stuck(place) => snapshot.resume(&place)?,
    /// };
    /// assert_eq!(record, *b"one");
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, stuck: &Stuck) -> Result<Record> {
        self.index.resume(stuck)
    }

    /// Returns the metadata of the same commit as the records; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if what is needed for it is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(log.snapshot()?.metadata()?.is_none());
    /// log.set_metadata(Some(b"about these"))?;
    /// assert_eq!(log.snapshot()?.metadata()?.expect("it is set"), *b"about these");
    /// # Ok(()) }
    /// ```
    pub fn metadata(&self) -> Result<Option<Record>> {
        if self.metadata.is_none() {
            return Ok(None);
        }
        let blocks = self.block_reader();
        blocks.entry_in(blocks.block(self.metadata.frame)?, self.metadata).map(Some)
    }
}
