//! The habits of a user, and the options for opening the file.

use std::sync::Arc;

use crate::file::OpenOptions;
use crate::format::Geometry;
use crate::write::options::{Compression, SyncMode};

use super::environment::{Clock, Seeded};
use super::random::Random;

/// The habits of a user, and the options for opening the file.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) geometry: Geometry,
    log_size: u32,
    compression: Option<Compression>,
    pub(super) initial_metadata: Option<Vec<u8>>,
    pub(super) sync: SyncMode,
    /// Always with syncs: without them, nothing is guaranteed once a sync of another process fails.
    always_syncs: bool,
    threads: usize,
    cache_size: u64,
    pub(super) longest_record: usize,
    pub(super) most_records: usize,
    pub(super) metadata_only: bool,
    /// Probability of a commit in each step, in percent.
    pub(super) commits: usize,
    /// Whether records depend on nothing but their number.
    pub(super) same_records: bool,
    environment: Seeded,
}

impl Habits {
    pub(super) fn new(format: u32, random: &mut Random, always_syncs: bool) -> Self {
        let (geometry, log_size, compression) = if format == 2 {
            (sizes_of_version_2(random), 0, None)
        } else {
            let (geometry, log_size) = sizes_of_version_3(random);
            let compression = [Compression::None, Compression::Zstd, Compression::Lz4][random.below(3)];
            (geometry, log_size, Some(compression))
        };
        let metadata_length = random.below(700);
        let initial_metadata = random.one_in(2).then(|| random.bytes(metadata_length));
        let mut habits = Self {
            geometry,
            log_size,
            compression,
            initial_metadata,
            sync: SyncMode::Full,
            always_syncs,
            threads: 1,
            cache_size: [0, 2000, 1 << 20][random.below(3)],
            longest_record: 40,
            most_records: 4,
            metadata_only: false,
            commits: 40,
            same_records: false,
            environment: Seeded::new(random.clone(), Clock::Jumps),
        };
        habits.change(random);
        habits
    }

    pub(super) fn is_version_2(&self) -> bool {
        self.geometry.version != 3
    }

    /// Changes the habits, as for the next process that opens the file.
    pub(super) fn change(&mut self, random: &mut Random) {
        let block = self.geometry.block_size.max(self.geometry.page_size) as usize;
        let kind = random.below(8);
        (self.longest_record, self.most_records, self.commits, self.metadata_only) = match kind {
            0..3 if !self.is_version_2() => (120, 4, 50, false),
            3 if !self.is_version_2() => (60, 12, 60, false),
            0..4 => (40, 4, 40, false),
            4 => (300, 30, 15, false),
            // Bookmarks only: entries that no frame replaces.
            5 if !self.is_version_2() => (450, 2, 20, true),
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
        self.same_records = !self.is_version_2() && random.one_in(3);
        self.environment.clock = if self.same_records { Clock::Still } else { Clock::Jumps };
    }

    /// Makes this user add the same records as any other, with as few syncs as possible.
    pub(super) fn repeat(&mut self) {
        (self.same_records, self.sync, self.longest_record) = (true, SyncMode::Barrier, 120);
        self.environment.clock = Clock::Still;
    }

    /// Returns the options for reading a file.
    pub(super) fn for_looking(mut self) -> Self {
        (self.sync, self.threads, self.cache_size) = (SyncMode::Full, 1, 1 << 20);
        self
    }

    /// Returns whether a power cut may destroy the file.
    pub(super) fn is_fragile(&self) -> bool {
        self.sync == SyncMode::None
    }

    /// Returns whether each change is committed, so that small entries fill the log.
    pub(super) fn fills_log(&self) -> bool {
        self.metadata_only && !self.is_version_2()
    }

    /// Returns the number of bytes that other threads can add during a commit without waiting for it.
    pub(super) fn room_beside_commit(&self) -> usize {
        if self.is_version_2() { usize::MAX } else { self.log_size as usize / 2 }
    }

    pub(super) fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new()
            .geometry(self.geometry)
            .initial_metadata(self.initial_metadata.clone())
            .sync(self.sync)
            .threads(self.threads)
            .cache_size(self.cache_size)
            .environment(Arc::new(self.environment.clone()));
        if let Some(compression) = self.compression {
            options = options.log_size(self.log_size).compression(compression);
        }
        options
    }
}

fn sizes_of_version_2(random: &mut Random) -> Geometry {
    let sizes =
        |page_size, block_size, fan_out| Geometry { page_size, block_size, fan_out, ..Geometry::default() };
    match random.below(40) {
        0 => Geometry::default(),
        1..3 => sizes(4096, 4096, 32),
        3..6 => sizes(512, 1024, 3),
        6..8 => sizes(512, 0, 2),
        _ => sizes(512, 512, 2),
    }
}

/// Returns random sizes, with that of the log.
fn sizes_of_version_3(random: &mut Random) -> (Geometry, u32) {
    let sizes = |page_size, block_size, fan_out| Geometry { version: 3, page_size, block_size, fan_out };
    match random.below(10) {
        0 => (sizes(4096, 4096, 3), 32768),
        1 => (sizes(512, 1024, 3), 8192),
        _ => (sizes(512, 512, 2), 4096),
    }
}
