//! Capture files: compressed, transactional, append-only record logs.
//!
//! Records are added, never changed, and become visible and durable together at an explicit commit,
//! with one metadata blob that commits with them. Any record is found fast by its number. One writer,
//! any number of reading threads and processes, which share the memory-mapped file.
//!
//! [`OpenOptions`] opens a [`CaptureFile`]; a [`Snapshot`] is what it sees at one moment; [`Records`]
//! goes through a snapshot in order, [`Gather`] fetches a given set of its records, and [`Blocks`] are what it
//! consists of. [`verify`] finds
//! what is damaged in a file, and [`recover`] makes a sound one of the rest.
//!
//! ```
//! use capturefile::{CaptureFile, OpenOptions};
//!
//! # fn main() -> capturefile::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("log.capture");
//! let log = OpenOptions::new().write(true).open(&path)?;
//! log.add_record(b"one")?;
//! log.add_record(b"two")?;
//! log.set_metadata(Some(b"read up to here"))?;
//! log.commit()?;
//!
//! let reader = CaptureFile::open(&path)?.snapshot()?;
//! assert_eq!(reader.record_count(), 2);
//! assert_eq!(&*reader.record(2)?, b"two");
//! for record in reader.records(1) {
//!     println!("{} bytes", record?.len());
//! }
//! # Ok(()) }
//! ```
//!
//! Limits: a record has at most 2^32 - 1 bytes, and as much when compressed; a file with the default
//! sizes holds more than 10^15 records. The format is described in `docs/format.md`.

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!(
    "capturefile is for Linux and, less tested, macOS: on this system it has no lock that keeps a second writer out \
     (src/lock.rs) and no positioned reads and writes (src/storage.rs)"
);

mod error;
mod mutants;
mod node;
mod format;
mod tree;
mod master;
mod ahead;
mod fast_deflate;
mod block;
mod stream;
mod lock;
mod sync;
mod shown;
mod transaction;
mod futex;
mod storage;
mod cache;
mod snapshot;
mod scan;
mod blocks;
mod cross_check;
mod slots;
mod pipeline;
mod wait;
mod writer;
mod capture_file;
mod watch;
mod verify;
mod recover;

#[cfg(feature = "python")]
mod python;
#[cfg(test)]
mod simulation;

pub use block::CompressionLevel;
pub use blocks::{BlockInfo, Blocks};
pub use capture_file::{Batch, CaptureFile, OpenOptions};
pub use error::{Damage, Error, Result};
pub use format::Geometry;
pub use recover::{Lost, Metadata, RecoverOptions, Recovery, recover};
pub use scan::{Gather, Packed, Records};
pub use snapshot::{Record, Snapshot};
pub use storage::FileIdentity;
pub use verify::{Report, verify, verify_quickly, verify_while};
pub use wait::Waiter;
pub use writer::{SyncMode, Totals};
