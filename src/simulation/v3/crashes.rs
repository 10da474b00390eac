//! Cutting lives off at every step, and looking at what is left.

use std::sync::Arc;

use super::contents::{Outcome, State, contents, expect, snapshot_of, text};
use super::habits::{Habits, Mistake};
use super::life::Life;
use super::mark::Mark;
use crate::simulation::disk::{Disk, Event, OnlyUser, Plan};
use crate::simulation::disk_state::{Change, DiskState};
use crate::simulation::random::Random;
use crate::v3::open::reader;
use crate::v3::write::Writer;

/// Lives that follow each other, each beginning with what a crash left of the one before.
const MAX_LIVES: u32 = 5;

/// How a file's end is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Steps of the first life.
    pub(super) steps: usize,
    /// One step in this many is an end.
    pub(super) one_end_in: usize,
    /// How much rarer ends are in later lives, which are many.
    pub(super) later: usize,
    /// Whether all lives add the same records, and sync as seldom as they may.
    pub(super) repeats: bool,
    /// Power cuts tried at each end.
    pub(super) power_cuts: usize,
    /// One end in this many is lived on from.
    pub(super) one_life_in: usize,
    /// Which calls of the disk fail.
    pub(super) faults: Plan,
}

/// A file at one moment of its lives, and what is known of it.
#[derive(Debug, Clone)]
struct Moment {
    disk: DiskState,
    mark: Mark,
    /// Whether a sync has failed, so that memory may hold less than was written.
    lossy: bool,
}

/// One file's many ends.
pub(super) struct Explorer {
    random: Random,
    search: Search,
    mistake: Mistake,
    /// Crash images that were looked at.
    pub(super) images: u64,
}

impl Explorer {
    pub(super) fn new(seed: u64, search: Search, mistake: Mistake) -> Self {
        Self { random: Random::new(seed), search, mistake, images: 0 }
    }

    fn fork(&mut self) -> Random {
        Random::new(self.random.next())
    }

    /// Creates a file, works with it, and tries all ends.
    pub(super) fn explore(&mut self) -> Outcome {
        let faulty = !matches!(self.search.faults, Plan::None);
        let mut habits = Habits::new(&mut self.random, faulty, self.mistake);
        if self.search.repeats {
            habits.repeat();
        }
        let random = self.fork();
        let mut life = Life::create(habits, random)?;
        life.fail(self.search.faults);
        life.run(self.search.steps)?;
        let mark = Mark { created: false, ..life.mark };
        self.try_ends(Moment { disk: DiskState::default(), mark, lossy: false }, &life, 1)
    }

    /// Goes through what happened to the disk again, with a crash behind, and inside, each change.
    fn try_ends(&mut self, mut now: Moment, life: &Life, lives: u32) -> Outcome {
        let log = life.disk.take_log();
        for (index, event) in log.iter().enumerate() {
            let rarity = if lives == 1 { 1 } else { self.search.later };
            let chosen = now.mark.created && self.random.one_in(rarity * self.search.one_end_in);
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
        let safe = if now.lossy { now.mark.safe } else { now.mark.acknowledged };
        let killed = Moment { mark: Mark { safe, ..now.mark }, ..now.clone() };
        self.look_and_live_on(&killed, now.mark, life, lives)?;
        if now.mark.fragile {
            return Ok(());
        }
        for _ in 0..self.search.power_cuts {
            let disk = now.disk.after_power_cut(&mut self.random);
            self.look_and_live_on(&Moment { disk, ..now.clone() }, now.mark, life, lives)?;
        }
        Ok(())
    }

    fn look_and_live_on(&mut self, left: &Moment, before: Mark, life: &Life, lives: u32) -> Outcome {
        let number = self.look_at(left, life)?;
        if lives < MAX_LIVES && self.random.one_in(self.search.one_life_in) {
            // Until a writer has opened the file, another power cut can bring back, or take, what was begun.
            let (safe, begun) = (before.safe.min(number), before.begun.max(number));
            let mark = Mark { safe, acknowledged: number, begun, ..before };
            self.live_on(&Moment { disk: left.disk.clone(), mark, lossy: left.lossy }, life, lives + 1)?;
        }
        Ok(())
    }

    /// The next process opens what was left, continues with it, and has its own ends.
    fn live_on(&mut self, from: &Moment, life: &Life, lives: u32) -> Outcome {
        let mut habits = life.habits.clone();
        habits.change(&mut self.random);
        if self.search.repeats {
            habits.repeat();
        }
        let random = self.fork();
        let disk = Disk::new(from.disk.clone(), self.fork());
        let mut next = Life::new(disk, life.history(), from.mark, habits, random);
        next.run(1 + self.search.steps / 3)?;
        self.try_ends(from.clone(), &next, lives)
    }

    /// Opens what a crash left, as a reader and then as a writer; returns the number of the state found.
    fn look_at(&mut self, left: &Moment, life: &Life) -> Outcome<usize> {
        self.images += 1;
        let disk = Disk::<Mark>::new(left.disk.clone(), self.fork());
        let file = life.habits.attach(&disk, &mut self.random)?;
        let state = reader::open(&file).map_err(|error| format!("what is left does not open: {error}"))?;
        let found = contents(&snapshot_of(&file, &state));
        let found = found.map_err(|error| format!("what is left cannot be read: {error}"))?;
        let number = number_of(&found, life, left.mark)?;
        self.go_on_with(&disk, life, left.mark)?;
        Ok(number)
    }

    /// A writer opens what is left and adds to it.
    fn go_on_with(&mut self, disk: &Disk<Mark>, life: &Life, mark: Mark) -> Outcome {
        let file = life.habits.attach(disk, &mut self.random)?;
        let writer = Writer::open(Arc::clone(&file), Box::new(OnlyUser), life.habits.options());
        let mut writer =
            writer.map_err(|error| format!("what is left does not open for writing: {error}"))?;
        // What a reader saw may be in memory only, after a sync that failed.
        let mut expected = contents(&writer.committed_snapshot()).map_err(text)?;
        number_of(&expected, life, mark)?;
        let record = self.random.bytes(30);
        expected.records.push(record.as_slice().into());
        writer.add_record(&record).and_then(|_| writer.commit()).map_err(text)?;
        let file = life.habits.attach(disk, &mut self.random)?;
        let state = reader::open(&file).map_err(text)?;
        let now = contents(&snapshot_of(&file, &state)).map_err(text)?;
        expect(now == expected, || "what is added after the repair is not what is read".into())
    }
}

/// The number of the state that was found, which has to be one of those that the commits allow.
fn number_of(found: &State, life: &Life, mark: Mark) -> Outcome<usize> {
    let allowed = life.allowed(mark);
    allowed.iter().copied().find(|&number| life.states[number] == *found).ok_or_else(|| {
        let counts: Vec<_> = allowed.iter().map(|&number| life.states[number].records.len()).collect();
        format!(
            "{} records are left, not one of {counts:?}, or other ones ({:?}, {mark:?})",
            found.records.len(),
            life.habits.sync
        )
    })
}

/// What was done to the disk last, the latest first.
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
