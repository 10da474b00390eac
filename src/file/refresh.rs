//! Refreshing the state with commits of others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::either::snapshot::Snapshot;
use crate::error::Result;
use crate::storage::identity_at;

use super::capture_file::CaptureFile;
use super::role::Role;

impl CaptureFile {
    /// Moves on to the last commit; returns whether there are more records or different metadata. With
    /// `durable`, the visible state is synced to the disk, so that a power cut cannot roll it back. A writer
    /// has nothing to refresh.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if no commit can be read, or the file has been truncated or
    /// set back to an older commit; [`Error::Io`](crate::Error::Io) if it cannot be read, or not synced with
    /// `durable`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let reader = capturefile::CaptureFile::open(&path)?;
    /// log.add_record(b"one")?;
    /// assert!(!reader.refresh(false)?);
    /// log.commit()?;
    /// assert!(reader.refresh(false)?);
    /// assert_eq!(reader.record_count()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn refresh(&self, durable: bool) -> Result<bool> {
        let Role::Reader(seen) = &self.role else {
            return Ok(false);
        };
        let (held, _) = self.published.load();
        let Some(look) = self.file.refreshed(&held, &seen.load(), durable)? else {
            return Ok(false);
        };
        let fresh = Arc::new(look.snapshot);
        if !look.is_news && !fresh.is_newer_than(&held) {
            seen.store(Arc::new(look.seen));
            return Ok(false);
        }
        // `seen` must never be newer than the snapshot, so it is cleared first and set last.
        seen.store(Arc::new(None));
        let is_newer =
            |fresh: &Snapshot, current: &Snapshot| look.is_rolled_back || fresh.is_newer_than(current);
        if self.published.publish_if_newer(&fresh, is_newer) {
            seen.store(Arc::new(look.seen));
        }
        Ok(look.is_news)
    }

    /// Waits for a commit that is newer than this reader's snapshot, at most for `timeout`; may return
    /// sooner. Not every commit ends the wait: one that closely follows another does not, nor does one by
    /// another library.
    pub(super) fn wait_for_commit(&self, timeout: Duration) {
        match &self.role {
            Role::Reader(seen) => {
                let seen = **seen.load();
                self.file.wait_for_commit(&self.published.load_guard().0, &seen, timeout);
            }
            Role::Writer(_) => std::thread::sleep(timeout),
        }
    }

    /// Creates an object that reads the same open file, and refreshes independently.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if its last commit is damaged, and
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
    /// assert_eq!((log.record_count()?, log.reader()?.record_count()?), (1, 0));
    /// # Ok(()) }
    /// ```
    pub fn reader(&self) -> Result<Self> {
        Self::new_reader(Arc::clone(&self.file))
    }

    /// Checks that the file has not been truncated since it was last read.
    pub(super) fn check_length(&self) -> Result<()> {
        self.published.load_guard().0.check_length()
    }

    /// Returns whether the path that the file was opened with still leads to it: it has not been renamed, removed or
    /// replaced.
    ///
    /// A path that the system does not permit to examine is assumed to lead to the file, and so is the name
    /// of an object in a store.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the file has been truncated, and
    /// [`Error::Io`](crate::Error::Io) if the path cannot be examined.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(log.is_in_place()?);
    /// std::fs::rename(&path, folder.path().join("log.capture.1")).unwrap();
    /// assert!(!log.is_in_place()?);
    /// # Ok(()) }
    /// ```
    pub fn is_in_place(&self) -> Result<bool> {
        if self.file.storage.as_object().is_some() {
            return Ok(true);
        }
        let named = match identity_at(&self.file.location) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.check_length()?;
                return Ok(true);
            }
            Err(error) => return Err(self.file.failed("look for")(error)),
        };
        let standing = self.published.load_guard().0.check_standing()?;
        Ok(standing.identity.is_none_or(|open| named.is_some_and(|named| named.is_same_file(open))))
    }
}
