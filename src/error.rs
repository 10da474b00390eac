//! The error type of the crate, and the damage reports that file parsing produces.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A [`Result`](std::result::Result) with this crate's [`Error`].
///
/// ```
/// fn last_record(path: &std::path::Path) -> capturefile::Result<Option<capturefile::Record>> {
///     capturefile::CaptureFile::open(path)?.snapshot()?.records(1).next_back().transpose()
/// }
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// Reserves space in `buffer` for `more` items; fails if there is no memory for them.
pub(crate) fn reserve<T>(buffer: &mut Vec<T>, more: usize, what: &'static str) -> Result<()> {
    let bytes = more.saturating_mul(size_of::<T>()) as u64;
    buffer.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes, what })
}

/// A damaged place in a file: where it is, what was found, and what was expected.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// std::fs::write(&path, "no capture file").unwrap();
/// match capturefile::CaptureFile::open(&path) {
///     Err(capturefile::Error::Corrupt { damage, .. }) => assert_eq!(damage.position, Some(0)),
///     _ => unreachable!("it has no header"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Position of the damage in the file, in bytes, if it is known.
    pub position: Option<u64>,
    /// What was found.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
}

impl Damage {
    pub(crate) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { position: None, found: found.into(), expected: expected.into() }
    }

    /// Sets the position of the damage, unless it is already known.
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.position.get_or_insert(position);
        self
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(out, "at byte {position}: ")?;
        }
        write!(out, "found {}, expected {}", self.found, self.expected)
    }
}

/// The process that has a file open for writing.
///
/// ```
/// use capturefile::{Error, LockHolder, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).open(&path)?;
/// let second = OpenOptions::new().write(true).open(&path);
/// assert!(matches!(second, Err(Error::Locked { by: LockHolder::ThisProcess, .. })));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// The process that was refused.
    ThisProcess,
    /// Another process.
    OtherProcess,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ThisProcess => "this process",
            Self::OtherProcess => "another process",
        })
    }
}

/// The reason why a call on a capture file failed.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes.txt");
/// std::fs::write(&path, "no capture file").unwrap();
/// let error = capturefile::CaptureFile::open(&path).unwrap_err();
/// assert_eq!(error.path(), Some(path.as_path()));
/// assert!(error.is_corrupt());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call of the operating system failed.
    #[error("cannot {action} {path:?}: {source}")]
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted action, as a verb.
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },

    /// The file is not a capture file, or a damaged one.
    #[error("{path:?} is not a sound capture file: {damage}")]
    #[non_exhaustive]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        damage: Damage,
    },

    /// A file that is followed has been removed or replaced.
    #[error(
        "{path:?} has been replaced or removed: all records of the old file have been returned, and no more will \
         follow; open it again to continue with the new file"
    )]
    #[non_exhaustive]
    Replaced {
        /// The file's name.
        path: PathBuf,
    },

    /// The file of a writer no longer has a name.
    #[error(
        "{path:?} has been removed or replaced while it was open for writing, so no one could read a further commit; \
         this object can still read the earlier commits; open the path again to write the new file there, or to \
         create one"
    )]
    #[non_exhaustive]
    Removed {
        /// The name that the file had.
        path: PathBuf,
    },

    /// The file's version of the format does not contain the requested data.
    #[error("cannot {what} {path:?}: it is in format {version}, and only files in format 3 have them")]
    FormatUnsupported {
        /// The file.
        path: PathBuf,
        /// The requested action, as a verb.
        what: &'static str,
        /// The version of the file's format.
        version: u32,
    },

    /// The file is open for writing elsewhere.
    #[error(
        "{path:?} is already open for writing in {by}; a capture file has one writer at a time: \
         close the other one, or open this one for reading"
    )]
    #[non_exhaustive]
    Locked {
        /// The file.
        path: PathBuf,
        /// The holder of the lock.
        by: LockHolder,
    },

    /// A file that is open was to be replaced, which Windows refuses.
    #[error(
        "cannot replace {path:?} while it is open: {source}; Windows does not replace a file that is mapped, as by a \
         reader, or open in a program that does not permit it: close it everywhere, including this process, and try \
         again"
    )]
    #[non_exhaustive]
    InUse {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// The file system has no byte-range locks.
    #[error(
        "cannot lock {path:?} for writing: {source}; if this file system has no locks and nothing else \
         writes the file, open it with OpenOptions::os_lock(false)"
    )]
    #[non_exhaustive]
    LockUnavailable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// A writing call on a file that is open for reading only.
    #[error("{path:?} is open for reading; open it for writing first")]
    #[non_exhaustive]
    NotOpenForWrite {
        /// The file.
        path: PathBuf,
    },

    /// A writing call on a file that has been closed.
    #[error("{path:?} is not open; it has been closed")]
    #[non_exhaustive]
    Closed {
        /// The file.
        path: PathBuf,
    },

    /// A call in a forked child that only the process that opened the file for writing can make: writing,
    /// or reading uncommitted records.
    #[error(
        "{path:?} was opened for writing before this process was forked; only the process that opened it may \
         write it or read uncommitted records"
    )]
    #[non_exhaustive]
    Forked {
        /// The file.
        path: PathBuf,
    },

    /// An earlier failure left the writer unable to continue safely.
    #[error(
        "{path:?} can no longer be written through this object since {reason}; close it and open it again, which \
         checks and repairs the file"
    )]
    #[non_exhaustive]
    WriterFailed {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },

    /// A commit failed at a point where it may or may not have happened.
    #[error(
        "the commit to {path:?} failed while it was being made durable ({source}), so it may or may not have \
         happened; open the file again and check its record count or metadata"
    )]
    #[non_exhaustive]
    CommitUncertain {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// A record number outside the file.
    #[error("record {number} does not exist in {path:?}, which has {count} records, numbered from 1")]
    #[non_exhaustive]
    NoSuchRecord {
        /// The file.
        path: PathBuf,
        /// The requested number.
        number: u64,
        /// The number of records.
        count: u64,
    },

    /// A record or metadata longer than the format's 4-byte length field permits.
    #[error("an entry of {length} bytes cannot be stored: the format's limit is {limit} bytes")]
    #[non_exhaustive]
    TooLarge {
        /// Its length in bytes.
        length: u64,
        /// The maximum length.
        limit: u64,
    },

    /// The index would need more space than the master node has.
    #[error("{path:?} is full: its index has reached the number of records that its page size allows")]
    #[non_exhaustive]
    IndexFull {
        /// The file.
        path: PathBuf,
    },

    /// An option, or a size of a new file, has a value that is not allowed.
    #[error("{name} cannot be {got}: {expected}")]
    #[non_exhaustive]
    InvalidOption {
        /// The option's name.
        name: &'static str,
        /// The requested value.
        got: String,
        /// The permitted values.
        expected: &'static str,
    },

    /// There is not enough memory for an item that has to be in memory as a whole.
    #[error("not enough memory for {bytes} bytes of {what}")]
    #[non_exhaustive]
    OutOfMemory {
        /// The requested number of bytes.
        bytes: u64,
        /// What it was for.
        what: &'static str,
    },
}

