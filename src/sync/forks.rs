//! Counts forks: a child has none of its parent's other threads, and may have copies of locks that they held.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Returns how often this process has come out of a fork since its start.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts a fork. The handler in the child calls it, so it does nothing that is forbidden there.
pub(crate) fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
