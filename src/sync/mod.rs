//! State that threads share. Locks, atomics and threads are imported from here, so that interleavings can
//! be tested: `interleavings/` compiles the folder a second time, with those of a scheduler that tries many
//! orders.

pub(crate) mod backoff;
pub(crate) mod forks;
pub(crate) mod group_commit;
pub(crate) mod pipeline;
pub(crate) mod progress;
pub(crate) mod published;
#[cfg(shuttle)]
mod scheduled;
pub(crate) mod tickets;
pub(crate) mod transaction;

#[cfg(not(shuttle))]
use arc_swap::{ArcSwap, Guard};
#[cfg(shuttle)]
pub(crate) use scheduled::*;
#[cfg(not(shuttle))]
use std::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};
