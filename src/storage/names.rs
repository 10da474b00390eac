//! File names: opening files, following links, and moving new files into place.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::{NamedTempFile, TempPath};

use crate::error::{Damage, Error, Result};
use crate::lock::FileIdentity;

/// Maximum number of links, as in the system.
const MAX_LINKS: u32 = 40;
const PERMISSIONS: u32 = 0o777;
/// Less the process's umask.
pub(crate) const NEW_FILE_MODE: u32 = 0o666;

/// How to treat an existing file at the target of a new one.
pub(crate) enum Existing {
    Keep,
    /// Replace it; the new file takes over its owner and mode.
    Replace(fs::Metadata),
}

/// Creates an empty file in `folder` under a unique name, which is deleted unless it is moved into place.
/// It has the owner and mode of the file that it replaces, or else the mode that the umask permits.
///
/// The standard library opens it, because its errors include the system's error number.
pub(crate) fn temporary_file(folder: &Path, existing: &Existing) -> io::Result<NamedTempFile<File>> {
    // Until the file has its owner, no other user can read it.
    let mode = if let Existing::Replace(_) = existing { 0o600 } else { NEW_FILE_MODE };
    let create = |path: &Path| create(path, mode);
    let file = tempfile::Builder::new().prefix(".new-").suffix(".capture.tmp").make_in(folder, create)?;
    if let Existing::Replace(replaced) = existing {
        take_over(file.as_file(), replaced)?;
    }
    Ok(file)
}

/// Gives `file` the owner and mode of another one. If the group cannot be kept, its permissions are reduced
/// to those of other users, since they would apply to a different group.
fn take_over(file: &File, replaced: &Metadata) -> io::Result<()> {
    let mut mode = replaced.mode() & PERMISSIONS;
    let new = file.metadata()?;
    if new.uid() != replaced.uid() {
        // Only root can; files of other users keep their owner.
        let _ = fchown(file, Some(replaced.uid()), None);
    }
    if new.gid() != replaced.gid() && fchown(file, None, Some(replaced.gid())).is_err() {
        mode = mode & !0o070 | (mode & 0o007) << 3;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

pub(crate) fn move_into_place(temporary: TempPath, target: &Path, existing: &Existing) -> io::Result<()> {
    let moved = match existing {
        Existing::Keep => temporary.persist_noclobber(target),
        Existing::Replace(_) => temporary.persist(target),
    };
    moved.map_err(|error| error.error)
}

/// Opens a regular file and returns its attributes; anything else is an error at once, even if opening it would
/// block.
pub(crate) fn open_plain(path: &Path, write: bool) -> Result<(File, Metadata)> {
    let failed = |error| Error::io(path, "open", error);
    let file = open(path, write).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !kind.is_file() {
        let damage = Damage::new("a device, pipe or socket", "a regular file");
        return Err(Error::corrupt(path, damage));
    }
    Ok((file, metadata))
}

/// Follows symbolic links, even dangling ones, so that files are created and replaced at the target and the
/// link remains. A link to an open file, as in `/proc/self/fd`, is followed only while the file has the
/// name that the link shows.
pub(crate) fn resolve_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path).map(|link| parent(&path).join(link)) {
            Ok(named) if !leads_elsewhere(&path, &named) => path = named,
            _ => return Ok(path),
        }
    }
    Err(Error::io(&path, "open", io::Error::from_raw_os_error(libc::ELOOP)))
}

/// Follows symbolic links to the place of a file that is to be replaced, which has to be one in a folder.
pub(crate) fn resolve_to_replace(path: &Path) -> Result<PathBuf> {
    let target = resolve_links(path)?;
    if fs::symlink_metadata(&target).is_ok_and(|found| found.is_symlink()) {
        let error = io::Error::new(io::ErrorKind::Unsupported, "it is an open file that has no name");
        return Err(Error::io(path, "replace", error));
    }
    Ok(target)
}

pub(crate) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path, "open", error))
}

/// Which file `path` leads to; `None` where there is none.
pub(crate) fn identity_at(path: &Path) -> io::Result<Option<FileIdentity>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(FileIdentity::of(&metadata))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether `named`, the target that a link shows, is not a name of the file that it leads to.
fn leads_elsewhere(link: &Path, named: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|metadata| FileIdentity::of(&metadata));
    identity(link).is_ok_and(|there| !identity(named).is_ok_and(|here| here.is_same_file(there)))
}

/// Whether an error of a rename means that the file system cannot rename without replacing an existing
/// file.
pub(crate) fn cannot_be_exclusive(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EINVAL | libc::ENOTSUP | libc::ENOSYS | libc::EMLINK)
    )
}

pub(crate) fn already_exists(path: &Path) -> Error {
    Error::io(path, "create", io::Error::from_raw_os_error(libc::EEXIST))
}

pub(crate) fn keeps_changing(path: &Path) -> Error {
    let error = io::Error::other("the file keeps being replaced by somebody else");
    Error::io(path, "open", error)
}

/// Makes a new file where there is none.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    open_as(fs::OpenOptions::new().read(true).write(true).create_new(true).mode(mode), path)
}

/// Opens a file. All files are opened here: if the descriptor of a standard stream were free, the file
/// would get it, and any output to that stream would be written into the file.
fn open_as(options: &fs::OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path)?;
    if file.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(file);
    }
    // The copy gets a descriptor above those of the standard streams.
    file.try_clone()
}

/// The folder that a file is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the name `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    sync_names(parent(path))
}

/// Syncs a file, or the names in a folder, to the disk.
///
/// # Errors
///
/// What opening and syncing it raise, but for file systems that cannot sync a folder.
///
/// # Examples
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// std::fs::write(&path, "to be kept").unwrap();
/// capturefile::sync_path(&path)?;
/// capturefile::sync_path(folder.path())?;
/// # Ok(()) }
/// ```
pub fn sync_path(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let synced =
        if path.is_dir() { sync_names(path) } else { open(path, false).and_then(|file| file.sync_all()) };
    synced.map_err(|error| Error::io(path, "sync", error))
}

fn sync_names(folder: &Path) -> io::Result<()> {
    match open(folder, false).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, and say so in these ways.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP)) => Ok(()),
        // A folder that may be written but not read cannot be synced; syncing the file has to suffice.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Opens `path` without waiting for the other end of a pipe.
pub(crate) fn open(path: &Path, write: bool) -> io::Result<File> {
    open_as(fs::OpenOptions::new().read(true).write(write).custom_flags(libc::O_NONBLOCK), path)
}
