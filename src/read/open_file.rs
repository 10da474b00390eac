//! State that all readers of one open file share.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::codec::frame::InflateError;
use crate::error::{Damage, Error, Result};
use crate::format::Geometry;
use crate::read::cache::Cache;
use crate::storage::{Standing, Storage, too_short};

/// An open file of either format.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The path as it was given, for messages.
    pub(crate) path: PathBuf,
    /// The absolute path, which remains valid when the working directory changes, or the name of an object.
    pub(crate) location: PathBuf,
    pub(crate) storage: Box<dyn Storage>,
    /// Number of threads that compress and inflate blocks, including the calling one.
    pub(crate) threads: usize,
}

impl Opened {
    pub(crate) fn new(path: &Path, storage: Box<dyn Storage>, threads: usize) -> Self {
        let location = match storage.as_object() {
            Some(_) => path.to_owned(),
            // Fails only if the working directory has been deleted.
            None => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        };
        Self { path: path.to_owned(), location, storage, threads }
    }

    /// Returns a function that wraps the error of a system call that was to do `action` to the file.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(std::io::Error) -> Error + '_ {
        move |error| Error::io(&self.path, action, error)
    }

    /// Returns the error for damage to the file.
    pub(crate) fn corrupt(&self, damage: Damage) -> Error {
        Error::corrupt(&self.path, damage)
    }

    /// Returns the error for a system call that failed to do `action` to bytes of the file, some of which may
    /// be missing.
    pub(crate) fn unread(&self, error: std::io::Error, action: &'static str) -> Error {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            let expected = "all of what was committed: the file has been truncated";
            return self.corrupt(Damage::new(error.to_string(), expected));
        }
        self.failed(action)(error)
    }

    /// Checks that the file still has at least this many bytes.
    pub(crate) fn check_length(&self, needed: u64) -> Result<()> {
        let length = self.storage.length_for(needed).map_err(self.failed("read the length of"))?;
        if length >= needed { Ok(()) } else { Err(cut_short(self, length, needed)) }
    }

    /// Returns the attributes of the file, after checking that it has at least this many bytes.
    pub(crate) fn check_standing(&self, needed: u64) -> Result<Standing> {
        let standing = || self.storage.standing().map_err(self.failed("read the length of"));
        let found = standing()?;
        if found.length >= needed {
            return Ok(found);
        }
        self.check_length(needed)?;
        standing()
    }
}

/// State that all snapshots of one open file of version 2 share.
#[derive(Debug)]
pub(crate) struct OpenFile {
    opened: Opened,
    pub(crate) geometry: Geometry,
    pub(crate) cache: Cache,
}

impl Deref for OpenFile {
    type Target = Opened;

    #[inline]
    fn deref(&self) -> &Opened {
        &self.opened
    }
}

impl OpenFile {
    pub(crate) fn new(opened: Opened, geometry: Geometry, cache: Cache) -> Self {
        Self { opened, geometry, cache }
    }

    /// Returns the error for a frame that does not inflate.
    pub(crate) fn inflate_error(&self, error: InflateError, frame: u64) -> Error {
        match error {
            InflateError::Damage(damage) => self.corrupt(damage.at(frame)),
            InflateError::OutOfMemory(bytes) => Error::OutOfMemory { bytes, what: "an inflated block" },
            InflateError::Oversized => self.corrupt(Damage::new("too large a block", "less").at(frame)),
        }
    }

    /// Returns the error for a file that cannot be mapped.
    pub(super) fn map_error(&self, error: std::io::Error) -> Error {
        self.unread(error, "map")
    }
}

/// Returns the attributes of the file, after checking that it has the whole pages that a master node with this file
/// limit needs.
pub(crate) fn check_standing(file: &OpenFile, file_limit: u64) -> Result<Standing> {
    file.check_standing(file.geometry.whole_pages(file_limit))
}

/// Checks that the file still has the whole pages that a master node with this file limit needs.
pub(crate) fn check_length(file: &OpenFile, file_limit: u64) -> Result<()> {
    file.check_length(file.geometry.whole_pages(file_limit))
}

/// Returns the error for a file that is shorter than its last commit requires.
pub(crate) fn cut_short(file: &Opened, length: u64, needed: u64) -> Error {
    let found = too_short(length, needed).to_string();
    let expected = "all of what was committed: the file has been truncated";
    Error::corrupt(&file.path, Damage::new(found, expected))
}
