//! Locks on ranges of a handle, on Windows.

use std::fs::File;
use std::io;
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;

use crate::windows;

/// Whether a lock only excludes programs that request one. On Windows it prevents all others from reading and
/// writing the range. A lock on the slots would make the pure-Python package fail, which by default reads
/// them without one.
pub(super) const LOCKS_ARE_ADVISORY: bool = false;
/// Time for which a query about a lock may prevent it from being taken, because a query is an attempt to lock.
pub(super) const INQUIRY: Duration = Duration::from_millis(100);

/// Takes or releases a lock without waiting.
pub(super) fn lock_range(file: &File, locked: bool, start: u64, length: u64) -> io::Result<()> {
    if locked { windows::lock(file, true, start, length) } else { windows::unlock(file, start, length) }
}

/// Returns whether another handle holds a lock in a range.
pub(super) fn is_locked(file: &File, start: u64, length: u64) -> io::Result<bool> {
    match windows::lock(file, false, start, length) {
        Ok(()) => windows::unlock(file, start, length).map(|()| false),
        Err(error) if is_held(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns whether a lock was refused because another one holds the range.
pub(super) fn is_held(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_LOCK_VIOLATION.cast_signed())
}

/// Returns nothing: there are no forks, so no child has to close anything.
pub(super) fn descriptor(_: &File) {}
