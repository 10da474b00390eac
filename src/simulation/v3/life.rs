//! Random operations of a user on a file, and a model of the expected result.

use std::sync::Arc;

use super::careless::Careless;
use super::contents::{Outcome, State, contents, expect, snapshot_of, text};
use super::habits::Habits;
use super::mark::Mark;
use crate::error::Error;
use crate::simulation::disk::{Disk, OnlyUser, Plan};
use crate::simulation::disk_state::DiskState;
use crate::simulation::random::Random;
use crate::v3::open::reader;
use crate::v3::read::snapshot::Snapshot;
use crate::v3::shared::Shared;
use crate::v3::write::Writer;
use crate::write::options::{Making, SyncMode};

/// Tries before a disk that keeps failing is mended.
const MAX_TRIES: u32 = 20;

/// A process that works with a file, from opening it to its end.
pub(super) struct Life {
    pub(super) disk: Disk<Mark>,
    /// All that was ever begun to be committed.
    pub(super) states: Vec<State>,
    /// The state that each of them followed.
    parents: Vec<usize>,
    pub(super) mark: Mark,
    pub(super) habits: Habits,
    random: Random,
    writer: Option<Writer>,
    file: Option<Arc<Shared>>,
    /// What the file should show now, uncommitted records included.
    now: State,
    /// Snapshots that are looked at later, what they should show, and how many syncs had failed by then.
    held: Vec<(Snapshot, State, u64)>,
    faulty: bool,
}

impl Life {
    /// Creates a file on an empty disk.
    pub(super) fn create(habits: Habits, mut random: Random) -> Outcome<Self> {
        let disk = Disk::new(DiskState::default(), Random::new(random.next()));
        let metadata = random.one_in(2).then(|| random.bytes(30));
        let storage = Careless::new(disk.clone(), random.clone(), false);
        let file = habits.shared(Box::new(storage), habits.header, random.clone());
        let created =
            Writer::create(&file, Box::new(OnlyUser), metadata.as_deref(), habits.options(), Making::Hidden);
        let writer = created.map_err(text)?;
        let state = State { records: Vec::new(), metadata: metadata.map(Into::into) };
        let fragile = habits.sync == SyncMode::None;
        let mark = Mark { acknowledged: 0, safe: 0, begun: 0, fragile, created: true };
        let history = (vec![state.clone()], vec![0]);
        let mut life = Self::new(disk, history, mark, habits, random);
        (life.writer, life.file, life.now) = (Some(writer), Some(file), state);
        life.put_mark();
        Ok(life)
    }

    /// A process that finds a file as another one left it; it has yet to open it.
    pub(super) fn new(
        disk: Disk<Mark>,
        (states, parents): (Vec<State>, Vec<usize>),
        mark: Mark,
        habits: Habits,
        random: Random,
    ) -> Self {
        Self {
            disk,
            states,
            parents,
            mark,
            habits,
            random,
            writer: None,
            file: None,
            now: State::default(),
            held: Vec::new(),
            faulty: false,
        }
    }

    pub(super) fn fail(&mut self, plan: Plan) {
        self.disk.set_plan(plan);
        self.faulty = !matches!(plan, Plan::None);
    }

    fn put_mark(&self) {
        self.disk.mark(self.mark);
    }

    /// Continues for this many steps.
    pub(super) fn run(&mut self, steps: usize) -> Outcome {
        if self.writer.is_none() {
            self.reopen()?;
        }
        for _ in 0..steps {
            self.step()?;
        }
        self.check_held()
    }

    /// Opens the file again and takes up the state that it is found in.
    pub(super) fn reopen(&mut self) -> Outcome {
        self.held.clear();
        if self.writer.take().is_some() && self.random.one_in(2) {
            self.habits.change(&mut self.random);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.open_and_read() {
                Ok(found) => return self.take_up(&found),
                Err(Error::Io { .. }) if self.faulty => {
                    if tries == MAX_TRIES {
                        self.disk.set_plan(Plan::None);
                    }
                }
                Err(error) => return Err(format!("it does not open: {error}")),
            }
        }
    }

    fn open_and_read(&mut self) -> Result<State, Error> {
        let failed = |found: String| Error::Io {
            path: "simulated.capture".into(),
            action: "read",
            source: std::io::Error::other(found),
        };
        let file = self.habits.attach(&self.disk, &mut self.random).map_err(failed)?;
        let writer = Writer::open(Arc::clone(&file), Box::new(OnlyUser), self.habits.options())?;
        let found = contents(&writer.committed_snapshot())?;
        (self.writer, self.file) = (Some(writer), Some(file));
        Ok(found)
    }

