//! Random operations of a user on a file, and a model of the expected result.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::either::snapshot::Snapshot;
use crate::error::Error;
use crate::file::CaptureFile;
use crate::format::master::MasterNode;
use crate::format::{Geometry, Slot, in_memory};
use crate::storage::{Storage, read_up_to, write_all};
use crate::write::options::{Commit, SyncMode};

use super::careless::storage;
use super::commits::{Commits, Mark};
use super::disk::{Disk, OnlyUser, Plan};
use super::habits::Habits;
use super::meanwhile::meanwhile;
use super::random::Random;

/// What a check found to be wrong, in words.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// Tries before a disk that keeps failing is mended.
const MAX_TRIES: u32 = 20;

/// Records and metadata, as a file should show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) records: Vec<Arc<[u8]>>,
    pub(super) metadata: Option<Arc<[u8]>>,
}

/// The path that messages name.
pub(super) fn path() -> &'static Path {
    Path::new("simulated.capture")
}

/// Numbers the two commits of a new file so that a few more pass the largest serial number.
fn bring_serials_to(last: u32, geometry: Geometry, disk: &Disk<Mark>) -> io::Result<()> {
    for (slot, serial) in [(Slot::B, last - 1), (Slot::A, last)] {
        let position = geometry.slot_position(slot);
        let mut image = vec![0; in_memory(geometry.slot_size())];
        read_up_to(disk, &mut image, position)?;
        let node = MasterNode::decode(&geometry, slot, &image)
            .map_err(|bad| io::Error::other(bad.damage.to_string()))?;
        node.encode(serial, &geometry, &mut image);
        write_all(disk, &image, position)?;
    }
    disk.sync()
}

/// A process that works with a file, from opening it to its end.
pub(super) struct Life {
    pub(super) disk: Disk<Mark>,
    pub(super) states: Vec<State>,
    pub(super) commits: Commits,
    habits: Habits,
    random: Random,
    file: Option<Arc<CaptureFile>>,
    /// What the file should show now, uncommitted records included.
    now: State,
    /// Snapshots that are looked at later: what they should show, and how many syncs had failed by then.
    held: Vec<(Arc<Snapshot>, State, u64)>,
    /// Whether calls of the disk may fail.
    faulty: bool,
}

impl Life {
    /// Creates a file on an empty disk, for a process that has yet to open it.
    pub(super) fn create(disk: Disk<Mark>, habits: Habits, mut random: Random) -> Result<Self, Error> {
        let last_serial = random.one_in(4).then(|| u32::MAX - 1 - 2 * u32::from(random.one_in(2)));
        let move_in = || {
            if let Some(last) = last_serial {
                bring_serials_to(last, habits.geometry, &disk)?;
            }
            disk.move_in()
        };
        habits.options().create_storage(
            path(),
            path(),
            storage(&disk, habits.geometry),
            Box::new(OnlyUser),
            move_in,
        )?;
        let state =
            State { records: Vec::new(), metadata: habits.initial_metadata.as_deref().map(Into::into) };
        let commits = Commits { last: 0, previous: 0, begun: None, fragile: habits.is_fragile() };
        let life = Self::new(disk, vec![state], commits, habits, random);
        life.mark();
        Ok(life)
    }

    /// A process that finds a file as another one left it; it has yet to open it.
    pub(super) fn new(
        disk: Disk<Mark>,
        states: Vec<State>,
        commits: Commits,
        habits: Habits,
        random: Random,
    ) -> Self {
        let now = states[commits.last].clone();
        Self { disk, states, commits, habits, random, file: None, now, held: Vec::new(), faulty: false }
    }

    pub(super) fn fail(&mut self, plan: Plan) {
        self.disk.set_plan(plan);
        self.faulty = !matches!(plan, Plan::None);
    }

    fn mark(&self) {
        self.disk.mark(Mark(self.commits.clone()));
    }

    /// The states that the file may be found in.
    fn candidates(&self) -> Vec<usize> {
        let mut candidates = vec![self.commits.last];
        candidates.extend(self.commits.begun);
        candidates.push(self.commits.previous);
        candidates
    }

    /// Opens the file again and takes up the state that it is found in.
    pub(super) fn reopen(&mut self) -> Outcome {
        if self.file.take().is_some() && self.random.one_in(2) {
            self.habits.change(&mut self.random);
        }
        let mut tries = 0;
        loop {
            let opened = self.open_and_read();
            tries += 1;
            match opened {
                Ok((file, found)) => return self.take_up(file, &found),
                Err(Error::Io { .. }) if self.faulty => {
                    if tries == MAX_TRIES {
                        self.disk.set_plan(Plan::None);
                    }
                }
                Err(error) => return Err(format!("it does not open: {error}")),
            }
        }
    }

