//! The parts of handling files and names that are specific to Unix.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::{PathPersistError, TempPath};

use crate::lock::Attributes;
use crate::storage::{Standing, properties};

const PERMISSIONS: u32 = 0o777;

/// Opens `path` for reading or writing, without waiting for the other end of a pipe.
pub(super) fn open(path: &Path, write: bool) -> io::Result<File> {
    open_as(OpenOptions::new().read(true).write(write).custom_flags(libc::O_NONBLOCK), path)
}

/// Creates a file, which must not exist yet, with the mode that the umask permits.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    create_as(path, 0o666)
}

/// Creates a file, which must not exist yet and which no other user can read.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    create_as(path, 0o600)
}

fn create_as(path: &Path, mode: u32) -> io::Result<File> {
    open_as(OpenOptions::new().read(true).write(true).create_new(true).mode(mode), path)
}

/// Opens a file. All files are opened here: if the descriptor of a standard stream were free, the file
/// would get it, and any output to that stream would be written into the file.
fn open_as(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path)?;
    if file.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(file);
    }
    // The copy gets a descriptor above those of the standard streams.
    file.try_clone()
}

/// Returns whether this is a device or a pipe. On Unix, the file's attributes have shown that already.
pub(super) fn is_device(_: &File) -> bool {
    false
}

/// Gives `file` the owner and mode of another one. If the group cannot be kept, its permissions are reduced
/// to those of other users, since they would apply to a different group.
pub(super) fn take_over(file: &File, replaced: &Metadata) -> io::Result<()> {
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

/// Moves a file to the place of another one.
pub(super) fn replace(temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    temporary.persist(target)
}

/// Moves a file to a place where none is.
pub(super) fn move_to_new_place(temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    temporary.persist_noclobber(target)
}

/// Returns `path` as calls of the system take it.
pub(super) fn usable(path: PathBuf) -> PathBuf {
    path
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    file.read_at(buffer, position)
}

pub(super) fn write_at(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
    file.write_at(bytes, position)
}

/// Returns once everything written before, and the length, would survive a power cut.
pub(super) fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        // A read-only image never changes, and its file system may not support sync.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && properties::is_of_image(file) => Ok(()),
        done => done,
    }
}

/// Syncs the file at `path`, including its attributes.
pub(crate) fn sync_at(path: &Path) -> io::Result<()> {
    open(path, false)?.sync_all()
}

/// Makes the names in a folder durable.
pub(super) fn sync_names(folder: &Path) -> io::Result<()> {
    match open(folder, false).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, and say so in these ways.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP)) => Ok(()),
        // A folder that may be written but not read cannot be synced; syncing the file has to suffice.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Returns the attributes of an open file that can change.
pub(super) fn standing(file: &File) -> io::Result<Standing> {
    let Attributes { identity, metadata } = Attributes::of_file(file)?;
    Ok(Standing { length: metadata.len(), has_name: metadata.nlink() > 0, identity: Some(identity) })
}
