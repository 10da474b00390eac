//! Tests of the crate's public face: what it writes, what it reads, and what it refuses.
//!
//! `image` makes capture files and `parsed` takes them apart, both written from `docs/format.md` alone, so
//! that they can disagree with the library; every other module tests one side of its behaviour.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::needless_for_each, reason = "much is done in one line for each of some numbers")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the crate is for 64-bit systems, and these files are small"
)]
#![expect(clippy::unnecessary_debug_formatting, reason = "messages have paths in quotes")]

mod damage;
mod following;
mod format;
mod hand_made;
mod huge;
mod image;
// Elsewhere `nix` has no name for the locks of open files, by which these tests look from outside.
#[cfg(target_os = "linux")]
mod locking;
mod opening;
mod parsed;
mod scanning;
mod state_machine;
mod support;
mod threads;
mod transactions;
mod verifying;
