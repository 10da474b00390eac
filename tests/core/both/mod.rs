//! What files of both formats do; compiled for each of them.

mod damaged;
mod following;
// On macOS `nix` has no name for the locks of open files, by which these tests look from outside.
#[cfg(any(target_os = "linux", windows))]
mod locking;
mod objects;
mod opening;
mod scanning;
mod state_machine;
#[cfg(any(target_os = "linux", windows))]
mod stranger;
pub(crate) mod support;
mod threads;
mod times;
mod transactions;
#[cfg(unix)]
mod unix;
