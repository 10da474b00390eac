//! What all who read one open file share.

use std::path::{Path, PathBuf};

use crate::error::{Damage, Error, Result};
use crate::format::Geometry;
use crate::format::master::MasterNode;
use crate::read::cache::Cache;
use crate::storage::{Storage, too_short};

/// What all snapshots of one open file share.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// As it was given, for messages.
    pub(crate) path: PathBuf,
    /// The same when the working folder changes.
    pub(crate) location: PathBuf,
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) geometry: Geometry,
    pub(crate) cache: Cache,
    /// On how many threads blocks are compressed and inflated, the calling one included.
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
        // Only where the working folder is gone there is no such path.
        let location = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path: path.to_owned(), location, storage, geometry, cache, threads }
    }

    /// The error for a call of the system that failed while it was to do `action` to the file.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(std::io::Error) -> Error + '_ {
        move |error| Error::io(&self.path, action, error)
    }
}

/// Checks that the file still has the whole pages that a master node counts on.
pub(crate) fn check_length(file: &OpenFile, master: &MasterNode) -> Result<()> {
    let needed = file.geometry.whole_pages(master.file_limit);
    let length = file.storage.length().map_err(file.failed("read the length of"))?;
    if length >= needed {
        return Ok(());
    }
    let found = too_short(length, needed).to_string();
    let expected = "all of what was committed: the file has been cut short";
    Err(Error::invalid(&file.path, Damage::new(found, expected)))
}