    fn take_up(&mut self, found: &State) -> Outcome {
        let mark = self.mark;
        let number = self.allowed(mark).into_iter().find(|&number| self.states[number] == *found);
        let Some(number) = number else {
            return Err(format!("it opens with {}", self.describe(found)));
        };
        self.now = found.clone();
        let fragile = self.habits.sync == SyncMode::None;
        self.mark = Mark { acknowledged: number, safe: number, begun: number, fragile, created: true };
        self.put_mark();
        Ok(())
    }

    /// The states that a file may be found in, the newest first.
    pub(super) fn allowed(&self, mark: Mark) -> Vec<usize> {
        let parent = |&number: &usize| (number > mark.safe).then(|| self.parents[number]);
        std::iter::successors(Some(mark.begun), parent).collect()
    }

    /// The states so far, and what each of them followed.
    pub(super) fn history(&self) -> (Vec<State>, Vec<usize>) {
        (self.states.clone(), self.parents.clone())
    }

    fn describe(&self, found: &State) -> String {
        let Mark { acknowledged, .. } = self.mark;
        let counts: Vec<_> =
            self.allowed(self.mark).iter().map(|&number| self.states[number].records.len()).collect();
        format!(
            "{} records where one of {counts:?} was committed (acknowledged {}), or with others than these",
            found.records.len(),
            self.states[acknowledged].records.len()
        )
    }

    fn step(&mut self) -> Outcome {
        if self.habits.same_records && !self.random.one_in(10) {
            return self.repeat();
        }
        if self.random.chance(self.habits.commits) {
            return self.commit();
        }
        match self.random.below(24) {
            0 => self.rollback(),
            1 => self.reopen_cleanly(),
            2 => self.batch(),
            3 => self.hold(),
            4 | 5 => self.look(),
            6 => self.look_from_outside(),
            7..10 => self.set_metadata(),
            _ => self.add(),
        }
    }

    /// Commits what depends on nothing but the number of records that there are.
    fn repeat(&mut self) -> Outcome {
        let mut of_number = Random::new(self.now.records.len() as u64);
        for _ in 0..of_number.below(4) {
            let record = self.some_bytes();
            match self.writer()?.add_record(&record) {
                Ok(_) => self.now.records.push(record),
                Err(error) => return self.after(error),
            }
        }
        if of_number.one_in(3) || self.now == self.states[self.mark.acknowledged] {
            let metadata: Arc<[u8]> = vec![b'm'; self.now.records.len() % 40].into();
            match self.writer()?.set_metadata(Some(&metadata)) {
                Ok(()) => self.now.metadata = Some(metadata),
                Err(error) => return self.after(error),
            }
        }
        self.commit()
    }

    fn writer(&mut self) -> Outcome<&mut Writer> {
        self.writer.as_mut().ok_or_else(|| "no file is open".into())
    }

    fn some_bytes(&mut self) -> Arc<[u8]> {
        if self.habits.same_records {
            let mut of_number = Random::new(self.now.records.len() as u64);
            let length = of_number.below(self.habits.max_record + 1);
            let byte = of_number.bytes(1)[0];
            return vec![byte; length].into();
        }
        let length = self.random.below(self.habits.max_record + 1);
        if self.random.one_in(2) {
            return self.random.bytes(length).into();
        }
        let byte = self.random.bytes(1)[0];
        vec![byte; length].into()
    }

    fn add(&mut self) -> Outcome {
        for _ in 0..=self.random.below(self.habits.max_records) {
            let record = self.some_bytes();
            match self.writer()?.add_record(&record) {
                Ok(count) => {
                    self.now.records.push(record);
                    let expected = self.now.records.len();
                    expect(count == expected as u64, || {
                        format!("adding gives count {count}, not {expected}")
                    })?;
                }
                Err(error) => return self.after(error),
            }
        }
        Ok(())
    }

