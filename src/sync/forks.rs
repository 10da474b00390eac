//! Counts forks: a child lacks its parent's other threads, and may have copies of locks that they held.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of forks between the start of the program and this process.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts a fork. The fork handler in the child calls it, so it must be async-signal-safe.
#[cfg(unix)]
pub(crate) fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
