//! State that all readers of one open file share.

use std::path::{Path, PathBuf};

use crate::codec::frame::InflateError;
use crate::error::{Damage, Error, Result};
use crate::format::Geometry;
use crate::read::cache::Cache;
use crate::storage::{Standing, Storage, too_short};

/// State that all snapshots of one open file share.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// The path as it was given, for messages.
    pub(crate) path: PathBuf,
    /// The absolute path, which remains valid when the working directory changes.
    pub(crate) location: PathBuf,
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) geometry: Geometry,
    pub(crate) cache: Cache,
    /// Number of threads that compress and inflate blocks, including the calling one.
    pub(crate) threads: usize,
}

impl OpenFile {
    pub(crate) fn new(
        path: &Path,
        storage: Box<dyn Storage>,
        geometry: Geometry,
        cache: Cache,
        threads: usize,
    ) -> Self {
        // Fails only if the working directory has been deleted.
        let location = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path: path.to_owned(), location, storage, geometry, cache, threads }
    }

    /// The error for a call of the system that failed while it was to do `action` to the file.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(std::io::Error) -> Error + '_ {
        move |error| Error::io(&self.path, action, error)
    }

    /// The error for damage to the file.
    pub(crate) fn invalid(&self, damage: Damage) -> Error {
        Error::corrupt(&self.path, damage)
    }

    /// The error for a frame that does not inflate.
    pub(crate) fn inflate_error(&self, error: InflateError, frame: u64) -> Error {
        match error {
            InflateError::Damage(damage) => self.invalid(damage.at(frame)),
            InflateError::OutOfMemory(bytes) => Error::OutOfMemory { bytes, what: "an inflated block" },
            InflateError::Oversized => self.invalid(Damage::new("too large a block", "less").at(frame)),
        }
    }

    /// The error for a file that cannot be mapped.
    pub(super) fn map_error(&self, error: std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            let expected = "all of what was committed: the file has been cut short";
            return self.invalid(Damage::new(error.to_string(), expected));
        }
        self.failed("map")(error)
    }
}

/// Checks that the file still has the whole pages that a master node with this file limit needs.
pub(crate) fn check_length(file: &OpenFile, file_limit: u64) -> Result<()> {
    let needed = file.geometry.whole_pages(file_limit);
    let length = file.storage.length_for(needed).map_err(file.failed("read the length of"))?;
    if length >= needed { Ok(()) } else { Err(cut_short(file, length, needed)) }
}

/// Returns the attributes of the file, after checking that it has the whole pages that a master node with
/// this file limit needs.
pub(crate) fn check_standing(file: &OpenFile, file_limit: u64) -> Result<Standing> {
    let standing = || file.storage.standing().map_err(file.failed("read the length of"));
    let found = standing()?;
    if found.length >= file.geometry.whole_pages(file_limit) {
        return Ok(found);
    }
    check_length(file, file_limit)?;
    standing()
}

/// The error for a file that does not have all of what was committed.
pub(crate) fn cut_short(file: &OpenFile, length: u64, needed: u64) -> Error {
    let found = too_short(length, needed).to_string();
    let expected = "all of what was committed: the file has been cut short";
    Error::corrupt(&file.path, Damage::new(found, expected))
}
