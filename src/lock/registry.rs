//! The writers of this process, and their treatment in a fork.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::identity::FileIdentity;

/// The descriptor that holds a writer's lock, which a forked child has to close.
#[cfg(unix)]
pub(super) type Descriptor = std::os::fd::RawFd;
/// Nothing: Windows has no forks.
#[cfg(windows)]
pub(super) type Descriptor = ();

/// Writers of this process, by their files while these exist, with the descriptor that holds the lock, if one does.
pub(super) type Registry = HashMap<FileIdentity, Option<Descriptor>>;

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    #[cfg(unix)]
    fork::watch();
    Mutex::default()
});

pub(super) fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes sure that forks are counted from now on.
pub(crate) fn watch_forks() {
    LazyLock::force(&REGISTRY);
}

#[cfg(unix)]
mod fork {
    #![expect(unsafe_code, reason = "fork handlers and closing by number have no safe form")]

    use std::cell::RefCell;
    use std::sync::MutexGuard;

    use super::{Registry, registry};
    use crate::sync::forks::count_fork;

    thread_local! {
        /// The registry, locked during a fork so that the child gets a consistent copy.
        static HELD: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
    }

    /// Installs the fork handlers.
    pub(super) fn watch() {
        // SAFETY: the handlers are functions of this program without arguments or results. They run in the
        // forking thread; the child's handler closes descriptors and counts, which is permitted in a child.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
        }
    }

    extern "C" fn before_fork() {
        HELD.with_borrow_mut(|held| *held = Some(registry()));
    }

    extern "C" fn after_fork_in_parent() {
        HELD.with_borrow_mut(|held| *held = None);
    }

    /// A child shares its parent's open file descriptions, and with them the locks. It closes its descriptors,
    /// so that the locks end with the parent's.
    extern "C" fn after_fork_in_child() {
        count_fork();
        HELD.with_borrow_mut(|held| {
            if let Some(registry) = held.as_mut() {
                for descriptor in registry.drain().filter_map(|(_, descriptor)| descriptor) {
                    // SAFETY: the descriptor belongs to a `WriterLock` of the parent, whose copy in this
                    // process does not close it again because it sees the fork.
                    unsafe { libc::close(descriptor) };
                }
            }
            *held = None;
        });
    }
}
