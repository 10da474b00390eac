//! The interface through which callers provide access to objects.

use std::ops::Range;
use std::{fmt, io};

/// Gives access to an object in a store, such as Amazon S3 or a web server, without downloading all of it.
///
/// All methods may be called from many threads at the same time: independent reads are requested in parallel.
/// Retrying is up to the source; an error that it returns ends the read.
///
/// ```
/// use std::io;
/// use std::ops::Range;
/// use std::sync::Arc;
///
/// use capturefile::{ObjectHead, ObjectSource, OpenOptions};
///
/// #[derive(Debug)]
/// struct InMemory(Vec<u8>);
///
/// impl ObjectSource for InMemory {
///     fn head(&self) -> io::Result<ObjectHead> {
///         Ok(ObjectHead::new(self.0.len() as u64, None))
///     }
///     fn start(&self, length: u64) -> io::Result<(ObjectHead, Vec<u8>)> {
///         let length = self.0.len().min(length as usize);
///         Ok((self.head()?, self.0[..length].to_vec()))
///     }
///     fn read(&self, range: Range<u64>, _: &ObjectHead) -> io::Result<Vec<u8>> {
///         Ok(self.0[range.start as usize..range.end as usize].to_vec())
///     }
/// }
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let object = InMemory(std::fs::read(&path).unwrap());
/// let reader = OpenOptions::new().open_object("memory://log.capture", Arc::new(object))?;
/// assert_eq!(reader.snapshot()?.record(1)?, *b"one");
/// # Ok(()) }
/// ```
pub trait ObjectSource: Send + Sync + fmt::Debug {
    /// Returns the length and version of the object as it is now.
    ///
    /// # Errors
    ///
    /// Any error; it becomes the source of an [`Error::Io`](crate::Error::Io).
    fn head(&self) -> io::Result<ObjectHead>;

    /// Returns the first `length` bytes of the object as it is now, or all if it has fewer, with its head; by
    /// a single request if the store permits that.
    ///
    /// # Errors
    ///
    /// As for [`head`](Self::head).
    fn start(&self, length: u64) -> io::Result<(ObjectHead, Vec<u8>)>;

    /// Returns all bytes of `range`, which is inside the object.
    ///
    /// # Errors
    ///
    /// As for [`head`](Self::head). It must fail if the object is no longer the version in `head`, for
    /// example because the store refuses the version in `If-Match`.
    fn read(&self, range: Range<u64>, head: &ObjectHead) -> io::Result<Vec<u8>>;

    /// Checks whether to continue. Called from time to time in threads that wait for an answer; an error ends
    /// the wait.
    ///
    /// # Errors
    ///
    /// The error that the waiting read is to return.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Describes an object: its length and version.
///
/// ```
/// let head = capturefile::ObjectHead::new(409_600, Some("\"6805f2cf\"".into()));
/// assert_eq!(head.size, 409_600);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectHead {
    /// Length in bytes.
    pub size: u64,
    /// An identifier, such as an entity tag, that differs between any two contents; `None` if the store
    /// provides none.
    pub version: Option<String>,
}

impl ObjectHead {
    /// Makes a head of these values.
    ///
    /// ```
    /// assert_eq!(capturefile::ObjectHead::new(0, None).version, None);
    /// ```
    pub fn new(size: u64, version: Option<String>) -> Self {
        Self { size, version }
    }
}

/// Returns the error for an answer of the wrong length.
pub(super) fn wrong_length(found: usize, expected: u64) -> io::Error {
    let message = format!("the store returned {found} bytes instead of {expected}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