    fn open_and_read(&self) -> Result<(CaptureFile, State), Error> {
        let file = self.habits.options().write_storage(
            path(),
            path(),
            storage(&self.disk, self.habits.geometry),
            Box::new(OnlyUser),
        )?;
        let found = read_all(&file)?;
        Ok((file, found))
    }

    fn take_up(&mut self, file: CaptureFile, found: &State) -> Outcome {
        let candidates = self.candidates();
        let Some(&number) = candidates.iter().find(|&&number| self.states[number] == *found) else {
            return Err(format!("it opens with {}", self.describe(found, &candidates)));
        };
        self.file = Some(Arc::new(file));
        self.now = found.clone();
        let fragile = self.commits.fragile || self.habits.sync == SyncMode::None;
        self.commits = Commits { last: number, previous: number, begun: None, fragile };
        if self.habits.sync != SyncMode::None {
            self.commits.fragile = false;
        }
        self.mark();
        Ok(())
    }

    fn describe(&self, found: &State, candidates: &[usize]) -> String {
        let counts: Vec<_> = candidates.iter().map(|&number| self.states[number].records.len()).collect();
        format!(
            "{} records where one of {counts:?} was committed, or with others than these",
            found.records.len()
        )
    }

    /// Continues for this many steps.
    pub(super) fn run(&mut self, steps: usize) -> Outcome {
        if self.file.is_none() {
            self.reopen()?;
        }
        for _ in 0..steps {
            self.step()?;
        }
        self.check_held()
    }

    fn step(&mut self) -> Outcome {
        let percent = self.random.below(100);
        if percent < self.habits.commits {
            return self.commit();
        }
        match self.random.below(20) {
            0 => self.rollback(),
            1 => self.close(),
            2 => self.batch(),
            3 => self.hold(),
            4 | 5 => self.look(),
            6 => self.look_from_outside(),
            7 | 8 => self.set_metadata(),
            _ if self.habits.metadata_only => self.set_metadata(),
            _ => self.add(),
        }
    }

    fn file(&self) -> Outcome<&Arc<CaptureFile>> {
        self.file.as_ref().ok_or_else(|| "no file is open".into())
    }

    fn some_bytes(&mut self) -> Arc<[u8]> {
        let length = self.random.below(self.habits.longest_record + 1);
        if self.random.one_in(2) {
            return self.random.bytes(length).into();
        }
        let byte = self.random.bytes(1)[0];
        vec![byte; length].into()
    }

    fn add(&mut self) -> Outcome {
        for _ in 0..=self.random.below(self.habits.most_records) {
            let record = self.some_bytes();
            match self.file()?.add_record(&record) {
                Ok(count) => {
                    self.now.records.push(record);
                    expect(count == self.now.records.len() as u64, || format!("adding gives count {count}"))?;
                }
                Err(error) => return self.after(error),
            }
        }
        Ok(())
    }

    /// Records that are added together and then kept or not.
    fn batch(&mut self) -> Outcome {
        let keep = self.random.one_in(2);
        let records: Vec<_> =
            (0..=self.random.below(self.habits.most_records)).map(|_| self.some_bytes()).collect();
        match add_batch(self.file()?, &records, keep) {
            Ok(()) if keep => self.now.records.extend(records),
            Ok(()) => {}
            Err(error) => return self.after(error),
        }
        Ok(())
    }

    fn set_metadata(&mut self) -> Outcome {
        let metadata = if self.random.one_in(4) { None } else { Some(self.some_bytes()) };
        match self.file()?.set_metadata(metadata.as_deref()) {
            Ok(()) => self.now.metadata = metadata,
            Err(error) => return self.after(error),
        }
        Ok(())
    }

    fn commit(&mut self) -> Outcome {
        if self.now == self.states[self.commits.last] {
            return Ok(());
        }
        self.states.push(self.now.clone());
        let number = self.states.len() - 1;
        self.commits.begun = Some(number);
        self.commits.fragile |= self.habits.sync == SyncMode::None;
        self.mark();
        let committed = self.commit_while_others_work()?;
        match committed {
            Ok(_) => {
                let previous = if self.habits.sync == SyncMode::Barrier { self.commits.last } else { number };
                self.commits = Commits { last: number, previous, begun: None, fragile: self.commits.fragile };
                self.mark();
                Ok(())
            }
            Err(error @ Error::CommitUncertain { .. }) => self.after(error),
            Err(error) => {
                self.commits.begun = None;
                self.mark();
                self.after_commit(&error)
            }
        }
    }