impl Error {
    /// Returns the file or folder that the error concerns; `None` for other errors, such as an invalid
    /// option.
    ///
    /// ```
    /// let nowhere = std::path::Path::new("no such folder/log.capture");
    /// let error = capturefile::CaptureFile::open(nowhere).unwrap_err();
    /// assert_eq!(error.path(), Some(nowhere));
    /// ```
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Replaced { path }
            | Self::Removed { path }
            | Self::FormatUnsupported { path, .. }
            | Self::Locked { path, .. }
            | Self::InUse { path, .. }
            | Self::LockUnavailable { path, .. }
            | Self::NotOpenForWrite { path }
            | Self::Closed { path }
            | Self::Forked { path }
            | Self::WriterFailed { path, .. }
            | Self::CommitUncertain { path, .. }
            | Self::NoSuchRecord { path, .. }
            | Self::IndexFull { path } => Some(path),
            Self::TooLarge { .. } | Self::InvalidOption { .. } | Self::OutOfMemory { .. } => None,
        }
    }

    /// Returns whether the file is damaged or not a capture file.
    ///
    /// ```
    /// let error = capturefile::CaptureFile::open("no such file").unwrap_err();
    /// assert!(!error.is_corrupt());
    /// ```
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Returns the same error once more, for another call that it concerns.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io { path, action, source } => {
                Self::Io { path: path.clone(), action, source: io_again(source) }
            }
            Self::Corrupt { path, damage } => Self::corrupt(path, damage.clone()),
            Self::Replaced { path } => Self::Replaced { path: path.clone() },
            Self::Removed { path } => Self::Removed { path: path.clone() },
            Self::FormatUnsupported { path, what, version } => {
                Self::FormatUnsupported { path: path.clone(), what, version: *version }
            }
            Self::Locked { path, by } => Self::Locked { path: path.clone(), by: *by },
            Self::InUse { path, source } => Self::InUse { path: path.clone(), source: io_again(source) },
            Self::LockUnavailable { path, source } => {
                Self::LockUnavailable { path: path.clone(), source: io_again(source) }
            }
            Self::NotOpenForWrite { path } => Self::NotOpenForWrite { path: path.clone() },
            Self::Closed { path } => Self::Closed { path: path.clone() },
            Self::Forked { path } => Self::Forked { path: path.clone() },
            Self::WriterFailed { path, reason } => {
                Self::WriterFailed { path: path.clone(), reason: reason.clone() }
            }
            Self::CommitUncertain { path, source } => {
                Self::CommitUncertain { path: path.clone(), source: io_again(source) }
            }
            Self::NoSuchRecord { path, number, count } => {
                Self::NoSuchRecord { path: path.clone(), number: *number, count: *count }
            }
            Self::TooLarge { length, limit } => Self::TooLarge { length: *length, limit: *limit },
            Self::IndexFull { path } => Self::IndexFull { path: path.clone() },
            Self::InvalidOption { name, got, expected } => {
                Self::InvalidOption { name, got: got.clone(), expected }
            }
            Self::OutOfMemory { bytes, what } => Self::OutOfMemory { bytes: *bytes, what },
        }
    }

    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, source }
    }

    pub(crate) fn corrupt(path: &Path, damage: Damage) -> Self {
        Self::Corrupt { path: path.to_owned(), damage }
    }
}

/// Returns the same answer of the system once more.
pub(crate) fn io_again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
