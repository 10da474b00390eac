//! Commits that many threads share: calls that arrive while one is under way share the next one, which has what they added.
//!
//! A commit has three steps. The first and the last hold the writer and are short. Between them the commit has all that
//! it writes and waits for the disk on its own, while others add to the writer, and while their commits wait for this
//! one to end. The first of them to wake then commits for all. Those whose records were in the last commit are about to
//! come again, so it gives them a moment first: without it they would always miss the next commit, and commits would
//! have half of the threads in turn.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, thread};

/// A commit that follows a shared one waits for others for this part of the time that the shared one took,
const PAUSE_DIVISOR: u32 = 8;
/// unless that is less than it takes to wait.
const MIN_PAUSE: Duration = Duration::from_micros(if cfg!(shuttle) { 0 } else { 20 });

/// What commits in three steps.
pub(crate) trait CommitSteps {
    /// A commit under way.
    type Flight: Flight;
    /// What a commit has committed.
    type Committed;

    /// Counts the changes so far.
    fn changes(&self) -> u64;
    /// Takes all that there is to commit; `None` if there is nothing.
    fn begin_commit(&mut self) -> Result<Option<Self::Flight>>;
    /// Takes note of how a commit went.
    fn finish_commit(&mut self, flight: Self::Flight) -> Result<Self::Committed>;
    /// The error of the commit that failed for good with the first `changes` changes in it, if one has.
    fn lost_commit(&self, changes: u64) -> Option<Error>;
}

/// A commit between its first and its last step.
pub(crate) trait Flight {
    /// How many changes it has in it.
    fn changes(&self) -> u64;
    /// Brings it to the disk. Dropped without that, it has failed.
    fn write(&mut self);
}

/// A writer that threads share.
#[derive(Debug)]
pub(crate) struct GroupCommit<W> {
    shared: Mutex<Shared<W>>,
    /// Told when a commit has ended, and when nobody waits for that to have the writer alone.
    ended: Condvar,
}

/// The writer, and what its commits are at.
#[derive(Debug)]
pub(crate) struct Shared<W> {
    /// `None` once it is closed.
    pub(crate) writer: Option<W>,
    in_flight: bool,
    /// Those who wait for the commit under way to end, before whom no other one begins.
    waiting_alone: usize,
    /// Those who wait for a commit that has their changes.
    waiting: usize,
    /// How long the last commit took, if others waited for its end.
    last_if_awaited: Option<Duration>,
    /// How many changes are committed.
    committed: u64,
}

impl<W: CommitSteps> GroupCommit<W> {
    /// Shares a writer, or none, which is closed.
    pub(crate) fn new(writer: Option<W>) -> Self {
        let shared = Shared {
            writer,
            in_flight: false,
            waiting_alone: 0,
            waiting: 0,
            last_if_awaited: None,
            committed: 0,
        };
        Self { shared: Mutex::new(shared), ended: Condvar::new() }
    }

    /// Returns the writer, maybe while a commit is under way.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared<W>> {
        // A panic in the writer would be a defect; its state is no worse than after an error.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what [`lock`](Self::lock) does, unless somebody else has the writer.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Shared<W>>> {
        self.shared.try_lock().ok()
    }

    /// Returns the writer when no commit is under way.
    pub(crate) fn lock_alone(&self) -> MutexGuard<'_, Shared<W>> {
        let mut shared = self.lock();
        shared.waiting_alone += 1;
        while shared.in_flight {
            shared = self.wait(shared);
        }
        shared.waiting_alone -= 1;
        self.tell_waiters(&shared);
        shared
    }

    /// Wakes those who wait. Waking costs a call of the system, also where there are none.
    fn tell_waiters(&self, shared: &Shared<W>) {
        if shared.waiting + shared.waiting_alone > 0 {
            self.ended.notify_all();
        }
    }

    /// How many wait for a commit under way to end.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn wait<'a>(&self, shared: MutexGuard<'a, Shared<W>>) -> MutexGuard<'a, Shared<W>> {
        self.ended.wait(shared).unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what was added before the call, or waits until somebody else's commit has; returns what this one
    /// committed, if it did. `visited` sees the writer after each step; `closed` makes the error where there is none.
    pub(crate) fn commit(
        &self,
        visited: impl Fn(&W),
        closed: impl Fn() -> Error,
    ) -> Result<Option<W::Committed>> {
        let mut shared = self.lock();
        let goal = shared.writer.as_ref().ok_or_else(&closed)?.changes();
        while shared.in_flight || shared.waiting_alone > 0 {
            shared.waiting += 1;
            shared = self.wait(shared);
            shared.waiting -= 1;
            if shared.committed >= goal {
                return Ok(None);
            }
            if let Some(error) = shared.writer.as_ref().and_then(|writer| writer.lost_commit(goal)) {
                return Err(error);
            }
        }
        let pause = shared.last_if_awaited.take().unwrap_or_default() / PAUSE_DIVISOR;
        if pause > MIN_PAUSE {
            shared.in_flight = true;
            drop(shared);
            thread::sleep(pause);
            shared = self.lock();
        }
        let writer = shared.writer.as_mut().ok_or_else(closed)?;
        let begun = writer.begin_commit();
        visited(writer);
        shared.in_flight = matches!(begun, Ok(Some(_)));
        if let Ok(Some(flight)) = begun {
            drop(shared);
            return Leader { group: self, visited, flight: Some(flight) }.lead().transpose();
        }
        self.tell_waiters(&shared);
        begun.map(|_| None)
    }
}

/// Who has a commit under way: it is finished also by a panic.
struct Leader<'a, W: CommitSteps, V: Fn(&W)> {
    group: &'a GroupCommit<W>,
    visited: V,
    flight: Option<W::Flight>,
}

impl<W: CommitSteps, V: Fn(&W)> Leader<'_, W, V> {
    fn lead(mut self) -> Option<Result<W::Committed>> {
        let began = Instant::now();
        self.flight.as_mut()?.write();
        self.finish(began.elapsed())
    }

    fn finish(&mut self, took: Duration) -> Option<Result<W::Committed>> {
        let flight = self.flight.take()?;
        let changes = flight.changes();
        let mut shared = self.group.lock();
        shared.in_flight = false;
        shared.last_if_awaited = (shared.waiting > 0).then_some(took);
        // It is there: nobody closes while a commit is under way.
        let writer = shared.writer.as_mut()?;
        let finished = writer.finish_commit(flight);
        (self.visited)(writer);
        if finished.is_ok() {
            shared.committed = changes;
        }
        self.group.tell_waiters(&shared);
        Some(finished)
    }
}

impl<W: CommitSteps, V: Fn(&W)> Drop for Leader<'_, W, V> {
    fn drop(&mut self) {
        self.finish(Duration::ZERO);
    }
}
