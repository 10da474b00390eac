//! Readers during writes: the writer's changes to the disk are replayed while they read, in whole writes and
//! parts of writes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::file::CaptureFile;
use crate::simulation::commits::{History, Mark};
use crate::simulation::contents::{Outcome, path, read_all, text};
use crate::simulation::disk::{Disk, Event, Mapped};
use crate::simulation::disk_state::{Change, DiskState};
use crate::simulation::habits::Habits;
use crate::simulation::random::Random;
use crate::simulation::workload::Life;
use crate::storage::{Map, Storage, too_short};

const STEPS: usize = 60;
/// Number of readers of one film.
const READERS: usize = 2;

/// The history of a disk, replayed up to some moment.
#[derive(Debug)]
struct Reel {
    events: Arc<Vec<Event<Mark>>>,
    at: usize,
    /// Number of bytes of the current write that have been replayed.
    done: usize,
    file: Vec<u8>,
    map: Option<Arc<Vec<u8>>>,
    mark: Option<Mark>,
    random: Random,
    /// Probability, in percent, that the film advances at a read.
    speed: usize,
    /// Maximum number of parts by which it advances.
    parts: usize,
}

impl Reel {
    /// Replays the next part of an event.
    fn run_on(&mut self) {
        let Some(event) = self.events.get(self.at).cloned() else { return };
        self.map = None;
        if let Event::Changed(Change::Write { position, bytes }) = &event {
            let left = bytes.len() - self.done;
            let part = if self.random.one_in(2) { left } else { self.random.below(left + 1) };
            self.put(*position + self.done, &bytes[self.done..self.done + part]);
            self.done += part;
            if self.done < bytes.len() {
                return;
            }
        }
        self.done = 0;
        self.at += 1;
        match event {
            Event::Changed(Change::Length(length)) => self.file.resize(length, 0),
            Event::Marked(mark) => self.mark = Some(mark),
            _ => {}
        }
    }

    fn put(&mut self, position: usize, bytes: &[u8]) {
        let end = position + bytes.len();
        if self.file.len() < end {
            self.file.resize(end, 0);
        }
        self.file[position..end].copy_from_slice(bytes);
    }

    fn is_over(&self) -> bool {
        self.at == self.events.len()
    }
}

/// The film as a readable file.
#[derive(Debug, Clone)]
struct Film(Arc<Mutex<Reel>>);

