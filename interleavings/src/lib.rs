//! What threads share in the crate, compiled from the crate's own folder `sync`, and `error.rs`, with the threads, locks
//! and atomics of a scheduler, and what must hold of it in every order.
//!
//! The scheduler sees each atomic as sequentially consistent: what is tested is the order of steps, not that of
//! memory.

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/error.rs"]
mod error;

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/mod.rs"]
mod sync;

pub mod commits;
pub mod scenarios;