    /// Records that are added together and then kept or not.
    fn batch(&mut self) -> Outcome {
        let before = self.now.clone();
        let savepoint = match self.writer()?.savepoint() {
            Ok(savepoint) => savepoint,
            Err(error) => return self.after(error),
        };
        for _ in 0..=self.random.below(2 * self.habits.max_records) {
            let record = self.some_bytes();
            match self.writer()?.add_record(&record) {
                Ok(_) => self.now.records.push(record),
                Err(error) => return self.after(error),
            }
        }
        if self.random.one_in(2) {
            self.writer()?.restore(savepoint);
            self.now = before;
        }
        Ok(())
    }

    fn set_metadata(&mut self) -> Outcome {
        let metadata = match self.random.below(16) {
            0..4 => None,
            4..7 => Some(Arc::from(self.random.bytes(900))),
            _ => Some(self.some_bytes()),
        };
        match self.writer()?.set_metadata(metadata.as_deref()) {
            Ok(()) => self.now.metadata = metadata,
            Err(error) => return self.after(error),
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Outcome {
        self.states.push(self.now.clone());
        self.parents.push(self.mark.acknowledged);
        let number = self.states.len() - 1;
        self.mark.begun = number;
        self.mark.fragile |= self.habits.sync == SyncMode::None;
        self.put_mark();
        let synced = self.disk.syncs();
        match self.writer()?.commit() {
            Ok(_) => {
                let before = self.mark.acknowledged;
                self.mark.safe = match self.habits.sync {
                    SyncMode::Full => number,
                    // A sync brings to the disk what was committed before.
                    SyncMode::Barrier if self.disk.syncs() > synced => before,
                    _ => self.mark.safe,
                };
                self.mark.acknowledged = number;
                self.put_mark();
                Ok(())
            }
            Err(error @ Error::CommitUncertain { .. }) => self.after(error),
            Err(error) => {
                self.mark.begun = self.mark.acknowledged;
                self.put_mark();
                self.after_commit(&error)
            }
        }
    }

    /// A commit failed and has not happened: it is tried again, rolled back, or left.
    fn after_commit(&mut self, error: &Error) -> Outcome {
        expect(self.faulty, || format!("a commit fails: {error}"))?;
        match self.random.below(3) {
            0 if matches!(error, Error::Io { .. }) => match self.writer()?.check_health() {
                Ok(()) => self.commit(),
                Err(_) => self.reopen(),
            },
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
        match self.writer()?.rollback() {
            Ok(()) => {
                self.now = self.states[self.mark.acknowledged].clone();
                Ok(())
            }
            Err(error) => self.after(error),
        }
    }

    fn reopen_cleanly(&mut self) -> Outcome {
        let lost = self.writer()?.uncommitted_records();
        let kept = self.states[self.mark.acknowledged].records.len();
        let uncommitted = self.now.records.len() - kept;
        expect(lost == uncommitted as u64, || format!("closing loses {lost} records, not {uncommitted}"))?;
        let held = std::mem::take(&mut self.held);
        self.reopen()?;
        self.held = held;
        Ok(())
    }

    /// Keeps a snapshot, to look at it when much has happened.
    fn hold(&mut self) -> Outcome {
        match self.writer()?.snapshot() {
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
            match contents(&snapshot) {
                Ok(found) => expect(found == expected, || "a snapshot has changed".into())?,
                Err(Error::Io { .. } | Error::OutOfMemory { .. }) if self.faulty => {}
                Err(error) => return Err(format!("a snapshot cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// Reads what the writer sees.
    fn look(&mut self) -> Outcome {
        let found = self.writer()?.snapshot().and_then(|snapshot| contents(&snapshot));
        match found {
            Ok(found) => expect(found == self.now, || {
                format!(
                    "the writer sees something else than it wrote: {} {} records, metadata {:?} {:?}",
                    found.records.len(),
                    self.now.records.len(),
                    found.metadata,
                    self.now.metadata
                )
            }),
            Err(error) => self.after(error),
        }
    }

    /// Reads what others see.
    fn look_from_outside(&mut self) -> Outcome {
        let file = match self.habits.attach(&self.disk, &mut self.random) {
            Ok(file) => file,
            Err(_) if self.faulty => return Ok(()),
            Err(problem) => return Err(problem),
        };
        let found = reader::open(&file).and_then(|state| contents(&snapshot_of(&file, &state)));
        match found {
            Ok(found) => {
                let committed = &self.states[self.mark.acknowledged];
                expect(found == *committed, || "others see something else than was committed".into())
            }
            Err(error) => self.after(error),
        }
    }
}