impl Film {
    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Film {
    fn length(&self) -> io::Result<u64> {
        Ok(self.reel().file.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut reel = self.reel();
        let speed = reel.speed;
        if reel.random.chance(speed) {
            let parts = reel.parts;
            for _ in 0..=reel.random.below(parts) {
                reel.run_on();
            }
        }
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(reel.file.len());
        let there = (reel.file.len() - from).min(buffer.len());
        let short = there > 1 && reel.random.chance(40);
        let length = if short { 1 + reel.random.below(there) } else { there };
        buffer[..length].copy_from_slice(&reel.file[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn drop_cached(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, needed: u64) -> io::Result<Option<Map>> {
        let mut reel = self.reel();
        let length = reel.file.len() as u64;
        if length < needed {
            return Err(too_short(length, needed));
        }
        // Some file systems have no reliable maps.
        if reel.random.one_in(4) {
            return Ok(None);
        }
        let map = match reel.map.take() {
            Some(map) => map,
            None => Arc::new(reel.file.clone()),
        };
        reel.map = Some(Arc::clone(&map));
        Ok(Some(Map::new(map)))
    }

    fn identity(&self) -> io::Result<crate::lock::FileIdentity> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn wait_for_change(&self, _: u64, _: [u8; 4], _: Duration) {}
}

/// Records the life of a writer, or several lives that end in kills, as a film.
struct Story {
    events: Vec<Event<Mark>>,
    history: History,
    habits: Habits,
    last: usize,
}

fn record(random: &mut Random) -> Outcome<Story> {
    let habits = Habits::new(3, random, false);
    let mut life = Life::create(new_disk(DiskState::default(), random), habits, Random::new(random.next()))
        .map_err(text)?;
    let mut events = Vec::new();
    for lives in 0..=random.below(3) {
        if lives > 0 {
            life.habits.change(random);
        }
        life.run(STEPS)?;
        let mut log = life.disk.take_log();
        let is_last = random.one_in(2);
        if !is_last {
            cut(&mut log, random, lives == 0);
        }
        let mut disk = DiskState::default();
        events.extend(log);
        for event in &events {
            event.replay(&mut disk);
        }
        let mark = events.iter().rev().find_map(|event| match event {
            Event::Marked(mark) => Some(*mark),
            _ => None,
        });
        let mark = mark.ok_or("no file was created")?;
        if is_last {
            let last = mark.acknowledged;
            return Ok(Story { events, history: life.history, habits: life.habits, last });
        }
        let mark = Mark { safe: mark.acknowledged, ..mark };
        let disk = new_disk(disk, random);
        life = Life::new(disk, life.history, mark, life.habits, Random::new(random.next()));
        life.reopen()?;
    }
    life.run(STEPS)?;
    events.extend(life.disk.take_log());
    Ok(Story { events, last: life.mark.acknowledged, history: life.history, habits: life.habits })
}

fn new_disk(state: DiskState, random: &mut Random) -> Disk<Mark> {
    let disk = Disk::new(state, Random::new(random.next()));
    disk.set_mapped(Mapped::Some);
    disk
}

/// Ends a life at a random point, perhaps inside a write.
fn cut(log: &mut Vec<Event<Mark>>, random: &mut Random, first_life: bool) {
    let created = log.iter().position(|event| matches!(event, Event::Marked(_))).unwrap_or_default();
    let start = if first_life { created + 1 } else { 0 };
    log.truncate(start + random.below(log.len() - start + 1));
    if let Some(Event::Changed(change)) = log.last()
        && let Some(part) = change.cut(random)
    {
        log.pop();
        log.push(Event::Changed(part));
    }
}

/// One reader, and the number of the last state that it has seen.
struct Reader {
    film: Film,
    file: Option<CaptureFile>,
    last: usize,
}

impl Reader {
    /// Opens the file or refreshes; the state must be one that was committed at that time, and no older than
    /// the last one that this reader saw.
    fn look(&mut self, story: &Story, acknowledged: usize) -> Outcome<usize> {
        match &self.file {
            None => {
                let options = story.habits.clone().for_looking().options();
                let film = Box::new(self.film.clone());
                self.file = Some(options.read_storage(path(), film).map_err(text)?);
            }
            Some(file) => {
                file.refresh(false).map_err(text)?;
            }
        }
        let found = self.file.as_ref().map(read_all).transpose().map_err(text)?.unwrap_or_default();
        let states = &story.history.states;
        let begun = self.film.reel().mark.map_or(0, |mark| mark.begun);
        let least = acknowledged.max(self.last);
        let allowed = least..=begun.min(states.len() - 1).max(least);
        let number = allowed.clone().find(|&number| states[number] == found).ok_or_else(|| {
            let counts: Vec<_> = allowed.map(|number| states[number].records.len()).collect();
            format!("a reader sees {} records, not one of {counts:?}, or other ones", found.records.len())
        })?;
        self.last = number;
        Ok(number)
    }
}

/// Shows the film of one seed to readers; returns how often they looked.
pub(super) fn watch(seed: u64) -> Outcome<u64> {
    let mut random = Random::new(seed);
    let mut story = record(&mut random)?;
    let events = Arc::new(std::mem::take(&mut story.events));
    let mut looks = 0;
    for _ in 0..READERS {
        looks += watch_once(&story, &events, &mut random)?;
    }
    Ok(looks)
}

fn watch_once(story: &Story, events: &Arc<Vec<Event<Mark>>>, random: &mut Random) -> Outcome<u64> {
    let speed = [3, 10, 50, 90][random.below(4)];
    let parts = [2, 12, 60][random.below(3)];
    let film = Film(Arc::new(Mutex::new(Reel {
        events: Arc::clone(events),
        at: 0,
        done: 0,
        file: Vec::new(),
        map: None,
        mark: None,
        random: Random::new(random.next()),
        speed,
        parts,
    })));
    while film.reel().mark.is_none() {
        film.reel().run_on();
    }
    let mut reader = Reader { film: film.clone(), file: None, last: 0 };
    let mut looks = 0;
    loop {
        let was_over = film.reel().is_over();
        let acknowledged = film.reel().mark.map_or(0, |mark| mark.acknowledged);
        let number = reader.look(story, acknowledged)?;
        looks += 1;
        if was_over {
            return if number >= story.last { Ok(looks) } else { Err("a reader is left behind".into()) };
        }
        for _ in 0..random.below(parts) {
            film.reel().run_on();
        }
        if random.one_in(15) {
            reader.file = None;
        }
    }
}
