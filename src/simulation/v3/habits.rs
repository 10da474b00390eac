//! The ways of those who use a file, and the mistakes that a library may make meanwhile.

use std::path::Path;
use std::sync::Arc;

use super::careless::{Careless, Clock, Seeded};
use super::contents::Outcome;
use super::mark::Mark;
use crate::read::open_file::Opened;
use crate::simulation::disk::Disk;
use crate::simulation::random::Random;
use crate::storage::{Storage, read_up_to};
use crate::v3::codec::Level;
use crate::v3::format::{Codec, Header};
use crate::v3::shared::Shared;
use crate::v3::steps::{Step, Steps};
use crate::v3::write::WriterOptions;
use crate::write::options::SyncMode;

/// A mistake that the tests must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    None,
    LeftOut(&'static [Step]),
    SyncRetried,
}

/// The habits of one user, and the options that the file is opened with.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) header: Header,
    pub(super) sync: SyncMode,
    always_syncs: bool,
    threads: usize,
    pub(super) max_record: usize,
    pub(super) max_records: usize,
    /// The chance in a hundred that a step is a commit.
    pub(super) commits: usize,
    clock: Clock,
    /// Whether records depend on nothing but their number.
    pub(super) same_records: bool,
    pub(super) mistake: Mistake,
}

impl Habits {
    pub(super) fn new(random: &mut Random, always_syncs: bool, mistake: Mistake) -> Self {
        let codec = [Codec::None, Codec::Zstd, Codec::Lz4][random.below(3)];
        let sound = Header::new(codec, *b"identity-of-file", 1);
        let header = match random.below(10) {
            0 => Header { page: 4096, block: 4096, fan_out: 3, log: 32768, ..sound },
            1 => Header { page: 512, block: 1024, fan_out: 3, log: 8192, ..sound },
            _ => Header { page: 512, block: 512, fan_out: 2, log: 4096, ..sound },
        };
        let mut habits = Self {
            header,
            sync: SyncMode::Full,
            always_syncs,
            threads: 1,
            max_record: 40,
            max_records: 4,
            commits: 40,
            clock: Clock::Still,
            same_records: false,
            mistake,
        };
        habits.change(random);
        habits
    }

    /// Other habits for the same file, as of the next process that opens it.
    pub(super) fn change(&mut self, random: &mut Random) {
        let block = self.header.block as usize;
        (self.max_record, self.max_records, self.commits) = match random.below(8) {
            0..3 => (120, 4, 50),
            3 => (60, 12, 60),
            4 => (300, 14, 25),
            5 => (20, 2, 60),
            6 => (3 * block, 3, 30),
            _ => (8 * block, 12, 12),
        };
        self.sync = match random.below(10) {
            0..5 => SyncMode::Full,
            9 if !self.always_syncs => SyncMode::None,
            _ => SyncMode::Barrier,
        };
        self.threads = if random.one_in(40) { 3 } else { 1 };
        self.same_records = random.one_in(2);
        self.clock = if self.same_records { Clock::Still } else { Clock::Jumps };
    }

    /// Makes this user add the same records as any other, with as few syncs as there may be.
    pub(super) fn repeat(&mut self) {
        (self.same_records, self.clock, self.sync, self.max_record) =
            (true, Clock::Still, SyncMode::Barrier, 120);
    }

    fn steps(&self) -> Steps {
        let left_out = match self.mistake {
            Mistake::LeftOut(steps) => steps,
            _ => &[],
        };
        Steps { left_out }
    }

    pub(super) fn options(&self) -> WriterOptions {
        WriterOptions { sync: self.sync, level: Level::default() }
    }

    /// The file on a disk, as a library sees it that makes this mistake.
    pub(super) fn attach(&self, disk: &Disk<Mark>, random: &mut Random) -> Outcome<Arc<Shared>> {
        let mut start = [0; Header::SIZE];
        let length = read_up_to(disk, &mut start, 0).map_err(|error| error.to_string())?;
        let header = Header::decode(&start[..length]).map_err(|damage| damage.to_string())?;
        let random = Random::new(random.next());
        let retries = self.mistake == Mistake::SyncRetried;
        let storage = Careless::new(disk.clone(), random.clone(), retries);
        Ok(self.shared(Box::new(storage), header, random))
    }

    pub(super) fn shared(&self, storage: Box<dyn Storage>, header: Header, random: Random) -> Arc<Shared> {
        let mut file =
            Shared::new(Opened::new(Path::new("simulated.capture"), storage, self.threads), header, 100_000);
        file.environment = Box::new(Seeded::new(random, self.clock));
        file.steps = self.steps();
        Arc::new(file)
    }
}
