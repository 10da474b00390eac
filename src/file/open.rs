//! Opening, creating and replacing files, with the right to write them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::lock::{self, Attributes, Refusal, WriteRight, WriterLock};
use crate::read::open_file::Opened;
use crate::storage::{
    self, Existing, FileStorage, Storage, already_exists, errno, exists, keeps_changing, move_into_place,
    open_plain, parent, resolve_links, resolve_to_replace, temporary_file,
};
use crate::write::options::{Making, SyncMode};

use super::capture_file::CaptureFile;
use super::options::OpenOptions;

/// Maximum number of attempts if the file is replaced while it is opened.
const MAX_ATTEMPTS: u32 = 100;

impl OpenOptions {
    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened or created; [`Error::Corrupt`] if it is not a capture file,
    /// or none of its commits can be read; [`Error::InvalidOption`] for invalid sizes or compression;
    /// [`Error::Locked`] if it is to be opened for writing and another writer has it open;
    /// [`Error::LockUnavailable`] if the file system has no locks.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.record_count()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<CaptureFile> {
        lock::watch_forks();
        let path = path.as_ref();
        if self.replace {
            self.settings.check()?;
            let writer = self.replace_file(path)?;
            return if self.write { Ok(writer) } else { self.open_reader(path) };
        }
        if self.write || self.create_new {
            self.settings.check()?;
            return self.open_writer(path);
        }
        self.open_reader(path)
    }

    fn open_reader(&self, path: &Path) -> Result<CaptureFile> {
        self.read_storage(path, Box::new(FileStorage::new(open_plain(path, false)?.0)))
    }

    /// Opens the content of `storage` for reading; `path` is for messages.
    pub(crate) fn read_storage(&self, path: &Path, storage: Box<dyn Storage>) -> Result<CaptureFile> {
        let (file, header) = self.settings.attach(self.opened(path, storage))?;
        let file = CaptureFile::new_reader(Arc::new(file))?;
        header.confirm(&*file.snapshot()?)?;
        Ok(file)
    }

    fn opened(&self, path: &Path, storage: Box<dyn Storage>) -> Opened {
        Opened::new(path, storage, self.thread_count())
    }

    /// Opens the content of `storage`, the file `target`, for writing; the caller holds the right to write it.
    pub(crate) fn write_storage(
        &self,
        path: &Path,
        target: &Path,
        storage: Box<dyn Storage>,
        right: Box<dyn WriteRight>,
    ) -> Result<CaptureFile> {
        if self.settings.sync != SyncMode::None {
            // The program that created the file may not have synced it.
            storage.sync_folder(target).map_err(|error| Error::io(parent(target), "sync", error))?;
        }
        let (file, header) = self.settings.attach(self.opened(path, storage))?;
        let writer = self.settings.write(&file, right)?;
        let file = CaptureFile::new_writer(file, writer)?;
        header.confirm(&*file.snapshot()?)?;
        Ok(file)
    }

    /// Creates a new file in the empty `storage`, which is invisible to others until `move_in` gives it the
    /// name `target`.
    pub(crate) fn create_storage(
        &self,
        path: &Path,
        target: &Path,
        storage: Box<dyn Storage>,
        right: Box<dyn WriteRight>,
        move_in: impl FnOnce() -> io::Result<()>,
    ) -> Result<CaptureFile> {
        // Locked before the file becomes visible, so that no other writer can open it in between.
        let file = self.make(path, storage, right, Making::Hidden)?;
        move_in().map_err(|error| Error::io(path, "create", error))?;
        self.sync_new_name(&file, target)?;
        Ok(file)
    }

    fn sync_new_name(&self, file: &CaptureFile, target: &Path) -> Result<()> {
        if self.settings.sync == SyncMode::None {
            return Ok(());
        }
        file.sync_name(target).map_err(|error| Error::io(parent(target), "sync", error))
    }

    /// Creates a new file in the empty `storage`, which is, or will be, the file `path`.
    fn make(
        &self,
        path: &Path,
        storage: Box<dyn Storage>,
        right: Box<dyn WriteRight>,
        making: Making,
    ) -> Result<CaptureFile> {
        let metadata = self.initial_metadata.as_deref();
        let (file, writer) = self.settings.make(self.opened(path, storage), right, metadata, making)?;
        CaptureFile::new_writer(file, writer)
    }

    fn open_writer(&self, path: &Path) -> Result<CaptureFile> {
        for _ in 0..MAX_ATTEMPTS {
            let target = resolve_links(path)?;
            if !self.create_new
                && let Some(file) = self.open_existing(path, &target)?
            {
                return Ok(file);
            }
            if exists(&target)? {
                if self.create_new {
                    return Err(already_exists(path));
                }
                continue;
            }
            if !self.create {
                return Err(does_not_exist(path));
            }
            match self.create_file(path, &target, &Existing::Keep) {
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists && !self.create_new => {}
                done => return done,
            }
        }
        Err(keeps_changing(path))
    }

    /// Opens an existing file for writing; `None` if there is none, or it has just been replaced.
    fn open_existing(&self, path: &Path, target: &Path) -> Result<Option<CaptureFile>> {
        let Some(Locked { file, attributes, right }) = self.lock_existing(path, target)? else {
            return Ok(None);
        };
        let storage = Box::new(FileStorage::new(file));
        self.open_or_make_storage(path, target, storage, attributes.metadata.len(), Box::new(right)).map(Some)
    }

    /// Opens the file in `storage`, which is called `target` and has `length` bytes, for writing. Creates a
    /// capture file in it if it is empty, or its creation was interrupted.
    pub(crate) fn open_or_make_storage(
        &self,
        path: &Path,
        target: &Path,
        storage: Box<dyn Storage>,
        length: u64,
        right: Box<dyn WriteRight>,
    ) -> Result<CaptureFile> {
        let failed = |error| Error::io(path, "read", error);
        if !self.create || !self.settings.is_unmade(&*storage, length).map_err(failed)? {
            return self.write_storage(path, target, storage, right);
        }
        let file = self.make(path, storage, right, Making::InPlace)?;
        self.sync_new_name(&file, target)?;
        Ok(file)
    }

    /// Opens a file and takes the right to write it; `None` if there is none, or it has just been replaced.
    fn lock_existing(&self, path: &Path, target: &Path) -> Result<Option<Locked>> {
        let (file, opened) = match open_plain(target, true) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let opened = opened.identity;
        let right = self.take_lock(path, || open_plain(target, true))?;
        let attributes = match Attributes::at(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| Error::io(path, "open", error))?,
        };
        let is_same = right.identity().is_same_file(opened) && attributes.identity.is_same_file(opened);
        Ok(is_same.then_some(Locked { file, attributes, right }))
    }

    /// Takes the right to write the file `target` in order to replace it; `None` if it was replaced
    /// meanwhile. If the file system has no locks, only writers of this process are excluded.
    pub(super) fn lock_to_replace(mut self, path: &Path, target: &Path) -> Result<Option<Locked>> {
        match self.lock_existing(path, target) {
            Err(Error::LockUnavailable { .. }) => {
                self.os_lock = false;
                self.lock_existing(path, target)
            }
            done => done,
        }
    }

    /// Creates an empty file at the free name `target` and takes the right to write it, so that another
    /// file can replace it. Only for file systems that cannot rename a file to a free name without the risk
    /// of replacing one.
    pub(super) fn claim(self, path: &Path, target: &Path) -> Result<Locked> {
        storage::create(target).map_err(|error| Error::io(path, "create", error))?;
        let claimed = self.lock_to_replace(path, target)?.ok_or_else(|| keeps_changing(path))?;
        if claimed.attributes.metadata.len() == 0 { Ok(claimed) } else { Err(already_exists(path)) }
    }

    /// Turns the empty file `temporary`, which will be renamed to `path`, into a capture file.
    pub(crate) fn create_unnamed(&self, path: &Path, temporary: &Path) -> Result<CaptureFile> {
        self.settings.check()?;
        let reopen = || open_plain(temporary, true);
        let lock = self.take_lock(path, reopen)?;
        let storage = Box::new(FileStorage::new(reopen()?.0));
        self.make(path, storage, Box::new(lock), Making::Hidden)
    }

    fn take_lock(
        &self,
        path: &Path,
        open: impl FnOnce() -> Result<(File, Attributes)>,
    ) -> Result<WriterLock> {
        WriterLock::take(open, self.os_lock).map_err(|refusal| {
            let path = path.to_owned();
            match refusal {
                Refusal::Held(by) => Error::Locked { path, by },
                Refusal::Unavailable(source) => Error::LockUnavailable { path, source },
                Refusal::NotOpened(error) => error,
            }
        })
    }

    fn replace_file(&self, path: &Path) -> Result<CaptureFile> {
        for _ in 0..MAX_ATTEMPTS {
            let target = resolve_to_replace(path)?;
            let missing = !exists(&target)?;
            if missing && !self.create {
                return Err(does_not_exist(path));
            }
            if missing {
                match self.create_file(path, &target, &Existing::Keep) {
                    Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                    done => return done,
                }
            } else if let Some(old) = self.lock_existing(path, &target)? {
                let new = self.create_file(path, &target, &Existing::Replace(old.attributes.metadata));
                drop(old.right);
                return new;
            }
        }
        Err(keeps_changing(path))
    }

    /// Creates a complete new file next to `target` and moves it there.
    fn create_file(&self, path: &Path, target: &Path, existing: &Existing) -> Result<CaptureFile> {
        let (file, temporary) = temporary_file(parent(target), existing)
            .map_err(|error| Error::io(path, "create", error))?
            .into_parts();
        let lock = self.take_lock(path, || open_plain(&temporary, true))?;
        let storage = Box::new(FileStorage::new(file));
        let (mut is_impossible, mut is_in_use) = (false, false);
        let replace = matches!(existing, Existing::Replace(_));
        // Deleted once it is closed; on Windows, it cannot be deleted before.
        let mut unmoved = None;
        let move_in = || {
            move_into_place(temporary, target, replace).map_err(|failed| {
                is_impossible = !replace && errno::cannot_be_exclusive(&failed.error);
                is_in_use = replace && errno::is_in_use(&failed.error);
                unmoved = Some(failed.path);
                failed.error
            })
        };
        match self.create_storage(path, target, storage, Box::new(lock), move_in) {
            Err(Error::Io { path, source, .. }) if is_in_use => Err(Error::InUse { path, source }),
            Err(_) if is_impossible => {
                let claimed = self.clone().claim(path, target)?;
                let new = self.create_file(path, target, &Existing::Replace(claimed.attributes.metadata));
                drop(claimed.right);
                new
            }
            done => done,
        }
    }
}

/// A file with the right to write it.
pub(super) struct Locked {
    file: File,
    /// Its attributes once the right was taken.
    pub(super) attributes: Attributes,
    pub(super) right: WriterLock,
}

fn does_not_exist(path: &Path) -> Error {
    Error::io(path, "open", io::Error::from_raw_os_error(errno::NOT_FOUND))
}

impl CaptureFile {
    /// Opens an existing file for reading; use [`OpenOptions`] for everything else.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened; [`Error::Corrupt`] if it is not a capture file, or none of
    /// its commits can be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::{CaptureFile, OpenOptions};
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// assert!(CaptureFile::open(&path).is_err());
    /// OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(CaptureFile::open(&path)?.record_count()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }
}
