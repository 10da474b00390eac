//! The role of an open file: a reader, or a writer unless it was inherited through a fork.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::either::file::Seen;
use crate::either::writer::AnyWriter;
use crate::sync::forks::forks;
use crate::sync::group_commit::GroupCommit;
use crate::write::options::Stats;

#[derive(Debug)]
pub(super) enum Role {
    /// A cheap way to detect changes since the current snapshot.
    Reader(ArcSwap<Seen>),
    Writer(Box<WriterRole>),
}

#[derive(Debug)]
pub(super) struct WriterRole {
    pub(super) group: Arc<GroupCommit<AnyWriter>>,
    /// The last commit, once the writer is closed.
    pub(super) final_stats: OnceLock<Stats>,
    /// The count of forks when the file was opened. A forked child never touches the writer, because a
    /// thread of the parent may have held its lock.
    pub(super) forks: u64,
}

impl Drop for WriterRole {
    fn drop(&mut self) {
        if self.forks == forks() {
            // Tickets may outlive this object.
            self.group.close(|_| ());
        } else {
            // The writer belongs to the parent, with its threads, its lock and the file's length.
            std::mem::forget(Arc::clone(&self.group));
        }
    }
}
