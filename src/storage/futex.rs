//! Waiting for any process to change four bytes of a mapped file, with the futexes of Linux.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the system call has no safe form for memory that other processes change")
)]

use std::time::Duration;

/// Waits until any process calls [`wake`] for the word through any map of the file, for at most `timeout`;
/// does not wait if its bytes are not `seen`. Returns false immediately if the system cannot wait for it.
#[cfg(target_os = "linux")]
pub(crate) fn wait(word: *const u8, seen: [u8; 4], timeout: Duration) -> bool {
    use nix::errno::Errno;

    let waited = futex(word, libc::FUTEX_WAIT, u32::from_ne_bytes(seen), Some(timeout));
    matches!(waited, Ok(()) | Err(Errno::EAGAIN | Errno::ETIMEDOUT | Errno::EINTR))
}

/// Wakes all threads and processes that wait for the word.
#[cfg(target_os = "linux")]
pub(crate) fn wake(word: *const u8) {
    // If this fails, the waiters check again after their pauses.
    let _ = futex(word, libc::FUTEX_WAKE, u32::MAX >> 1, None);
}

#[cfg(target_os = "linux")]
fn futex(word: *const u8, operation: i32, value: u32, timeout: Option<Duration>) -> nix::Result<()> {
    use std::ptr;

    use nix::errno::Errno;
    use nix::sys::time::TimeSpec;

    let timeout = timeout.map(TimeSpec::from_duration);
    let timeout = timeout.as_ref().map_or(ptr::null(), |timeout| ptr::from_ref(timeout.as_ref()));
    // SAFETY: neither operation writes to memory. The system checks the address of the word, including the
    // length of the file, and reads the timeout, which is valid or null.
    let done = unsafe { libc::syscall(libc::SYS_futex, word, operation, value, timeout) };
    Errno::result(done).map(|_| ())
}

/// Returns false: other systems cannot wait for it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wait(_: *const u8, _: [u8; 4], _: Duration) -> bool {
    false
}

/// Does nothing: no thread can be waiting.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wake(_: *const u8) {}
