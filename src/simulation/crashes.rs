//! Cutting lives off at every step, and looking at what is left.

use crate::file::CaptureFile;
use crate::format::Slot;
use crate::verify::verify_open;

use super::careless::storage;
use super::commits::{Commits, Mark};
use super::disk::{Disk, Event, Name, OnlyUser, Plan};
use super::disk_state::{Change, DiskState};
use super::habits::Habits;
use super::random::Random;
use super::workload::{Life, Outcome, State, expect, path, read_all, text};

/// Lives that follow each other, each beginning with what a crash left of the one before.
const MAX_LIVES: u32 = 4;

/// How a file's end is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Steps of the first life.
    pub(super) steps: usize,
    /// One step in this many of the first life is an end; the steps of later lives are six times as many.
    pub(super) one_end_in: usize,
    /// Power cuts tried at each end.
    pub(super) power_cuts: usize,
    /// Which calls of the disk fail.
    pub(super) faults: Plan,
    /// Whether readers map the file.
    pub(super) is_mapped: bool,
}

/// A file at one moment of its lives, and what is known of it.
#[derive(Debug, Clone)]
struct Moment {
    disk: DiskState,
    name: Name,
    commits: Commits,
    /// Whether its creation was acknowledged.
    created: bool,
}

/// One file's many ends.
pub(super) struct Explorer {
    random: Random,
    search: Search,
    /// Crash images that were looked at.
    pub(super) images: u64,
}

impl Explorer {
    pub(super) fn new(seed: u64, search: Search) -> Self {
        Self { random: Random::new(seed), search, images: 0 }
    }

    fn fork(&mut self) -> Random {
        Random::new(self.random.next())
    }

    /// Creates a file, works with it, and tries all ends.
    pub(super) fn explore(&mut self) -> Outcome {
        let habits = Habits::new(&mut self.random, !matches!(self.search.faults, Plan::None));
        let disk = Disk::new(DiskState::default(), self.fork());
        disk.set_mapped(self.search.is_mapped);
        let mut life = Life::create(disk, habits.clone(), self.fork()).map_err(text)?;
        life.fail(self.search.faults);
        life.run(self.search.steps)?;
        let commits = Commits { last: 0, previous: 0, begun: None, fragile: habits.is_fragile() };
        let start = Moment { disk: DiskState::default(), name: Name::Missing, commits, created: false };
        self.try_ends(start, &life, &habits, 1)
    }

    /// Goes through what happened to the disk again, with a crash behind, and inside, each change.
    fn try_ends(&mut self, mut now: Moment, life: &Life, habits: &Habits, lives: u32) -> Outcome {
        for event in life.disk.take_log() {
            // Later lives are many; a few ends of each are enough.
            let rarity = if lives == 1 { 1 } else { 6 };
            let chosen = self.random.one_in(rarity * self.search.one_end_in);
            if chosen && let Event::Changed(change) = &event {
                self.kill_inside(&now, change, life, habits)?;
            }
            event.replay(&mut now.disk);
            match event {
                Event::Marked(Mark(known)) => (now.commits, now.created) = (known, true),
                Event::Named(name) => now.name = name,
                _ => {}
            }
            if chosen {
                self.try_ends_here(&now, life, habits, lives)?;
            }
        }
        Ok(())
    }

    fn kill_inside(&mut self, now: &Moment, change: &Change, life: &Life, habits: &Habits) -> Outcome {
        let Some(part) = change.cut(&mut self.random).filter(|_| now.name != Name::Missing) else {
            return Ok(());
        };
        let mut left = now.disk.clone();
        left.change(part);
        self.look_at(&left, life, habits, &now.commits).map(drop)
    }

    fn try_ends_here(&mut self, now: &Moment, life: &Life, habits: &Habits, lives: u32) -> Outcome {
        // Without its name the file is as if it had never been.
        if now.name == Name::Missing {
            return Ok(());
        }
        self.look_at(&now.disk, life, habits, &now.commits)?;
        if lives < MAX_LIVES && self.random.one_in(25) {
            self.live_on(now.clone(), life.states.clone(), habits.clone(), lives + 1)?;
        }
        if now.commits.fragile {
            return Ok(());
        }
        for _ in 0..self.search.power_cuts {
            if !now.name.after_power_cut(&mut self.random) {
                expect(!now.created, || "the file's name is gone".into())?;
                continue;
            }
            let left = now.disk.after_power_cut(&mut self.random);
            let found = self.look_at(&left, life, habits, &now.commits)?;
            if lives < MAX_LIVES && self.random.one_in(25) {
                // Until a writer has repaired the file, another power cut can mix the half-written slot of
                // the commit that was begun with the repair's, and bring it back whole.
                let begun = now.commits.begun;
                let commits = Commits { last: found, previous: found, begun, fragile: false };
                let left = Moment { disk: left, name: Name::OnDisk, commits, created: true };
                self.live_on(left, life.states.clone(), habits.clone(), lives + 1)?;
            }
        }
        Ok(())
    }

