//! The bytes of a file, wherever they are: a trait, and the file of the operating system.

mod file;
pub(crate) mod futex;

pub use file::FileIdentity;
pub(crate) use file::*;
