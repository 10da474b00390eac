//! What threads share in the crate, compiled from the crate's own folder `sync` with the threads, locks and atomics
//! of a scheduler, and what must hold of it in every order.
//!
//! The scheduler sees each atomic as sequentially consistent: what is tested is the order of steps, not that of
//! memory.

/// The errors are the crate's own.
use capturefile as error;

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/mod.rs"]
mod sync;

pub mod scenarios;
