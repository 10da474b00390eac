//! Atomically creates a file, or replaces an existing one.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::lock::{self, WriterLock};
use crate::storage::{
    Existing, already_exists, errno, exists, keeps_changing, move_into_place, parent, resolve_to_replace,
    sync_at, sync_folder, temporary_file,
};
use crate::sync::forks::forks;

use super::options::OpenOptions;

const MAX_ATTEMPTS: u32 = 100;

/// A temporary file that takes its final name once it is complete.
///
/// A file that it replaces is unchanged until then. While the replacement lives, no other writer can write
/// or replace that file, so that no commit to it is lost. The new file has its mode and owner; without an
/// old file, it has the mode that the umask permits. Dropped before [`finish`](Self::finish), it leaves no
/// trace.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("state.json");
/// let new = capturefile::Replacement::new(&path, true)?;
/// std::fs::write(new.temporary(), "{}").unwrap();
/// new.finish(true)?;
/// # assert_eq!(std::fs::read(path).unwrap(), b"{}");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    /// Where `path` leads, through symbolic links.
    target: PathBuf,
    overwrite: bool,
    /// The right to write the file that is replaced; `None` if there is none.
    lock: Option<WriterLock>,
    temporary: Option<TempPath>,
    forks: u64,
}

impl Replacement {
    /// Creates an empty file next to `path`, which must not exist or, with `overwrite`, must be a regular
    /// file that is not being written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be created, or exists and is not to be overwritten; [`Error::Locked`]
    /// if the file to be replaced is being written.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// std::fs::write(&path, "here").unwrap();
    /// assert!(capturefile::Replacement::new(&path, false).is_err());
    /// assert!(capturefile::Replacement::new(&path, true).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn new(path: impl AsRef<Path>, overwrite: bool) -> Result<Self> {
        lock::watch_forks();
        let path = path.as_ref();
        let failed = |error| Error::io(path, "create", error);
        for _ in 0..MAX_ATTEMPTS {
            let target = resolve_to_replace(path)?;
            let (lock, existing) = if !exists(&target)? {
                (None, Existing::Keep)
            } else if !overwrite {
                return Err(already_exists(path));
            } else if let Some(old) = OpenOptions::new().lock_to_replace(path, &target)? {
                (Some(old.right), Existing::Replace(old.attributes.metadata))
            } else {
                continue;
            };
            let temporary = temporary_file(parent(&target), &existing).map_err(failed)?;
            let temporary = Some(temporary.into_temp_path());
            return Ok(Self { path: path.to_owned(), target, overwrite, lock, temporary, forks: forks() });
        }
        Err(keeps_changing(path))
    }

    /// Returns the name that the file has until it is finished.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let new = capturefile::Replacement::new(&path, false)?;
    /// assert_eq!(new.temporary().parent(), path.parent());
    /// assert!(!path.exists());
    /// # Ok(()) }
    /// ```
    pub fn temporary(&self) -> &Path {
        self.temporary.as_deref().unwrap_or(&self.target)
    }

    /// Moves the file to its final name. With `sync`, both are on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be synced or moved, or a file that is not to be overwritten has
    /// appeared; [`Error::Locked`] if another file has appeared in the meantime and is being written.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let new = capturefile::Replacement::new(&path, false)?;
    /// std::fs::write(new.temporary(), "whole").unwrap();
    /// new.finish(true)?;
    /// assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    /// # Ok(()) }
    /// ```
    pub fn finish(mut self, sync: bool) -> Result<()> {
        let path = self.path.clone();
        let failed = |error| Error::io(&path, "create", error);
        let Some(mut temporary) = self.temporary.take() else {
            return Ok(());
        };
        if sync {
            sync_at(&temporary).map_err(failed)?;
        }
        for _ in 0..MAX_ATTEMPTS {
            match move_into_place(temporary, &self.target, self.lock.is_some()) {
                Ok(()) if sync => return sync_folder(&self.target).map_err(failed),
                Ok(()) => return Ok(()),
                Err(error) if self.overwrite && error.error.kind() == io::ErrorKind::AlreadyExists => {
                    // Another process has created a file there meanwhile.
                    temporary = error.path;
                    let old = OpenOptions::new().lock_to_replace(&path, &self.target)?;
                    self.lock = old.map(|old| old.right);
                }
                Err(error) if self.lock.is_none() && errno::cannot_be_exclusive(&error.error) => {
                    temporary = error.path;
                    self.lock = Some(OpenOptions::new().claim(&path, &self.target)?.right);
                }
                Err(error) if self.lock.is_some() && errno::is_in_use(&error.error) => {
                    return Err(Error::InUse { path, source: error.error });
                }
                Err(error) => return Err(failed(error.error)),
            }
        }
        Err(keeps_changing(&path))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // In a forked child, the temporary file belongs to the parent.
        if self.forks != forks()
            && let Some(temporary) = self.temporary.take()
        {
            let _ = temporary.keep();
        }
    }
}
