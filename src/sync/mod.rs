//! What threads share. Their locks, atomics and threads come from here, so that the order of steps can be tested with
//! those of a scheduler that goes through many orders; see `schedules/`.

pub(crate) mod backoff;
pub(crate) mod pipeline;
pub(crate) mod progress;
pub(crate) mod published;
pub(crate) mod transaction;

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
pub(crate) use std::thread;

pub(crate) use arc_swap::{ArcSwap, Guard};
