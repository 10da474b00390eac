//! Crashing lives at every step, and checking the remains.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::file::CaptureFile;
use crate::format::Slot;
use crate::verify::verify_open;

use super::careless::storage;
use super::commits::{History, Mark};
use super::contents::{Outcome, State, expect, path, read_all, text};
use super::disk::{Disk, Event, Mapped, Name, OnlyUser, Plan};
use super::disk_state::{Change, DiskState};
use super::habits::Habits;
use super::random::Random;
use super::workload::Life;

/// Maximum number of successive lives, each of which starts with the remains of the one before.
const MAX_LIVES: u32 = 5;

/// After this many crash images of one file, no further lives are started: each may lead to others, and those
/// of one file would take all the time.
const MAX_IMAGES_TO_LIVE_ON: u64 = 5000;

/// The parameters of a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// The version of the format.
    pub(super) format: u32,
    /// Number of steps of the first life.
    pub(super) steps: usize,
    /// One step in this many is an end.
    pub(super) one_end_in: usize,
    /// Factor by which ends are rarer in later lives, which are numerous.
    pub(super) later: usize,
    /// Whether all lives add the same records, and sync as rarely as possible.
    pub(super) repeats: bool,
    /// Power cuts tried at each end.
    pub(super) power_cuts: usize,
    /// One end in this many is continued by another life.
    pub(super) one_life_in: usize,
    /// Which calls of the disk fail.
    pub(super) faults: Plan,
    /// What readers map of the file.
    pub(super) mapped: Mapped,
}

/// A file at one moment of its lives, and what is known about it.
#[derive(Debug, Clone)]
struct Moment {
    disk: DiskState,
    name: Name,
    mark: Mark,
    /// Whether a sync has failed, so that memory may hold less than was written.
    lossy: bool,
}

/// The crashes of one file.
pub(super) struct Explorer {
    random: Random,
    search: Search,
    /// Number of crash images that were checked.
    pub(super) images: u64,
}

impl Explorer {
    pub(super) fn new(seed: u64, search: Search) -> Self {
        Self { random: Random::new(seed), search, images: 0 }
    }

    fn fork(&mut self) -> Random {
        Random::new(self.random.next())
    }

    /// Creates a file, works with it, and tries all ends. A panic is an outcome, too.
    pub(super) fn explore(&mut self) -> Outcome {
        let explored = catch_unwind(AssertUnwindSafe(|| self.explore_all()));
        explored.unwrap_or_else(|_| Err("a panic".into()))
    }

    fn explore_all(&mut self) -> Outcome {
        let faulty = !matches!(self.search.faults, Plan::None);
        let mut habits = Habits::new(self.search.format, &mut self.random, faulty);
        if self.search.repeats {
            habits.repeat();
        }
        let disk = self.disk(DiskState::default());
        let mut life = Life::create(disk, habits, self.fork()).map_err(text)?;
        life.fail(self.search.faults);
        life.run(self.search.steps)?;
        let mark = Mark { created: false, ..Mark::settled(0, life.habits.is_fragile()) };
        let start = Moment { disk: DiskState::default(), name: Name::Missing, mark, lossy: false };
        self.try_ends(start, &life, 1)
    }

    fn disk(&mut self, state: DiskState) -> Disk<Mark> {
        let disk = Disk::new(state, self.fork());
        disk.set_mapped(self.search.mapped);
        disk
    }

    /// Replays the history of the disk, with a crash after, and inside, each change.
    fn try_ends(&mut self, mut now: Moment, life: &Life, lives: u32) -> Outcome {
        let log = life.disk.take_log();
        for (index, event) in log.iter().enumerate() {
            let rarity = if lives == 1 { 1 } else { self.search.later };
            let chosen = self.random.one_in(rarity * self.search.one_end_in);
            let explain = |problem| format!("{problem}\n  after {}", last_events(&log[..=index]));
            if chosen && let Event::Changed(change) = event {
                self.end_inside(&now, change, life, lives).map_err(explain)?;
            }
            event.replay(&mut now.disk);
            match event {
                Event::Marked(mark) => {
                    now.lossy &= mark.safe < mark.begun;
                    now.mark = *mark;
                }
                Event::Named(name) => now.name = *name,
                Event::SyncFailed(_) => now.lossy = true,
                _ => {}
            }
            if chosen {
                self.end_here(&now, life, lives).map_err(explain)?;
            }
        }
        Ok(())
    }

    fn end_inside(&mut self, now: &Moment, change: &Change, life: &Life, lives: u32) -> Outcome {
        let Some(part) = change.cut(&mut self.random) else { return Ok(()) };
        let mut left = now.clone();
        left.disk.change(part);
        self.end_here(&left, life, lives)
    }

    fn end_here(&mut self, now: &Moment, life: &Life, lives: u32) -> Outcome {
        // Without its name, it is as if the file had never existed.
        if now.name == Name::Missing {
            return Ok(());
        }
        let safe = if now.lossy { now.mark.safe } else { now.mark.acknowledged };
        let found = self.look_at(&now.disk, life, Mark { safe, ..now.mark })?;
        // Until a writer has opened the file, a power cut can take what was begun.
        self.may_live_on(now, found, now.mark.safe.min(found), life, lives)?;
        if now.mark.fragile {
            return Ok(());
        }
        for _ in 0..self.search.power_cuts {
            if !now.name.after_power_cut(&mut self.random) {
                expect(!now.mark.created, || "the file's name is gone".into())?;
                continue;
            }
            let disk = now.disk.after_power_cut(&mut self.random);
            let found = self.look_at(&disk, life, now.mark)?;
            let left = Moment { disk, name: Name::OnDisk, ..now.clone() };
            self.may_live_on(&left, found, found, life, lives)?;
        }
        Ok(())
    }

