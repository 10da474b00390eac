//! A lock that Python threads share.

use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors::CaptureFileNotOpen;

/// The first pause between two attempts to get the lock; it doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const MAX_PAUSE: Duration = Duration::from_millis(5);
/// No thread.
const NOBODY: usize = 0;

/// A lock that threads wait for while detached from the interpreter and checking signals. Locking fails where
/// it would never return: in the thread that already holds the lock, if a signal handler uses it again, and
/// in a forked child, because `fork` copies only the calling thread and not the holder.
pub(super) struct Shared<T> {
    value: Mutex<T>,
    /// The thread that holds the lock.
    holder: AtomicUsize,
    process: u32,
}

/// The value, for as long as the lock is held.
pub(super) struct Held<'a, T> {
    holder: &'a AtomicUsize,
    value: MutexGuard<'a, T>,
}

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), holder: AtomicUsize::new(NOBODY), process: std::process::id() }
    }

    pub(super) fn lock(&self, py: Python<'_>) -> PyResult<Held<'_, T>> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(held) = self.try_lock() {
                return Ok(held);
            }
            if self.process != std::process::id() {
                return Err(CaptureFileNotOpen::new_err(
                    "this iterator was in use by another thread when this process was forked; make a new one",
                ));
            }
            if self.holder.load(Ordering::Relaxed) == this_thread() {
                return Err(PyValueError::new_err(
                    "this iterator is already executing in this thread, which a signal handler interrupts",
                ));
            }
            py.detach(|| std::thread::sleep(pause));
            pause = MAX_PAUSE.min(2 * pause);
            py.check_signals()?;
        }
    }

    fn try_lock(&self) -> Option<Held<'_, T>> {
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.holder.store(this_thread(), Ordering::Relaxed);
        Some(Held { holder: &self.holder, value })
    }
}

/// Returns a number that no other live thread has.
fn this_thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| ptr::from_ref(place).addr())
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
