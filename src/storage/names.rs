//! Names of files: opening what stands at one, following links, and moving a new file there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::NamedTempFile;

use crate::error::{Damage, Error, Result};

/// As many links as the system itself follows in a path.
const MOST_LINKS: u32 = 40;

/// What becomes of a file that stands where a new one is to go.
pub(crate) enum Existing {
    Keep,
    /// Its permissions go on.
    Replace(fs::Permissions),
}

/// A new file of its own name in `folder`, which is deleted unless it is moved into place. It is made by
/// the standard library for the sake of its errors, which have the system's number.
pub(crate) fn temporary_file(folder: &Path) -> io::Result<NamedTempFile<File>> {
    tempfile::Builder::new().prefix(".new-").suffix(".capture.tmp").make_in(folder, create)
}

pub(crate) fn move_into_place(
    temporary: NamedTempFile<File>,
    target: &Path,
    existing: &Existing,
) -> io::Result<()> {
    let moved = match existing {
        Existing::Keep => temporary.persist_noclobber(target),
        Existing::Replace(_) => temporary.persist(target),
    };
    moved.map(drop).map_err(|error| error.error)
}

/// Opens a regular file; anything else is an error at once, even where opening it would wait.
pub(crate) fn open_plain(path: &Path, write: bool) -> Result<File> {
    let failed = |error| Error::io(path, "open", error);
    let file = open(path, write).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !kind.is_file() {
        let damage = Damage::new("a device, pipe or socket", "a regular file");
        return Err(Error::invalid(path, damage));
    }
    Ok(file)
}

/// Follows symbolic links, also one that points at nothing yet, so that files are created and replaced
/// where the link points and the link stays.
pub(crate) fn resolve_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = parent(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::io(&path, "open", io::Error::from_raw_os_error(libc::ELOOP)))
}

pub(crate) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path, "open", error))
}

pub(crate) fn keeps_changing(path: &Path) -> Error {
    let error = io::Error::other("the file keeps being replaced by somebody else");
    Error::io(path, "open", error)
}

/// Makes a new file, with the usual permissions less the process's umask.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path)
}

/// The folder that a file is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(parent(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, and say so in this way.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        // Who may write into a folder but not look into it cannot sync it; the sync of the file has to do.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Opens what is called `path`, without waiting for the other end of a pipe.
pub(crate) fn open(path: &Path, write: bool) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(write).custom_flags(libc::O_NONBLOCK).open(path)
}
