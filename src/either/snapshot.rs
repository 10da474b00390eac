//! Immutable states of a file: every read uses one, and is not affected by later changes.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use crate::either::lookup::{Lookup, Stuck};
use crate::error::Result;
use crate::format::{Geometry, in_memory};
use crate::read::open_file::Opened;
use crate::read::record::Record;
use crate::read::snapshot::Snapshot as V2;
use crate::storage::Standing;
use crate::sync::published::Versioned;
use crate::v3::format::Codec;
use crate::v3::read::snapshot::Snapshot as V3;
use crate::write::options::Compression;

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
    state: AnyState,
    /// The version of the writer's state that it shows.
    version: u64,
}

/// A state of a file of either format.
pub(crate) enum AnyState {
    V2(Arc<V2>),
    V3(Arc<V3>),
}

impl From<V2> for Snapshot {
    fn from(state: V2) -> Self {
        Self { state: AnyState::V2(Arc::new(state)), version: 0 }
    }
}

impl From<V3> for Snapshot {
    fn from(state: V3) -> Self {
        Self { state: AnyState::V3(Arc::new(state)), version: 0 }
    }
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
    #[inline]
    pub(crate) fn state(&self) -> &AnyState {
        &self.state
    }

    fn opened(&self) -> &Opened {
        match &self.state {
            AnyState::V2(state) => state.file(),
            AnyState::V3(state) => &state.frames.file,
        }
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
    #[inline]
    pub fn record_count(&self) -> u64 {
        match &self.state {
            AnyState::V2(state) => state.record_count(),
            AnyState::V3(state) => state.record_count(),
        }
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
        &self.opened().path
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
        match &self.state {
            AnyState::V2(state) => state.geometry(),
            AnyState::V3(state) => state.frames.file.header.geometry(),
        }
    }

    /// Returns how writers compress the file's blocks.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.snapshot()?.compression(), capturefile::Compression::Zlib);
    /// # Ok(()) }
    /// ```
    pub fn compression(&self) -> Compression {
        match &self.state {
            AnyState::V2(_) => Compression::Zlib,
            AnyState::V3(state) => match state.frames.file.header.codec {
                Codec::None => Compression::None,
                Codec::Zstd => Compression::Zstd,
                Codec::Lz4 => Compression::Lz4,
            },
        }
    }

    /// Returns the serial number of the commit, which wraps at 2^32; in version 3 of the format it is the position in the
    /// log at which the commit ends.
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
    pub fn serial_number(&self) -> u64 {
        match &self.state {
            AnyState::V2(state) => state.serial_number().into(),
            AnyState::V3(state) => state.state.end,
        }
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
        match &self.state {
            AnyState::V2(state) => state.file_limit(),
            AnyState::V3(state) => state.frames.limit,
        }
    }

    /// Counts the levels of the index tree; 0 in a file without records, or without compressed ones.
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
        match &self.state {
            AnyState::V2(state) => state.tree_height(),
            AnyState::V3(state) => state.state.frames.path.height(),
        }
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
        match &self.state {
            AnyState::V2(state) => state.pending_bytes(),
            AnyState::V3(state) => in_memory(state.pending().1),
        }
    }

    /// Returns whether it shows a transaction that is or was open.
    pub(crate) fn is_uncommitted(&self) -> bool {
        match &self.state {
            AnyState::V2(state) => state.is_uncommitted(),
            AnyState::V3(state) => state.is_uncommitted(),
        }
    }

    /// Returns the minimum length of the file for this state.
    fn needed_length(&self) -> u64 {
        match &self.state {
            AnyState::V2(state) => state.geometry().whole_pages(state.file_limit()),
            AnyState::V3(state) => state.frames.limit,
        }
    }

    /// Checks that the file is as long as this state needs.
    pub(crate) fn check_length(&self) -> Result<()> {
        self.opened().check_length(self.needed_length())
    }

    /// Returns the attributes of the file, after checking that it is long enough for this state.
    pub(crate) fn check_standing(&self) -> Result<Standing> {
        self.opened().check_standing(self.needed_length())
    }

    /// Returns whether this state, of the same file, was committed later.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (AnyState::V2(state), AnyState::V2(other)) => state.is_newer_than(other),
            (AnyState::V3(state), AnyState::V3(other)) => state.is_newer_than(other),
            _ => false,
        }
    }

    /// Returns record `number`, from 1 to [`record_count`](Self::record_count).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for other numbers;
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a part of the file that this requires is damaged, and
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
        match &self.state {
            AnyState::V2(state) => state.record(number),
            AnyState::V3(state) => state.record(number),
        }
    }

    /// Looks up record `number` in memory; never waits for the disk or inflates.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for other numbers;
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the data in memory is damaged.
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
        let (found, place) = match &self.state {
            AnyState::V2(state) => match state.record_cached(number)? {
                Ok(record) => (Some(record), None),
                Err(place) => (None, Some(place)),
            },
            AnyState::V3(state) => (state.record_cached(number)?, None),
        };
        Ok(found.map_or(Lookup::Stuck(Stuck { number, place }), Lookup::Found))
    }

    /// Continues a lookup of [`record_cached`](Self::record_cached) in this snapshot from where it got stuck.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a part of the file that this requires is damaged, and
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
        match (&self.state, stuck.place) {
            (AnyState::V2(state), Some(place)) => state.resume(place),
            _ => self.record(stuck.number),
        }
    }

    /// Returns the metadata of the same commit as the records; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a part of the file that this requires is damaged, and
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
        match &self.state {
            AnyState::V2(state) => state.metadata(),
            AnyState::V3(state) => state.metadata(),
        }
    }

    /// Finds the numbers of the records that are compressed together with record `number`, which is included.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchRecord`](crate::Error::NoSuchRecord) for a number that is 0 or more than the count;
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a part of the file that this requires is damaged, and
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// assert_eq!(log.snapshot()?.block_of(2)?, 1..=2);
    /// # Ok(()) }
    /// ```
    pub fn block_of(&self, number: u64) -> Result<RangeInclusive<u64>> {
        match &self.state {
            AnyState::V2(state) => state.block_of(number),
            AnyState::V3(state) => state.block_of(number),
        }
    }
}