    /// Lets another process open the remains, which have state number `found`, and continue with its own
    /// ends. Until then, another power cut can bring back a commit that was begun: its sectors and those of
    /// the repair may together complete it.
    fn may_live_on(&mut self, left: &Moment, found: usize, safe: usize, life: &Life, lives: u32) -> Outcome {
        let is_over = lives == MAX_LIVES || self.images >= MAX_IMAGES_TO_LIVE_ON;
        if is_over || !self.random.one_in(self.search.one_life_in) {
            return Ok(());
        }
        let begun = left.mark.begun.max(found);
        let mark = Mark { safe, acknowledged: found, begun, created: true, ..left.mark };
        let mut habits = life.habits.clone();
        habits.change(&mut self.random);
        if self.search.repeats {
            habits.repeat();
        }
        let disk = self.disk(left.disk.clone());
        let mut next = Life::new(disk, life.history.clone(), mark, habits, self.fork());
        next.run(1 + self.search.steps / 3)?;
        self.try_ends(Moment { mark, ..left.clone() }, &next, lives + 1)
    }

    /// Opens the remains of a crash, as a reader and then as a writer; returns the number of the state found.
    fn look_at(&mut self, left: &DiskState, life: &Life, mark: Mark) -> Outcome<usize> {
        self.images += 1;
        let disk = Disk::<Mark>::new(left.clone(), Random::new(0));
        let options = life.habits.clone().for_looking().options();
        let reader = options.read_storage(path(), storage(&disk, life.habits.geometry));
        let reader = reader.map_err(|error| format!("what is left does not open: {error}"))?;
        let found = read_all(&reader).map_err(|error| format!("what is left cannot be read: {error}"))?;
        let number = number_of(&found, &life.history, mark)?;
        if life.habits.is_version_2() && self.random.one_in(10) {
            check_frames(&reader, &life.habits)?;
        }
        self.go_on_with(&disk, life, mark)?;
        Ok(number)
    }

    /// Repairs the remains as a writer, and adds to them.
    fn go_on_with(&mut self, disk: &Disk<Mark>, life: &Life, mark: Mark) -> Outcome {
        let geometry = life.habits.geometry;
        let options = life.habits.clone().for_looking().options();
        let writer = options.write_storage(path(), path(), storage(disk, geometry), Box::new(OnlyUser));
        let writer = writer.map_err(|error| format!("what is left does not open for writing: {error}"))?;
        // After a failed sync, the state that a reader saw may be in memory only; the repair uses the disk.
        let mut expected = read_all(&writer).map_err(text)?;
        number_of(&expected, &life.history, mark)?;
        let record = self.random.bytes(30);
        expected.records.push(record.as_slice().into());
        writer.add_record(&record).and_then(|_| writer.commit()).map_err(text)?;
        let reader = options.read_storage(path(), storage(disk, geometry)).map_err(text)?;
        let now = read_all(&reader).map_err(text)?;
        expect(now == expected, || "reading does not return what was added after the repair".into())?;
        if !self.random.one_in(4) {
            return Ok(());
        }
        let problems = verify_open(&reader).map_err(text)?.problems;
        expect(problems.is_empty(), || format!("the repaired file is damaged: {problems:?}"))
    }
}

/// Checks that a crash leaves at most one torn slot, and no other damage.
fn check_frames(reader: &CaptureFile, habits: &Habits) -> Outcome {
    let slots = Slot::BOTH.map(|slot| Some(habits.geometry.slot_position(slot)));
    let problems = verify_open(reader).map_err(text)?.problems;
    let inside = problems.iter().find(|damage| !slots.contains(&damage.position));
    expect(inside.is_none(), || format!("what is left is damaged: {inside:?}"))
}

/// Returns the number of the state found, which must be one of those that the commits allow.
fn number_of(found: &State, history: &History, mark: Mark) -> Outcome<usize> {
    let allowed = history.allowed(mark);
    allowed.iter().copied().find(|&number| history.states[number] == *found).ok_or_else(|| {
        let counts: Vec<_> = allowed.iter().map(|&number| history.states[number].records.len()).collect();
        format!("{} records are left, not one of {counts:?}, or other ones ({mark:?})", found.records.len())
    })
}

/// Describes the last events of the disk, the latest first.
fn last_events(log: &[Event<Mark>]) -> String {
    let text = |event: &Event<Mark>| match event {
        Event::Changed(Change::Write { position, bytes }) => format!("{} bytes at {position}", bytes.len()),
        Event::Changed(Change::Length(length)) => format!("length {length}"),
        Event::Synced => "sync".into(),
        Event::SyncFailed(_) => "failed sync".into(),
        Event::Marked(mark) => format!("{}/{}/{}", mark.safe, mark.acknowledged, mark.begun),
        Event::Dropped { .. } | Event::Named(_) => String::new(),
    };
    log.iter().rev().map(text).filter(|text| !text.is_empty()).take(40).collect::<Vec<_>>().join(", ")
}
