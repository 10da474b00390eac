//! Names of files: opening and creating what one calls, and making it durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

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
