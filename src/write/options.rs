//! How a writer works, and what it tells of its commits.

use std::ops::AddAssign;
use std::time::Duration;

use crate::codec::level::CompressionLevel;

/// When a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// A commit returns when it would survive a power cut.
    #[default]
    Full,
    /// A power cut rolls back the last commit at most, and never harms the file.
    Barrier,
    /// A commit survives the end of the process; a power cut may cost the file.
    None,
}

impl SyncMode {
    /// The mode in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Barrier => "barrier",
            Self::None => "none",
        }
    }
}

/// What was committed, at once or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Commits of anything; a call without anything to commit is none.
    pub commits: u64,
    /// Records that were added.
    pub records: u64,
    /// The bytes of these records, before they are compressed.
    pub bytes: u64,
    /// How long the commits took together.
    pub time: Duration,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.commits += more.commits;
        self.records += more.records;
        self.bytes += more.bytes;
        self.time += more.time;
    }
}

/// How a new file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Making {
    /// Where nobody else can see it yet.
    Hidden,
    /// Where it stands, for everybody to see.
    InPlace,
}

/// The serial numbers of a new file's two master nodes.
pub(crate) const FIRST_SERIALS: [u32; 2] = [1, 2];

/// How a writer works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterOptions {
    pub(crate) sync: SyncMode,
    pub(crate) level: CompressionLevel,
}
