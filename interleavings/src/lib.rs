//! Compiles the crate's folder `sync`, which contains what threads share, and `error.rs`, with the threads, locks and
//! atomics of a scheduler, and checks it in many orders.
//!
//! The scheduler treats each atomic as sequentially consistent: the tests cover the order of steps, not memory
//! orderings.

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/error.rs"]
mod error;

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/mod.rs"]
mod sync;

pub mod commits;
pub mod scenarios;
