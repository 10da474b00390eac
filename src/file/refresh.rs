//! Refreshing the state with commits of others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Damage, Result};
use crate::format::{Slot, image_index};
use crate::read::current;
use crate::read::open_file::{check_length, check_standing};
use crate::read::snapshot::Snapshot;
use crate::storage::identity_at;

use super::capture_file::CaptureFile;
use super::role::Role;

impl CaptureFile {
    /// Looks at what has been committed since the last look; returns whether there are more records or
    /// other metadata. With `durable`, the visible state is synced to the disk, so that a power cut cannot
    /// roll it back. A writer has nothing to refresh.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if no commit can be read, or the file has been cut short or has gone
    /// back to an older commit; [`Error::Io`](crate::Error::Io) if it cannot be read, or synced where that is asked
    /// for.
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
        let Role::Reader(stamps) = &self.role else {
            return Ok(false);
        };
        let (held, _) = self.published.load();
        let now = current::read_stamps(&*self.file.storage, &self.file.geometry)
            .map_err(self.file.failed("read the master nodes of"))?;
        let unchanged = now.is_some() && now == **stamps.load();
        if unchanged && !durable {
            return Ok(false);
        }
        let current = current::read_current(&self.file, |master| {
            if !master.extent().is_before(held.extent()) {
                return Ok(());
            }
            let found = "a commit that is older than the one read before";
            Err(Damage::new(found, "a file that only grows"))
        })?;
        check_length(&self.file, current.master.file_limit)?;
        if durable {
            self.file.storage.sync().map_err(self.file.failed("sync"))?;
        }
        let fresh = Arc::new(Snapshot::committed(Arc::clone(&self.file), current.master));
        if fresh.shows_the_same_as(&held) {
            stamps.store(Arc::new(current.stamps));
            return Ok(false);
        }
        // The stamps must never be newer than the snapshot, so they are cleared first and set last.
        stamps.store(Arc::new(None));
        if self.published.publish_if_newer(&fresh, Snapshot::is_newer_than) {
            stamps.store(Arc::new(current.stamps));
        }
        Ok(true)
    }

    /// Waits for a commit that is newer than what this reading object shows, for `most` at most; it may return
    /// sooner. Not every commit ends it: not one that soon follows another, nor one by another library.
    pub(super) fn wait_for_commit(&self, most: Duration) {
        let stamps = match &self.role {
            Role::Reader(stamps) => **stamps.load(),
            Role::Writer(_) => None,
        };
        let Some(stamps) = stamps else {
            return std::thread::sleep(most);
        };
        let next = self.published.load_guard().0.serial_number().wrapping_add(1);
        let [a, b, c, d, ..] = stamps[image_index(next)];
        let position = self.file.geometry.slot_position(Slot::of_serial(next));
        self.file.storage.wait_for_change(position, [a, b, c, d], most);
    }

    /// Creates an object that reads the same open file, and refreshes independently.
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
    /// log.add_record(b"one")?;
    /// assert_eq!((log.record_count()?, log.reader()?.record_count()?), (1, 0));
    /// # Ok(()) }
    /// ```
    pub fn reader(&self) -> Result<Self> {
        let current = current::read_current(&self.file, |_| Ok(()))?;
        Self::new_reader(Arc::clone(&self.file), current)
    }

    /// Checks that the file has not been truncated since it was last read.
    pub(super) fn check_length(&self) -> Result<()> {
        self.published.load_guard().0.check_length()
    }

    /// Checks that the file has not been cut short, and returns whether another file, or none, has the name that this
    /// one was opened with. Where the system does not say what has it, that is no reason to think so.
    pub(super) fn check_place(&self) -> Result<bool> {
        let named = match identity_at(&self.file.location) {
            Ok(named) => Some(named),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) => return Err(self.file.failed("look for")(error)),
        };
        let standing = check_standing(&self.file, self.published.load_guard().0.file_limit())?;
        let (Some(named), Some(open)) = (named, standing.identity) else {
            return Ok(false);
        };
        Ok(!named.is_some_and(|named| named.is_same_file(open)))
    }
}
