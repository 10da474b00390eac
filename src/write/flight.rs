//! A commit in progress: it owns everything that it writes, and leaves the writer to others meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::read::open_file::OpenFile;
use crate::sync::group_commit;
use crate::write::draft::Captured;
use crate::write::health::Failure;
use crate::write::options::SyncMode;
use crate::write::slot_writer::{SlotError, SlotWriter};
use crate::write::standing::Watch;

/// What a commit writes.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(super) file: Arc<OpenFile>,
    pub(super) slots: SlotWriter,
    pub(super) sync: SyncMode,
    pub(super) captured: Captured,
    pub(super) serial: u32,
    /// Whether frames, or the length, were written since the last sync.
    pub(super) has_unsynced_frames: bool,
    pub(super) watch: Watch,
    /// The writer's count of changes; the commit contains all of them.
    pub(super) changes: u64,
    pub(super) began: Instant,
    pub(super) outcome: Result<(), Failure>,
}

impl Flight {
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// Brings the frames to the disk before the master node that points to them.
    fn write_in_order(&mut self) -> Result<(), Failure> {
        if self.syncs_first() {
            self.file.storage.sync().map_err(Failure::sync)?;
        }
        let needed = self.file.geometry.whole_pages(self.captured.node.file_limit);
        self.watch.check(&self.file, needed).map_err(Failure::Harmed)?;
        self.slots.write(&self.captured.node, self.serial).map_err(|error| match error {
            SlotError::Untouched(source) => Failure::Untouched(self.file.failed("write to")(source)),
            SlotError::Begun(source) => Failure::uncertain(source),
        })?;
        if self.sync == SyncMode::Full {
            self.file.storage.sync().map_err(Failure::uncertain)?;
        }
        Ok(())
    }

    fn syncs_first(&self) -> bool {
        match self.sync {
            SyncMode::Full => self.has_unsynced_frames,
            // Also if there are no frames: the last slot must be on the disk before the other one is touched.
            SyncMode::Barrier => true,
            SyncMode::None => false,
        }
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
