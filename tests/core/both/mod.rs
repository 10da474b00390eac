//! What files of both formats do; compiled for each of them.

mod damaged;
mod following;
// Elsewhere `nix` has no name for the locks of open files, by which these tests look from outside.
#[cfg(target_os = "linux")]
mod locking;
mod objects;
mod opening;
mod scanning;
mod state_machine;
pub(crate) mod support;
mod threads;
mod times;
mod transactions;
