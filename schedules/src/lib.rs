//! The shared state of the crate that has an order to get wrong, compiled from the crate's own files with the
//! threads, locks and atomics of a scheduler, and what must hold of it in every order.
//!
//! The scheduler sees each atomic as sequentially consistent: what is tested is the order of steps, not that of
//! memory.

#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/pipeline.rs"]
mod pipeline;
#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/published.rs"]
mod published;
mod sync;
#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/sync/transaction.rs"]
mod transaction;

pub mod scenarios;

/// What the files use of the crate.
mod error {
    pub(crate) use capturefile::Result;
}

mod lock {
    /// Nothing forks here.
    pub(crate) fn forks() -> u64 {
        0
    }
}
