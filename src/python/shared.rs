//! A lock that Python threads share.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use super::errors::CaptureFileNotOpen;

/// A lock that threads wait for without holding the interpreter, and that a forked child does not wait
/// for when its holder did not come along.
pub(super) struct Shared<T> {
    value: Mutex<T>,
    process: u32,
}

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), process: std::process::id() }
    }

    pub(super) fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if self.process != std::process::id() => {
                Err(CaptureFileNotOpen::new_err(
                    "this iterator was in use by another thread when this process was forked; make a new one",
                ))
            }
            Err(TryLockError::WouldBlock) => {
                Ok(self.value.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}
