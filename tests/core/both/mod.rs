//! Tests of files of both formats; compiled for each of them.

mod damaged;
mod following;
// On macOS, `nix` does not support the locks of open files, which these tests use.
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
