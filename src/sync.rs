//! What threads share things with. The order of their steps is tested with these replaced by others, under a
//! scheduler that goes through many orders; see `schedules/`.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
pub(crate) use std::thread;

pub(crate) use arc_swap::{ArcSwap, Guard};
