//! Random operations of a user on a file, and a model of the expected result.

mod committing;

use std::io;
use std::sync::Arc;

use crate::either::snapshot::Snapshot;
use crate::error::Error;
use crate::file::CaptureFile;
use crate::format::master::MasterNode;
use crate::format::{Geometry, Slot, in_memory};
use crate::storage::{Storage, read_up_to, write_all};

use super::careless::storage;
use super::commits::{History, Mark};
use super::contents::{Outcome, State, expect, path, read_all, read_snapshot};
use super::disk::{Disk, OnlyUser, Plan};
use super::habits::Habits;
use super::random::Random;

/// Number of attempts before a failing disk is repaired.
const MAX_TRIES: u32 = 20;

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
    pub(super) history: History,
    pub(super) mark: Mark,
    pub(super) habits: Habits,
    random: Random,
    file: Option<Arc<CaptureFile>>,
    /// The expected state, including uncommitted records.
    now: State,
    /// Snapshots that are checked later, with the expected state, and the number of failed syncs when they were taken.
    held: Vec<(Arc<Snapshot>, State, u64)>,
    /// Whether calls of the disk may fail.
    faulty: bool,
}

impl Life {
    /// Creates a file on an empty disk, for a process that has yet to open it.
    pub(super) fn create(disk: Disk<Mark>, habits: Habits, mut random: Random) -> Result<Self, Error> {
        let last_serial = (habits.is_version_2() && random.one_in(4))
            .then(|| u32::MAX - 1 - 2 * u32::from(random.one_in(2)));
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
        let history = History { states: vec![state], parents: vec![0] };
        let life = Self::new(disk, history, Mark::settled(0, habits.is_fragile()), habits, random);
        life.put_mark();
        Ok(life)
    }

    /// Creates a process for a file that another one left, which it has yet to open.
    pub(super) fn new(
        disk: Disk<Mark>,
        history: History,
        mark: Mark,
        habits: Habits,
        random: Random,
    ) -> Self {
        let now = history.states[mark.acknowledged].clone();
        Self { disk, history, mark, habits, random, file: None, now, held: Vec::new(), faulty: false }
    }

    pub(super) fn fail(&mut self, plan: Plan) {
        self.disk.set_plan(plan);
        self.faulty = !matches!(plan, Plan::None);
    }

    fn put_mark(&self) {
        self.disk.mark(self.mark);
    }

    /// Returns the last acknowledged state.
    fn acknowledged(&self) -> &State {
        &self.history.states[self.mark.acknowledged]
    }

    /// Opens the file again and continues with the state that it finds.
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
        let allowed = self.history.allowed(self.mark);
        let Some(&number) = allowed.iter().find(|&&number| self.history.states[number] == *found) else {
            return Err(format!("it opens with {}", self.describe(found, &allowed)));
        };
        self.file = Some(Arc::new(file));
        self.now = found.clone();
        self.mark = Mark::settled(number, self.habits.is_fragile());
        self.put_mark();
        Ok(())
    }

    fn describe(&self, found: &State, allowed: &[usize]) -> String {
        let counts: Vec<_> =
            allowed.iter().map(|&number| self.history.states[number].records.len()).collect();
        format!(
            "{} records where one of {counts:?} was committed, or with others than these",
            found.records.len()
        )
    }

    /// Runs this many steps.
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
        if self.habits.same_records && !self.random.one_in(10) {
            return self.repeat();
        }
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

    /// Commits data that depends only on the number of records.
    fn repeat(&mut self) -> Outcome {
        let mut of_number = Random::new(self.now.records.len() as u64);
        for _ in 0..of_number.below(4) {
            let record = self.some_bytes();
            match self.file()?.add_record(&record) {
                Ok(_) => self.now.records.push(record),
                Err(error) => return self.after(error),
            }
        }
        if of_number.one_in(3) || self.now == *self.acknowledged() {
            let metadata: Arc<[u8]> = vec![b'm'; self.now.records.len() % 40].into();
            match self.file()?.set_metadata(Some(&metadata)) {
                Ok(()) => self.now.metadata = Some(metadata),
                Err(error) => return self.after(error),
            }
        }
        self.commit()
    }

    fn file(&self) -> Outcome<&Arc<CaptureFile>> {
        self.file.as_ref().ok_or_else(|| "no file is open".into())
    }

    fn some_bytes(&mut self) -> Arc<[u8]> {
        if self.habits.same_records {
            let mut of_number = Random::new(self.now.records.len() as u64);
            let length = of_number.below(self.habits.longest_record + 1);
            return vec![of_number.bytes(1)[0]; length].into();
        }
        let length = self.random.below(self.habits.longest_record + 1);
        if self.random.one_in(2) {
            return self.random.bytes(length).into();
        }
        let byte = self.random.bytes(1)[0];
        vec![byte; length].into()
    }

    fn some_metadata(&mut self) -> Option<Arc<[u8]>> {
        match self.random.below(8) {
            0 | 1 => None,
            // More than a page.
            2 if !self.habits.fills_log() => Some(self.random.bytes(900).into()),
            _ => Some(self.some_bytes()),
        }
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

    /// Adds records together, and then keeps or discards them.
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
        let metadata = self.some_metadata();
        match self.file()?.set_metadata(metadata.as_deref()) {
            Ok(()) => self.now.metadata = metadata,
            Err(error) => return self.after(error),
        }
        if self.habits.fills_log() { self.commit() } else { Ok(()) }
    }

    /// Handles a failed call, whose only allowed cause is a failing disk.
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
                self.now = self.acknowledged().clone();
                Ok(())
            }
            Err(error) => self.after(error),
        }
    }

    fn close(&mut self) -> Outcome {
        let lost = self.file()?.close();
        let uncommitted = self.now.records.len() - self.acknowledged().records.len();
        expect(lost == uncommitted as u64, || format!("closing loses {lost} records, not {uncommitted}"))?;
        self.reopen()
    }

    /// Keeps a snapshot, which is checked much later.
    fn hold(&mut self) -> Outcome {
        match self.file()?.snapshot() {
            Ok(snapshot) => self.held.push((snapshot, self.now.clone(), self.disk.failed_syncs())),
            Err(error) => return self.after(error),
        }
        if self.held.len() > 3 { self.check_held() } else { Ok(()) }
    }

    fn check_held(&mut self) -> Outcome {
        for (snapshot, expected, failed_syncs) in std::mem::take(&mut self.held) {
            // Commits that a failed sync rolled back were never on the disk, and snapshots of them may become
            // unreadable.
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

    /// Checks what the writer sees.
    fn look(&mut self) -> Outcome {
        match read_all(self.file()?) {
            Ok(found) => expect(found == self.now, || "the writer sees other data than it wrote".into()),
            Err(error) => self.after(error),
        }
    }

    /// Checks what others see.
    fn look_from_outside(&mut self) -> Outcome {
        let opened = self.habits.options().read_storage(path(), storage(&self.disk, self.habits.geometry));
        match opened.and_then(|file| read_all(&file)) {
            Ok(found) => {
                let committed = self.acknowledged();
                expect(found == *committed, || "others see other data than was committed".into())
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