    /// Commits; in some commits another thread adds records and looks, while they wait for the disk.
    fn commit_while_others_work(&mut self) -> Outcome<Result<Option<Commit>, Error>> {
        let file = Arc::clone(self.file()?);
        if !self.random.one_in(3) {
            return Ok(file.commit());
        }
        let many = self.random.below(2 * self.habits.most_records);
        let mut records: Vec<_> = (0..=many).map(|_| self.some_bytes()).collect();
        let seen = Arc::new(Mutex::new((self.now.clone(), Vec::new())));
        let (other, theirs, disk) = (Arc::clone(&file), Arc::clone(&seen), self.disk.clone());
        let work = move || {
            let mut theirs = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            let (now, looks) = &mut *theirs;
            looks.extend(other.snapshot().map(|snapshot| (snapshot, now.clone(), disk.failed_syncs())));
            for record in records.split_off(records.len() / 2) {
                if other.add_record(&record).is_ok() {
                    now.records.push(record);
                }
            }
        };
        let committed = meanwhile(work, || file.commit());
        let mut theirs = seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.now = theirs.0.clone();
        self.held.append(&mut theirs.1);
        Ok(committed)
    }

    /// A commit failed and has not happened: it is tried again, rolled back, or left.
    fn after_commit(&mut self, error: &Error) -> Outcome {
        expect(self.faulty, || format!("a commit fails: {error}"))?;
        match self.random.below(3) {
            0 => self.commit(),
            1 => self.rollback(),
            _ => self.reopen(),
        }
    }

    /// A call failed; only a disk that fails may be the cause.
    fn after(&mut self, error: Error) -> Outcome {
        match error {
            Error::CommitUncertain { .. } | Error::WriterFailed { .. } if self.faulty => self.reopen(),
            Error::Io { .. } if self.faulty => match self.random.below(3) {
                0 => self.rollback(),
                1 => self.reopen(),
                _ => Ok(()),
            },
            error => Err(format!("a call fails: {error}")),
        }
    }

    fn rollback(&mut self) -> Outcome {
        match self.file()?.rollback() {
            Ok(()) => {
                self.now = self.states[self.commits.last].clone();
                Ok(())
            }
            Err(error) => self.after(error),
        }
    }

    fn close(&mut self) -> Outcome {
        let lost = self.file()?.close();
        let uncommitted = self.now.records.len() - self.states[self.commits.last].records.len();
        expect(lost == uncommitted as u64, || format!("closing loses {lost} records, not {uncommitted}"))?;
        self.reopen()
    }

    /// Keeps a snapshot, to look at it when much has happened.
    fn hold(&mut self) -> Outcome {
        match self.file()?.snapshot() {
            Ok(snapshot) => self.held.push((snapshot, self.now.clone(), self.disk.failed_syncs())),
            Err(error) => return self.after(error),
        }
        if self.held.len() > 3 { self.check_held() } else { Ok(()) }
    }

    fn check_held(&mut self) -> Outcome {
        for (snapshot, expected, failed_syncs) in std::mem::take(&mut self.held) {
            // What a sync that failed took away was never on the disk, and may be gone for those who saw it.
            if failed_syncs != self.disk.failed_syncs() {
                continue;
            }
            match read_snapshot(&snapshot) {
                Ok(found) => expect(found == expected, || "a snapshot has changed".into())?,
                Err(Error::Io { .. } | Error::OutOfMemory { .. }) if self.faulty => {}
                Err(error) => return Err(format!("a snapshot cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// Reads what the writer sees.
    fn look(&mut self) -> Outcome {
        match read_all(self.file()?) {
            Ok(found) => expect(found == self.now, || "the writer sees something else than it wrote".into()),
            Err(error) => self.after(error),
        }
    }

    /// Reads what others see.
    fn look_from_outside(&mut self) -> Outcome {
        let opened = self.habits.options().read_storage(path(), storage(&self.disk, self.habits.geometry));
        match opened.and_then(|file| read_all(&file)) {
            Ok(found) => {
                let committed = &self.states[self.commits.last];
                expect(found == *committed, || "others see something else than was committed".into())
            }
            Err(error) => self.after(error),
        }
    }
}

fn add_batch(file: &CaptureFile, records: &[Arc<[u8]>], keep: bool) -> Result<(), Error> {
    let mut batch = file.batch()?;
    for record in records {
        batch.add(record)?;
    }
    if keep {
        batch.finish()?;
    }
    Ok(())
}

pub(super) fn read_all(file: &CaptureFile) -> Result<State, Error> {
    read_snapshot(&file.snapshot()?)
}

fn read_snapshot(snapshot: &Arc<Snapshot>) -> Result<State, Error> {
    let records = snapshot.records(1).map(|record| Ok((*record?).into())).collect::<Result<_, Error>>()?;
    Ok(State { records, metadata: snapshot.metadata()?.map(|metadata| (*metadata).into()) })
}

pub(super) fn expect(sound: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if sound { Ok(()) } else { Err(otherwise()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it goes where an error is to become something else")]
pub(super) fn text(error: Error) -> String {
    error.to_string()
}
