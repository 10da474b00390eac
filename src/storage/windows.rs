//! The parts of handling files and names that are specific to Windows.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::FileExt;
use std::path::{Component, Path, PathBuf, Prefix};
use std::time::{Duration, Instant};

use tempfile::{PathPersistError, TempPath};
use windows_sys::Win32::Foundation::ERROR_WRITE_PROTECT;

use crate::lock::FileIdentity;
use crate::storage::{Standing, errno};
use crate::windows;

/// How long a write waits for a reader of the pure-Python package to release its lock; that package itself
/// waits as long.
const LOCKED_WAIT: Duration = Duration::from_secs(9);
/// Paths with fewer characters than this are short enough for every call.
const SHORT_PATH: usize = 240;

pub(super) fn open(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(write).open(path)
}

/// Creates a file, which must not exist yet, with the permissions that it inherits from the folder.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// Creates a file, which must not exist yet; the folder determines who can read it.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    create(path)
}

/// Returns whether this is a device or a pipe, whose attributes cannot be read.
pub(super) fn is_device(file: &File) -> bool {
    !windows::is_on_disk(file)
}

/// Does nothing: the new file inherits its permissions from the folder.
#[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
pub(super) fn take_over(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Moves a file to the place of another one, which may be open, but not mapped.
pub(super) fn replace(temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    // The standard library's call can replace an open file, that of `TempPath` cannot.
    let done = fs::rename(&temporary, target);
    moved(done, temporary)
}

/// Moves a file, which may be open, to a place where none is.
pub(super) fn move_to_new_place(temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    // `TempPath` would also change its attributes, which wine refuses while the file is open.
    let done = windows::rename_to_new(&temporary, target);
    moved(done, temporary)
}

fn moved(done: io::Result<()>, mut temporary: TempPath) -> Result<(), PathPersistError> {
    match done {
        Ok(()) => {
            temporary.disable_cleanup(true);
            Ok(())
        }
        Err(error) => Err(PathPersistError { error, path: temporary }),
    }
}

/// Returns `path` as calls of the system take it: a long one in the form that has no limit.
pub(super) fn usable(path: PathBuf) -> PathBuf {
    let Ok(absolute) = std::path::absolute(&path) else {
        return path;
    };
    if absolute.as_os_str().len() < SHORT_PATH {
        return path;
    }
    let start = match absolute.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::Disk(letter) => format!(r"\\?\{}:\", char::from(letter)).into(),
            Prefix::UNC(server, share) => {
                let mut start = std::ffi::OsString::from(r"\\?\UNC\");
                start.push(server);
                start.push(r"\");
                start.push(share);
                start.push(r"\");
                start
            }
            _ => return path,
        },
        _ => return path,
    };
    let names = absolute.components().filter(|part| matches!(part, Component::Normal(_)));
    Path::new(&start).join(names.collect::<PathBuf>())
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    file.seek_read(buffer, position)
}

pub(super) fn write_at(file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
    once_unlocked(LOCKED_WAIT, || file.seek_write(bytes, position))
}

/// Repeats `write` until no lock of another process prevents it.
fn once_unlocked<T>(most: Duration, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + most;
    let mut pause = Duration::from_micros(100);
    loop {
        match write() {
            Err(error) if errno::is_locked(&error) && Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (2 * pause).min(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// Returns once everything written before, and the length, would survive a power cut.
pub(super) fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        // Only a handle that may write can sync.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sync_anew(file),
        done => done,
    }
}

fn sync_anew(file: &File) -> io::Result<()> {
    match windows::reopen_to_write(file).and_then(|file| file.sync_data()) {
        // A file that cannot be written never changes.
        Err(error) if error.raw_os_error() == Some(ERROR_WRITE_PROTECT.cast_signed()) => Ok(()),
        done => done,
    }
}

/// Syncs the file at `path`, including its attributes.
pub(crate) fn sync_at(path: &Path) -> io::Result<()> {
    sync(&open(path, false)?)
}

/// Does nothing: the names in a folder cannot be synced.
pub(super) fn sync_names(folder: &Path) -> io::Result<()> {
    fs::metadata(folder).map(drop)
}

/// Returns the attributes of an open file that can change.
pub(super) fn standing(file: &File) -> io::Result<Standing> {
    let (length, has_name) = windows::length_and_name(file)?;
    Ok(Standing { length, has_name, identity: Some(FileIdentity::of_file(file)?) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;

    use super::*;

    #[test]
    fn a_write_waits_for_a_lock_of_somebody_else_but_not_for_ever() {
        fn locked<T>() -> io::Result<T> {
            Err(io::Error::from_raw_os_error(ERROR_LOCK_VIOLATION.cast_signed()))
        }
        let mut left = 3;
        let write = || {
            left -= 1;
            if left > 0 { locked() } else { Ok(7) }
        };
        assert_eq!(once_unlocked(LOCKED_WAIT, write).unwrap(), 7);
        assert!(errno::is_locked(&once_unlocked(Duration::ZERO, locked::<()>).unwrap_err()));
    }

    #[test]
    fn only_long_paths_change_and_mean_the_same_file() {
        let long = "x".repeat(250);
        for (path, expected) in [
            (format!(r"C:\a\{long}"), format!(r"\\?\C:\a\{long}")),
            (format!(r"C:\b\..\a\.\{long}"), format!(r"\\?\C:\a\{long}")),
            (format!(r"\\server\share\{long}"), format!(r"\\?\UNC\server\share\{long}")),
            (format!(r"\\?\C:\{long}"), format!(r"\\?\C:\{long}")),
            (r"C:short".to_owned(), r"C:short".to_owned()),
            (r"..\short".to_owned(), r"..\short".to_owned()),
        ] {
            assert_eq!(usable(path.into()), Path::new(&expected));
        }
        assert!(usable(long.into()).is_absolute());
    }
}
