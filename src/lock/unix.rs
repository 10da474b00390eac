//! Locks on ranges of an open file description, on Linux and macOS.

#![expect(unsafe_code, reason = "these locks have no safe form outside of Linux")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Whether a lock only excludes programs that request one.
pub(super) const LOCKS_ARE_ADVISORY: bool = true;
/// Time for which a query about a lock may prevent it from being taken.
pub(super) const INQUIRY: Duration = Duration::ZERO;

/// Takes or releases a lock without waiting. It uses the system's name for the call, which is the same on
/// Linux and macOS.
pub(super) fn lock_range(file: &File, locked: bool, start: u64, length: u64) -> io::Result<()> {
    let range = flock(locked, start, length)?;
    // SAFETY: `file` keeps the descriptor open, and the call only reads `range`, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns whether another open file description holds a lock in a range.
pub(super) fn is_locked(file: &File, start: u64, length: u64) -> io::Result<bool> {
    let mut range = flock(true, start, length)?;
    let free = flock(false, start, length)?.l_type;
    // SAFETY: `file` keeps the descriptor open, and the call reads and writes only `range`, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(range.l_type != free) }
}

/// Returns whether a lock was refused because another one holds the range.
pub(super) fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

/// Returns the descriptor that a forked child closes to release the locks of `file`.
pub(super) fn descriptor(file: &File) -> RawFd {
    file.as_raw_fd()
}

/// Returns a range to lock or release, as the system represents it.
#[expect(clippy::cast_possible_truncation, reason = "these constants are all below 4")]
fn flock(locked: bool, start: u64, length: u64) -> io::Result<libc::flock> {
    let offset = |position: u64| i64::try_from(position).map_err(|_| io::ErrorKind::InvalidInput);
    Ok(libc::flock {
        l_type: if locked { libc::F_WRLCK } else { libc::F_UNLCK } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset(start)?,
        l_len: offset(length)?,
        l_pid: 0,
    })
}
