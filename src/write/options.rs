//! The options of a writer, and its figures about commits.

use std::fmt;
use std::time::Duration;

use crate::codec::level::ZlibLevel;

/// Determines when a commit waits for the disk.
///
/// ```
/// use capturefile::{OpenOptions, SyncMode};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).sync(SyncMode::Barrier).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SyncMode {
    /// A commit returns once it would survive a power cut.
    #[default]
    Full,
    /// A power cut rolls back the last commit at most (in format 3, those since the last sync), and never harms the file.
    Barrier,
    /// A commit survives the end of the process; a power cut may destroy the file.
    None,
}

impl SyncMode {
    /// Returns the mode as a word, which is also what [`Display`](fmt::Display) writes.
    ///
    /// ```
    /// assert_eq!(capturefile::SyncMode::Full.as_str(), "full");
    /// assert_eq!(capturefile::SyncMode::None.to_string(), "none");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Barrier => "barrier",
            Self::None => "none",
        }
    }
}

impl fmt::Display for SyncMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// Selects how blocks are compressed.
///
/// ```
/// use capturefile::{Compression, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).format(3).compression(Compression::Lz4).open(&path)?;
/// assert_eq!(log.snapshot()?.compression(), Compression::Lz4);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// By zlib; only in version 2 of the format.
    Zlib,
    /// By Zstandard; only in version 3 of the format, like the following ones.
    Zstd,
    /// By LZ4.
    Lz4,
    /// Not at all.
    None,
}

impl Compression {
    /// Returns the compression as a word, which is also what [`Display`](fmt::Display) writes.
    ///
    /// ```
    /// assert_eq!(capturefile::Compression::Zstd.as_str(), "zstd");
    /// assert_eq!(capturefile::Compression::None.to_string(), "none");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// Describes what one commit added, and how long it took; [`CaptureFile::commit`](crate::CaptureFile::commit)
/// returns it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two"])?;
/// let commit = log.commit()?.expect("there is something to commit");
/// assert_eq!((commit.records, commit.bytes), (2, 6));
/// assert!(log.commit()?.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Number of records added.
    pub records: u64,
    /// The bytes of these records, before they are compressed.
    pub bytes: u64,
    /// How long the commit took.
    pub time: Duration,
}

/// Sums up the commits of one object; see [`CaptureFile::stats`](crate::CaptureFile::stats).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// for record in ["one", "two"] {
///     log.add_record(record.as_bytes())?;
///     log.commit()?;
/// }
/// let stats = log.stats();
/// assert_eq!((stats.commits, stats.records, stats.bytes), (2, 2, 6));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Number of commits; calls with nothing to commit do not count.
    pub commits: u64,
    /// Number of records added.
    pub records: u64,
    /// The bytes of these records, before they are compressed.
    pub bytes: u64,
    /// Total time of the commits.
    pub commit_time: Duration,
}

impl Stats {
    /// Counts one more commit.
    pub(crate) fn count(&mut self, commit: &Commit) {
        self.commits += 1;
        self.records += commit.records;
        self.bytes += commit.bytes;
        self.commit_time += commit.time;
    }
}

/// How a new file is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Making {
    /// Invisible to others at first.
    Hidden,
    /// In place, visible to everyone.
    InPlace,
}

/// The serial numbers of a new file's two master nodes.
pub(crate) const FIRST_SERIALS: [u32; 2] = [1, 2];

/// The options of a writer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterOptions {
    pub(crate) sync: SyncMode,
    pub(crate) level: ZlibLevel,
}
