//! File names: opening files, following links, and moving new files into place.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PathPersistError, TempPath};

use crate::error::{Damage, Error, Result};
use crate::lock::{Attributes, FileIdentity};
use crate::storage::{errno, system};

/// Maximum number of links, as in the system.
const MAX_LINKS: u32 = 40;

/// How to treat an existing file at the target of a new one.
pub(crate) enum Existing {
    Keep,
    /// Replace it; the new file takes over its owner and mode.
    Replace(Metadata),
}

/// Creates an empty file in `folder` under a unique name, which is deleted unless it is moved into place.
/// It has the owner and mode of the file that it replaces, or else the mode that the umask permits.
///
/// The standard library opens it, because its errors include the system's error number.
pub(crate) fn temporary_file(folder: &Path, existing: &Existing) -> io::Result<NamedTempFile<File>> {
    // Until the file has its owner, no other user can read it.
    let create = if let Existing::Replace(_) = existing { system::create_private } else { system::create };
    let create = |path: &Path| create(path);
    let file = tempfile::Builder::new().prefix(".new-").suffix(".capture.tmp").make_in(folder, create)?;
    if let Existing::Replace(replaced) = existing {
        system::take_over(file.as_file(), replaced)?;
    }
    Ok(file)
}

/// Moves a new file to its place.
pub(crate) fn move_into_place(
    temporary: TempPath,
    target: &Path,
    replace: bool,
) -> std::result::Result<(), PathPersistError> {
    if replace { system::replace(temporary, target) } else { system::move_to_new_place(temporary, target) }
}

/// Opens a regular file and returns its attributes; anything else is an error, without waiting even if
/// opening it would block.
pub(crate) fn open_plain(path: &Path, write: bool) -> Result<(File, Attributes)> {
    let failed = |error| Error::io(path, "open", error);
    let file = system::open(path, write).map_err(failed)?;
    let device = || Error::corrupt(path, Damage::new("a device, pipe or socket", "a regular file"));
    if system::is_device(&file) {
        return Err(device());
    }
    let attributes = Attributes::of_file(&file).map_err(failed)?;
    let kind = attributes.metadata.file_type();
    if kind.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(errno::IS_FOLDER)));
    }
    if kind.is_file() { Ok((file, attributes)) } else { Err(device()) }
}

/// Follows symbolic links, even dangling ones, so that files are created and replaced at the target and the
/// link remains. A link to an open file, as in `/proc/self/fd`, is followed only while the file has the
/// name that the link shows.
pub(crate) fn resolve_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path).map(|link| parent(&path).join(link)) {
            Ok(named) if !leads_elsewhere(&path, &named) => path = named,
            _ => return Ok(system::usable(path)),
        }
    }
    Err(Error::io(&path, "open", io::Error::from_raw_os_error(errno::LINKS_IN_A_CIRCLE)))
}

/// Follows symbolic links to the file to be replaced, which must have a name in a folder.
pub(crate) fn resolve_to_replace(path: &Path) -> Result<PathBuf> {
    let target = resolve_links(path)?;
    if fs::symlink_metadata(&target).is_ok_and(|found| found.is_symlink()) {
        let error = io::Error::new(io::ErrorKind::Unsupported, "it is an open file without a name");
        return Err(Error::io(path, "replace", error));
    }
    Ok(target)
}

pub(crate) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path, "open", error))
}

/// Returns the identity of the file that `path` leads to; `None` if there is none.
pub(crate) fn identity_at(path: &Path) -> io::Result<Option<FileIdentity>> {
    match Attributes::at(path) {
        Ok(attributes) => Ok(Some(attributes.identity)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns whether `named`, the target that a link shows, is not a name of the file that it leads to.
fn leads_elsewhere(link: &Path, named: &Path) -> bool {
    let identity = |path| Attributes::at(path).map(|attributes| attributes.identity);
    identity(link).is_ok_and(|there| !identity(named).is_ok_and(|here| here.is_same_file(there)))
}

pub(crate) fn already_exists(path: &Path) -> Error {
    Error::io(path, "create", io::Error::from_raw_os_error(errno::EXISTS))
}

pub(crate) fn keeps_changing(path: &Path) -> Error {
    let error = io::Error::other("another process keeps replacing the file");
    Error::io(path, "open", error)
}

/// Returns the folder of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the name `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // On Windows, the file system keeps a journal of names, which syncing a file flushes.
    if cfg!(windows) { system::sync_at(path) } else { system::sync_names(parent(path)) }
}

/// Syncs a file, or the names in a folder, to the disk.
///
/// # Errors
///
/// [`Error::Io`] if opening or syncing it fails. A file system that cannot sync folders is not an error.
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
    let synced = if path.is_dir() { system::sync_names(path) } else { system::sync_at(path) };
    synced.map_err(|error| Error::io(path, "sync", error))
}
