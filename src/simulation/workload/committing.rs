//! Commits: alone, at the same time as others, and without waiting.

use std::sync::{Arc, Mutex, PoisonError};

use super::Life;
use crate::error::Error;
use crate::simulation::contents::{Outcome, expect, text};
use crate::simulation::meanwhile::meanwhile;
use crate::write::options::SyncMode;

impl Life {
    pub(super) fn commit(&mut self) -> Outcome {
        if self.now == *self.acknowledged() {
            return Ok(());
        }
        self.history.states.push(self.now.clone());
        self.history.parents.push(self.mark.acknowledged);
        let number = self.history.states.len() - 1;
        self.mark.begun = number;
        self.mark.fragile |= self.habits.is_fragile();
        self.put_mark();
        let synced = self.disk.syncs();
        match self.commit_in_some_way()? {
            Ok(()) => {
                self.mark.safe = match self.habits.sync {
                    SyncMode::Full => number,
                    // A sync brings to the disk what was committed before.
                    SyncMode::Barrier if self.disk.syncs() > synced => self.mark.acknowledged,
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

    /// Commits alone, at the same time as others, or without waiting.
    fn commit_in_some_way(&mut self) -> Outcome<Result<(), Error>> {
        // In version 2, added records may be written immediately, before or after the data of the commit.
        if !self.habits.is_version_2() && self.random.one_in(6) {
            return self.start_commit();
        }
        if self.random.one_in(3) {
            return self.commit_while_others_work();
        }
        Ok(self.file()?.commit().map(drop))
    }

    /// Starts a commit, and adds records before waiting for it, which it must not contain.
    fn start_commit(&mut self) -> Outcome<Result<(), Error>> {
        let file = Arc::clone(self.file()?);
        let ticket = match file.start_commit() {
            Ok(ticket) => ticket,
            Err(error) => return Ok(Err(error)),
        };
        // If there were also a failure, the order would matter.
        let more = if self.faulty || self.habits.same_records { 0 } else { self.random.below(4) };
        for _ in 0..more {
            // Few enough to be kept in memory, also once the commit is done.
            let record: Arc<[u8]> = self.random.bytes(20).into();
            file.add_record(&record).map_err(text)?;
            self.now.records.push(record);
        }
        Ok(ticket.wait().map(drop))
    }

    /// Commits; another thread adds records, sets metadata and looks, while the commit waits for the disk.
    fn commit_while_others_work(&mut self) -> Outcome<Result<(), Error>> {
        let file = Arc::clone(self.file()?);
        let mut room = self.habits.room_beside_commit();
        let many = self.random.below(2 * self.habits.most_records);
        let mut records: Vec<_> = (0..=many).map(|_| self.some_bytes()).collect();
        records.retain(|record| room.checked_sub(record.len() + 4).map(|left| room = left).is_some());
        let metadata = self.random.one_in(4).then(|| self.some_metadata());
        let mut metadata = metadata.filter(|metadata| metadata.as_ref().is_none_or(|it| it.len() <= room));
        let seen = Arc::new(Mutex::new((self.now.clone(), Vec::new())));
        let (other, theirs, disk) = (Arc::clone(&file), Arc::clone(&seen), self.disk.clone());
        let work = move || {
            // Where a sync makes room in a log that is full, others wait.
            if other.is_busy() {
                return;
            }
            let mut theirs = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            let (now, looks) = &mut *theirs;
            looks.extend(other.snapshot().map(|snapshot| (snapshot, now.clone(), disk.failed_syncs())));
            for record in records.split_off(records.len() / 2) {
                if other.add_record(&record).is_ok() {
                    now.records.push(record);
                }
            }
            if let Some(metadata) = metadata.take()
                && other.set_metadata(metadata.as_deref()).is_ok()
            {
                now.metadata = metadata;
            }
        };
        let committed = meanwhile(work, || file.commit());
        let mut theirs = seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.now = theirs.0.clone();
        self.held.append(&mut theirs.1);
        Ok(committed.map(drop))
    }

    /// Handles a failed commit that has not happened: it is retried, rolled back, or left.
    fn after_commit(&mut self, error: &Error) -> Outcome {
        expect(self.faulty, || format!("a commit fails: {error}"))?;
        match self.random.below(3) {
            0 => self.commit(),
            1 => self.rollback(),
            _ => self.reopen(),
        }
    }
}
