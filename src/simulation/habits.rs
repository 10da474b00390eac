//! How one user works, and the options that the file is opened with.

use crate::file::OpenOptions;
use crate::format::Geometry;
use crate::write::options::SyncMode;

use super::random::Random;

/// The habits of one user, and the options that the file is opened with.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) geometry: Geometry,
    pub(super) initial_metadata: Option<Vec<u8>>,
    pub(super) sync: SyncMode,
    /// Never without syncs, which promises nothing once one of another process fails.
    always_syncs: bool,
    threads: usize,
    cache_size: u64,
    pub(super) longest_record: usize,
    pub(super) most_records: usize,
    pub(super) metadata_only: bool,
    /// The chance in a hundred that a step is a commit.
    pub(super) commits: usize,
}

impl Habits {
    pub(super) fn new(random: &mut Random, always_syncs: bool) -> Self {
        let sizes = |page_size, block_size, fan_out| Geometry {
            page_size,
            block_size,
            fan_out,
            ..Geometry::default()
        };
        let geometry = match random.below(40) {
            0 => Geometry::default(),
            1..3 => sizes(4096, 4096, 32),
            3..6 => sizes(512, 1024, 3),
            6..8 => sizes(512, 0, 2),
            _ => sizes(512, 512, 2),
        };
        let metadata_length = random.below(700);
        let initial_metadata = random.one_in(2).then(|| random.bytes(metadata_length));
        let mut habits = Self {
            geometry,
            initial_metadata,
            sync: SyncMode::Full,
            always_syncs,
            threads: 1,
            cache_size: [0, 2000, 1 << 20][random.below(3)],
            longest_record: 40,
            most_records: 4,
            metadata_only: false,
            commits: 40,
        };
        habits.change(random);
        habits
    }

    /// Other habits for the same file, as of the next process that opens it.
    pub(super) fn change(&mut self, random: &mut Random) {
        let block = self.geometry.block_size.max(self.geometry.page_size) as usize;
        (self.longest_record, self.most_records, self.commits, self.metadata_only) = match random.below(8) {
            0..4 => (40, 4, 40, false),
            4 => (300, 30, 15, false),
            5 => (20, 2, 50, true),
            6 => (3 * block, 3, 25, false),
            _ => (8 * block, 12, 10, false),
        };
        self.sync = match random.below(10) {
            0..6 => SyncMode::Full,
            9 if !self.always_syncs => SyncMode::None,
            _ => SyncMode::Barrier,
        };
        self.threads = if random.one_in(30) { 3 } else { 1 };
    }

    /// As somebody looks at a file who wants nothing but to see it quickly.
    pub(super) fn for_looking(mut self) -> Self {
        (self.sync, self.threads, self.cache_size) = (SyncMode::Full, 1, 1 << 20);
        self
    }

    /// Whether a power cut may cost the file.
    pub(super) fn is_fragile(&self) -> bool {
        self.sync == SyncMode::None
    }

    pub(super) fn options(&self) -> OpenOptions {
        OpenOptions::new()
            .geometry(self.geometry)
            .initial_metadata(self.initial_metadata.clone())
            .sync(self.sync)
            .threads(self.threads)
            .cache_size(self.cache_size)
    }
}
