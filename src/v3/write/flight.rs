//! A commit in progress: it owns the entry that it writes, and leaves the writer to others meanwhile.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::room::Checkpoint;
use crate::error::Error;
use crate::sync::group_commit;
use crate::v3::log::{LogEntry, Ring};
use crate::v3::shared::Shared;
use crate::write::health::Failure;
use crate::write::options::SyncMode;

/// What a commit writes.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(super) file: Arc<Shared>,
    pub(super) sync: SyncMode,
    pub(super) entry: LogEntry,
    /// Whether frames must be on the disk before the entry is written, or before the head that follows.
    pub(super) syncs_first: bool,
    /// The checkpoint for a head to write once the commit is done.
    pub(super) checkpoint: Option<Checkpoint>,
    /// The writer's count of changes; the commit contains all of them.
    pub(super) changes: u64,
    pub(super) began: Instant,
    /// The log position up to which syncs have brought the log to the disk.
    pub(super) synced: u64,
    pub(super) outcome: Result<(), Failure>,
}

impl Flight {
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    fn write_in_order(&mut self) -> Result<(), Failure> {
        let (position, end) = (self.entry.header.position, self.entry.header.end());
        if self.syncs_first {
            self.sync_to(position).map_err(Failure::sync)?;
        }
        let ring = Ring::new(&*self.file.storage, &self.file.header);
        ring.write(position, self.entry.bytes()).map_err(|error| {
            if is_full(&error) {
                Failure::Untouched(Error::io(&self.file.path, "write to", error))
            } else {
                Failure::uncertain(error)
            }
        })?;
        if self.sync == SyncMode::Full {
            self.sync_to(end).map_err(Failure::uncertain)?;
        }
        Ok(())
    }

    /// Syncs the file, whose log ends at `end`.
    fn sync_to(&mut self, end: u64) -> io::Result<()> {
        self.file.storage.sync()?;
        self.synced = end;
        Ok(())
    }
}

impl group_commit::Flight for Flight {
    fn changes(&self) -> u64 {
        self.changes
    }

    fn write(&mut self) {
        self.outcome = self.write_in_order();
    }
}

/// Returns whether a write failed for lack of space, before its last byte.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
