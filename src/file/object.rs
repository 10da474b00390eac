//! Files in object stores, which are read without a download.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Damage, Error, Result};
use crate::lock;
use crate::storage::{ObjectSource, ObjectStorage};

use super::capture_file::CaptureFile;
use super::options::OpenOptions;

impl OpenOptions {
    /// Opens an object in a store for reading. `name`, by convention its URL, identifies it, also in messages.
    ///
    /// The file shows the version of the object that was current when it was opened; options for writing are
    /// ignored. One request fetches the first 256 KiB. For format 3, a second one may fetch records that are
    /// still in the log.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the object cannot be read; [`Error::Corrupt`] if it is not a capture file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use std::ops::Range;
    /// use std::sync::Arc;
    ///
    /// use capturefile::{ObjectHead, ObjectSource, OpenOptions};
    ///
    /// #[derive(Debug)]
    /// struct Nothing;
    ///
    /// impl ObjectSource for Nothing {
    ///     fn head(&self) -> io::Result<ObjectHead> {
    ///         Err(io::ErrorKind::NotFound.into())
    ///     }
    ///     fn start(&self, _: u64) -> io::Result<(ObjectHead, Vec<u8>)> {
    ///         Err(io::ErrorKind::NotFound.into())
    ///     }
    ///     fn read(&self, _: Range<u64>, _: &ObjectHead) -> io::Result<Vec<u8>> {
    ///         Err(io::ErrorKind::NotFound.into())
    ///     }
    /// }
    ///
    /// let opened = OpenOptions::new().open_object("none://log.capture", Arc::new(Nothing));
    /// assert_eq!(opened.unwrap_err().path(), Some("none://log.capture".as_ref()));
    /// ```
    pub fn open_object(&self, name: impl AsRef<Path>, source: Arc<dyn ObjectSource>) -> Result<CaptureFile> {
        lock::watch_forks();
        let name = name.as_ref();
        let storage = ObjectStorage::open(name, source).map_err(|error| Error::io(name, "open", error))?;
        self.read_storage(name, Box::new(storage))
    }
}

impl CaptureFile {
    /// Opens the current version of the object if it is not the one that this file shows. Returns `None` if
    /// it is, and for files that are not in a store.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if the object is not a later state of the same file, and what
    /// [`open_object`](OpenOptions::open_object) returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(log.newer_version(&capturefile::OpenOptions::new())?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn newer_version(&self, options: &OpenOptions) -> Result<Option<Self>> {
        let Some(known) = self.file.storage.as_object() else {
            return Ok(None);
        };
        let failed = self.file.failed("look for a newer version of");
        let Some(storage) = known.newer(&self.file.path).map_err(failed)? else {
            return Ok(None);
        };
        let newer = options.read_storage(&self.file.path, Box::new(storage))?;
        self.check_successor(&newer)?;
        Ok(Some(newer))
    }

    /// Checks that `newer` shows a later state of the same file, as far as the data in memory can tell.
    fn check_successor(&self, newer: &Self) -> Result<()> {
        let (before, after) = (self.snapshot()?, newer.snapshot()?);
        let (count, now) = (before.record_count(), after.record_count());
        let mut is_same = now >= count && self.file.begins_like(&before, &newer.file);
        if is_same
            && count > 0
            && let Some(last) = before.record_cached(count)?.found()
        {
            is_same = *last == *after.record(count)?;
        }
        if is_same {
            return Ok(());
        }
        let found = format!("another file with {now} records");
        let expected = format!(
            "a later state of the file with {count} records; open it again to read its current content"
        );
        Err(Error::corrupt(&self.file.path, Damage::new(found, expected)))
    }
}
