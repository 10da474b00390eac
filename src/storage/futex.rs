//! Waiting for a change of four bytes of a mapped file, which any process may make, by the futexes of Linux.

#![expect(unsafe_code, reason = "the system call has no safe form for memory that other processes change")]

use std::time::Duration;

/// Waits until somebody calls [`wake`] for the word, in whatever process and by whatever map of the file; not at
/// all if its bytes are not `seen`, and for `most` at most. False if the system cannot wait for it, at once.
#[cfg(target_os = "linux")]
pub(crate) fn wait(word: *const u8, seen: [u8; 4], most: Duration) -> bool {
    use nix::errno::Errno;

    let waited = futex(word, nix::libc::FUTEX_WAIT, u32::from_ne_bytes(seen), Some(most));
    matches!(waited, Ok(()) | Err(Errno::EAGAIN | Errno::ETIMEDOUT | Errno::EINTR))
}

/// Ends the waiting of all who wait for the word.
#[cfg(target_os = "linux")]
pub(crate) fn wake(word: *const u8) {
    // Where this fails, those who wait look again after a while.
    let _ = futex(word, nix::libc::FUTEX_WAKE, u32::MAX >> 1, None);
}

#[cfg(target_os = "linux")]
fn futex(word: *const u8, operation: i32, value: u32, timeout: Option<Duration>) -> nix::Result<()> {
    use std::ptr;

    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::time::TimeSpec;

    let timeout = timeout.map(TimeSpec::from_duration);
    let timeout = timeout.as_ref().map_or(ptr::null(), |timeout| ptr::from_ref(timeout.as_ref()));
    // SAFETY: neither operation writes to memory. The system checks the place of the word itself, also that the
    // file reaches so far, and reads the timeout, which is one or nothing.
    let done = unsafe { libc::syscall(libc::SYS_futex, word, operation, value, timeout) };
    Errno::result(done).map(|_| ())
}

/// Other systems cannot wait for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wait(_: *const u8, _: [u8; 4], _: Duration) -> bool {
    false
}

/// Nobody waits for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wake(_: *const u8) {}