    /// The next process opens what was left, continues with it, and has its own ends.
    fn live_on(&mut self, from: Moment, states: Vec<State>, mut habits: Habits, lives: u32) -> Outcome {
        habits.change(&mut self.random);
        let random = self.fork();
        let recorder = Disk::new(from.disk.clone(), self.fork());
        recorder.set_mapped(self.search.is_mapped);
        let mut life = Life::new(recorder, states, from.commits.clone(), habits.clone(), random);
        life.run(1 + self.search.steps / 3)?;
        self.try_ends(from, &life, &habits, lives)
    }

    /// Opens what a crash left, as a reader and then as a writer; returns the number of the state found.
    fn look_at(
        &mut self,
        left: &DiskState,
        life: &Life,
        habits: &Habits,
        commits: &Commits,
    ) -> Outcome<usize> {
        self.images += 1;
        let disk = Disk::<Mark>::new(left.clone(), Random::new(0));
        let reader =
            habits.clone().for_looking().options().read_storage(path(), storage(&disk, habits.geometry));
        let reader = reader.map_err(|error| format!("what is left does not open: {error}"))?;
        let found = read_all(&reader).map_err(|error| format!("what is left cannot be read: {error}"))?;
        let number = number_of(&found, life, commits)?;
        if self.random.one_in(10) {
            check_frames(&reader, habits)?;
        }
        self.go_on_with(&disk, life, habits, commits)?;
        Ok(number)
    }

    /// A writer repairs what is left and adds to it.
    fn go_on_with(&mut self, disk: &Disk<Mark>, life: &Life, habits: &Habits, commits: &Commits) -> Outcome {
        let options = habits.clone().for_looking().options();
        let writer =
            options.write_storage(path(), path(), storage(disk, habits.geometry), Box::new(OnlyUser));
        let writer = writer.map_err(|error| format!("what is left does not open for writing: {error}"))?;
        // What a reader saw may be in memory only, after a sync that failed; the repair goes by the disk.
        let mut expected = read_all(&writer).map_err(text)?;
        number_of(&expected, life, commits)?;
        let record = self.random.bytes(30);
        expected.records.push(record.as_slice().into());
        writer.add_record(&record).and_then(|_| writer.commit()).map_err(text)?;
        let reader = options.read_storage(path(), storage(disk, habits.geometry)).map_err(text)?;
        let now = read_all(&reader).map_err(text)?;
        expect(now == expected, || "what is added after the repair is not what is read".into())?;
        if !self.random.one_in(4) {
            return Ok(());
        }
        let problems = verify_open(&reader).map_err(text)?.problems;
        expect(problems.is_empty(), || format!("the repaired file is damaged: {problems:?}"))
    }
}

/// A crash may leave one slot torn, and nothing else damaged.
fn check_frames(reader: &CaptureFile, habits: &Habits) -> Outcome {
    let slots = Slot::BOTH.map(|slot| Some(habits.geometry.slot_position(slot)));
    let problems = verify_open(reader).map_err(text)?.problems;
    let inside = problems.iter().find(|damage| !slots.contains(&damage.position));
    expect(inside.is_none(), || format!("what is left is damaged: {inside:?}"))
}

/// The number of the state that was found, which has to be one of those that the commits allow.
fn number_of(found: &State, life: &Life, commits: &Commits) -> Outcome<usize> {
    allowed(commits).find(|&number| life.states[number] == *found).ok_or_else(|| {
        let counts: Vec<_> = allowed(commits).map(|number| life.states[number].records.len()).collect();
        format!("{} records are left, not one of {counts:?}, or other ones", found.records.len())
    })
}

fn allowed(commits: &Commits) -> impl Iterator<Item = usize> + '_ {
    [Some(commits.last), commits.begun, Some(commits.previous)].into_iter().flatten()
}
