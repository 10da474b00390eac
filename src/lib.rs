//! Capture files: compressed, transactional, append-only record logs.
//!
//! Records are added, never changed, and become visible and durable together at an explicit commit,
//! with one metadata blob that commits with them. Any record is found fast by its number. One writer,
//! any number of reading threads and processes, which share the memory-mapped file.
//!
//! [`OpenOptions`] opens a [`CaptureFile`]; a [`Snapshot`] is its state at one moment. [`Records`] iterates over the
//! records of a snapshot in order, [`RecordsAt`] fetches a given set of them, and [`Blocks`] iterates over the blocks
//! that contain them. A [`Follower`] returns records as they are committed. [`verify`] finds damage in a file, and
//! [`recover`] writes everything that can still be read to a new file.
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
//! sizes holds more than 10^15 records. The formats are described in `docs/format.md` and
//! `docs/format-3.md`.

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!(
    "capturefile is for Linux and, less tested, macOS and Windows: on this system it has no lock that keeps a second \
     writer out (src/lock/) and no positioned reads and writes (src/storage/)"
);

mod codec;
mod either;
mod error;
#[cfg(any(test, feature = "extension"))]
mod field_index;
mod file;
mod format;
mod lock;
mod read;
mod recover;
mod storage;
mod sync;
mod tree;
mod v3;
mod verify;
#[cfg(windows)]
mod windows;
mod write;

#[cfg(feature = "extension")]
mod python;
#[cfg(test)]
mod simulation;

pub use codec::level::CompressionLevel;
pub use either::blocks::Blocks;
pub use either::lookup::{Lookup, Stuck};
pub use either::records::Records;
pub use either::records_at::RecordsAt;
pub use either::snapshot::Snapshot;
pub use error::{Damage, Error, LockHolder, Result};
pub use file::{
    BackupOptions, Batch, CaptureFile, CommitTicket, Follower, NewRecords, OpenOptions, Replacement,
    SnapshotGuard,
};
pub use format::{Coordinates, Geometry, Header, HeaderChecksum, MasterSlot};
pub use lock::FileIdentity;
pub use read::blocks::{BlockInfo, FrameInfo};
pub use read::record::Record;
pub use read::record_buffer::RecordBuffer;
pub use read::record_run::RecordRun;
pub use recover::{LostRange, MetadataOutcome, RecoverOptions, Recovery, recover};
pub use storage::{ObjectHead, ObjectSource, sync_path};
pub use sync::progress::Progress;
pub use verify::{HeadSlot, IndexPath, IndexStep, LogExtent, Report, Structure, VerifyOptions, verify};
pub use write::options::{Commit, Compression, Stats, SyncMode};
