//! The main object of the API: a capture file that is open for reading or writing.

mod backup;
mod batch;
mod capture_file;
mod commit_ticket;
mod follow;
mod object;
mod open;
mod options;
mod refresh;
mod replacement;
mod role;
mod writing;

pub use backup::BackupOptions;
pub use batch::Batch;
pub use capture_file::{CaptureFile, SnapshotGuard};
pub use commit_ticket::CommitTicket;
pub use follow::{Follower, NewRecords};
pub use options::OpenOptions;
pub use replacement::Replacement;
