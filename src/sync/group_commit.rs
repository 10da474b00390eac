//! Group commits: calls that arrive while a commit is in progress share the next one, which contains the
//! records of all of them.
//!
//! A commit has three steps. The first and the last hold the writer and are short. Between them the commit
//! owns everything that it writes and waits for the disk, while other threads add to the writer and their
//! commits wait for this one to end. The first of them to wake then commits for all. It pauses briefly first,
//! because threads whose records were in the last commit are about to call again: without the pause they
//! would always miss the next commit, and commits would alternate between two halves of the threads.
//!
//! A commit can also be started without waiting for it. The writer then marks what belongs to it, and a
//! dedicated thread, the committer, commits up to the last mark. Commits that are started meanwhile share the
//! next one.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sync::tickets::{Ticket, Tickets};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, thread};

/// A commit that follows a shared one waits for others for this fraction of the time that the shared one took,
const PAUSE_DIVISOR: u32 = 8;
/// unless that is less than the cost of waiting.
const MIN_PAUSE: Duration = Duration::from_micros(if cfg!(shuttle) { 0 } else { 20 });

/// Maximum number of started commits that are not done.
const MAX_STARTED: usize = 64;

/// A writer that commits in three steps.
pub(crate) trait CommitSteps {
    /// A commit in progress.
    type Flight: Flight;
    /// The figures of a finished commit.
    type Committed: Debug;

    /// Returns the number of changes so far.
    fn changes(&self) -> u64;
    /// Takes everything that is to be committed; `None` if there is nothing.
    fn begin_commit(&mut self) -> Result<Option<Self::Flight>>;
    /// Marks everything that is to be committed, possibly while a commit is in progress. Returns the number
    /// of changes that the commit must contain; `None` if there is nothing.
    fn mark(&mut self) -> Result<Option<u64>>;
    /// Takes what was marked last; `None` if it has been taken already.
    fn begin_marked(&mut self) -> Result<Option<Self::Flight>>;
    /// Returns what is marked to the open transaction.
    fn forget_mark(&mut self);
    /// Records the outcome of a commit.
    fn finish_commit(&mut self, flight: Self::Flight) -> Result<Self::Committed>;
    /// Returns the error of the commit that failed for good with the first `changes` changes, if there is one.
    fn lost_commit(&self, changes: u64) -> Option<Error>;

    /// Commits without sharing.
    fn commit_alone(&mut self) -> Result<Option<Self::Committed>> {
        let Some(mut flight) = self.begin_commit()? else {
            return Ok(None);
        };
        flight.write();
        self.finish_commit(flight).map(Some)
    }
}

/// A commit between its first and its last step.
pub(crate) trait Flight {
    /// Returns the number of changes up to and including this commit.
    fn changes(&self) -> u64;
    /// Brings the commit to the disk. A commit that is dropped without this call has failed.
    fn write(&mut self);
}

/// A writer that threads share.
#[derive(Debug)]
pub(crate) struct GroupCommit<W: CommitSteps> {
    shared: Mutex<Shared<W>>,
    /// Notified when a commit has ended, and when no thread waits any more to have the writer alone.
    ended: Condvar,
    /// Notified when the committer has something to do.
    wanted: Condvar,
}

/// The writer, and the state of its commits.
#[derive(Debug)]
pub(crate) struct Shared<W: CommitSteps> {
    /// `None` once it is closed.
    pub(crate) writer: Option<W>,
    in_flight: bool,
    /// Number of threads that wait to have the writer alone; no other commit begins before them.
    waiting_alone: usize,
    /// Number of threads that wait for a commit with their changes.
    waiting: usize,
    /// Number of threads that wait until they may start a commit.
    waiting_to_start: usize,
    /// Duration of the last commit, if others waited for its end.
    last_if_awaited: Option<Duration>,
    /// Number of committed changes.
    committed: u64,
    /// The started commits that are not done.
    started: Tickets,
    /// The most recent figures of the committer's commits that no caller has taken yet.
    unseen: VecDeque<W::Committed>,
    /// Started with the first started commit.
    committer: Option<thread::JoinHandle<()>>,
}

impl<W: CommitSteps> GroupCommit<W> {
    /// Shares a writer; `None` means that it is closed.
    pub(crate) fn new(writer: Option<W>) -> Self {
        let shared = Shared {
            writer,
            in_flight: false,
            waiting_alone: 0,
            waiting: 0,
            waiting_to_start: 0,
            last_if_awaited: None,
            committed: 0,
            started: Tickets::default(),
            unseen: VecDeque::new(),
            committer: None,
        };
        Self { shared: Mutex::new(shared), ended: Condvar::new(), wanted: Condvar::new() }
    }

    /// Returns the writer, possibly while a commit is in progress.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared<W>> {
        // A panic in the writer would be a defect; its state is no worse than after an error.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the writer like [`lock`](Self::lock), unless another thread holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Shared<W>>> {
        self.shared.try_lock().ok()
    }

    /// Returns the writer once no commit is in progress and all started ones are done.
    pub(crate) fn lock_alone(&self) -> MutexGuard<'_, Shared<W>> {
        let mut shared = self.lock();
        shared.waiting_alone += 1;
        while shared.in_flight || !shared.started.is_empty() {
            shared = self.wait(shared);
        }
        shared.waiting_alone -= 1;
        self.tell_waiters(&shared);
        shared
    }

    /// Wakes waiting threads, if there are any: waking costs a system call even if there are none.
    fn tell_waiters(&self, shared: &Shared<W>) {
        if shared.waiting + shared.waiting_alone + shared.waiting_to_start > 0 {
            self.ended.notify_all();
        }
        if !shared.in_flight && !shared.started.is_empty() {
            self.wanted.notify_one();
        }
    }

    /// Returns the number of threads that wait for a commit in progress to end.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn wait<'a>(&self, shared: MutexGuard<'a, Shared<W>>) -> MutexGuard<'a, Shared<W>> {
        self.ended.wait(shared).unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what was added before the call, or waits until the commit of another thread contains it;
    /// returns the figures if this thread committed. `visited` sees the writer after each step; `closed`
    /// creates the error for a closed writer.
    pub(crate) fn commit(
        &self,
        visited: impl Fn(&W),
        closed: impl Fn() -> Error,
    ) -> Result<Option<W::Committed>> {
        let mut shared = self.lock();
        shared.started.tell()?;
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
        shared = self.let_others_join(shared);
        let writer = shared.writer.as_mut().ok_or_else(closed)?;
        let begun = writer.begin_commit();
        visited(writer);
        shared.in_flight = matches!(begun, Ok(Some(_)));
        if let Ok(Some(flight)) = begun {
            drop(shared);
            let leader = Leader { group: self, visited, flight: Some(flight), is_awaited: true };
            return leader.lead().transpose();
        }
        self.tell_waiters(&shared);
        begun.map(|_| None)
    }

    /// Gives threads whose records were in a shared commit a moment to call again.
    fn let_others_join<'a>(&'a self, mut shared: MutexGuard<'a, Shared<W>>) -> MutexGuard<'a, Shared<W>> {
        let pause = shared.last_if_awaited.take().unwrap_or_default() / PAUSE_DIVISOR;
        if pause <= MIN_PAUSE {
            return shared;
        }
        shared.in_flight = true;
        drop(shared);
        thread::sleep(pause);
        self.lock()
    }

    /// Starts a commit of what was added before the call, and returns its ticket, and the result of `note` at
    /// that moment. Waits only if too many have been started, or if a commit cannot be started. An unreported
    /// error of earlier started commits is returned instead.
    pub(crate) fn start<T>(
        self: &Arc<Self>,
        visited: impl Fn(&W) + Clone + Send + 'static,
        closed: impl Fn() -> Error,
        note: impl FnOnce(&W) -> T,
    ) -> Result<(Arc<Ticket>, T)>
    where
        W: Send + 'static,
        W::Committed: Send,
    {
        let mut shared = self.lock();
        while shared.writer.is_some() && (shared.waiting_alone > 0 || shared.started.len() >= MAX_STARTED) {
            shared.waiting_to_start += 1;
            shared = self.wait(shared);
            shared.waiting_to_start -= 1;
        }
        shared.started.tell()?;
        let is_served = shared.writer.is_some() && self.has_committer(&mut shared, &visited);
        let writer = shared.writer.as_mut().ok_or_else(&closed)?;
        let noted = note(writer);
        if !is_served {
            drop(shared);
            if let Some(committed) = self.commit(visited, closed)? {
                self.lock().note_unseen(committed);
            }
            return Ok((Ticket::done(), noted));
        }
        let marked = writer.mark();
        visited(writer);
        let Some(goal) = marked? else {
            return Ok((Ticket::done(), noted));
        };
        let ticket = shared.started.issue(goal);
        if !shared.in_flight {
            self.wanted.notify_one();
        }
        Ok((ticket, noted))
    }

    /// Starts the committer if necessary; returns whether there is one.
    fn has_committer(
        self: &Arc<Self>,
        shared: &mut Shared<W>,
        visited: &(impl Fn(&W) + Clone + Send + 'static),
    ) -> bool
    where
        W: Send + 'static,
        W::Committed: Send,
    {
        if shared.committer.is_none() {
            let (group, visited) = (Arc::clone(self), visited.clone());
            let serve = move || group.serve(&visited);
            shared.committer = thread::Builder::new().name("capturefile".into()).spawn(serve).ok();
        }
        shared.committer.is_some()
    }

    /// Runs the committer: commits what is marked, until the writer is closed.
    fn serve(&self, visited: &impl Fn(&W)) {
        let mut shared = self.lock();
        while shared.writer.is_some() {
            if shared.in_flight || shared.started.is_empty() {
                shared = self.wanted.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            shared = self.let_others_join(shared);
            let Some(writer) = shared.writer.as_mut() else { return };
            let begun = writer.begin_marked();
            visited(writer);
            if begun.is_err() {
                writer.forget_mark();
            }
            shared.in_flight = matches!(begun, Ok(Some(_)));
            match begun {
                Ok(Some(flight)) => {
                    drop(shared);
                    let leader = Leader { group: self, visited, flight: Some(flight), is_awaited: false };
                    drop(leader.lead());
                    shared = self.lock();
                    continue;
                }
                // It was part of another commit, which has ended.
                Ok(None) => shared.started.succeed(u64::MAX),
                Err(error) => shared.started.fail(&error, false),
            }
            self.tell_waiters(&shared);
        }
    }

    /// Waits for a started commit; `None` if it is not done when `timeout` expires.
    pub(crate) fn wait_for(&self, ticket: &Ticket, timeout: Option<Duration>) -> Option<Result<()>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut shared = self.lock();
        loop {
            if let Some(outcome) = shared.started.tell_outcome(ticket) {
                return Some(outcome);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            shared.waiting += 1;
            shared = match left {
                Some(left) => self.ended.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wait(shared),
            };
            shared.waiting -= 1;
        }
    }

    /// Waits until all started commits are done; returns the error of one that failed, unless it has been reported.
    pub(crate) fn finish_started(&self) -> Result<()> {
        let mut shared = self.lock();
        while !shared.started.is_empty() {
            shared.waiting += 1;
            shared = self.wait(shared);
            shared.waiting -= 1;
        }
        shared.started.tell()
    }

    /// Takes the figures of started commits since the last call.
    pub(crate) fn take_unseen(&self) -> VecDeque<W::Committed> {
        std::mem::take(&mut self.lock().unseen)
    }

    /// Closes the writer once no commit is in progress and all started ones are done, after calling `last`
    /// with it; `None` if it is already closed.
    pub(crate) fn close<T>(&self, last: impl FnOnce(&W) -> T) -> Option<T> {
        let mut shared = self.lock_alone();
        let seen = shared.writer.take().as_ref().map(last);
        let committer = shared.committer.take();
        drop(shared);
        if let Some(committer) = committer {
            self.wanted.notify_all();
            // A committer that has panicked has ended, too.
            let _ = committer.join();
        }
        seen
    }
}

impl<W: CommitSteps> Shared<W> {
    /// Keeps the figures of a commit until they are taken, but only the most recent ones.
    fn note_unseen(&mut self, committed: W::Committed) {
        self.unseen.push_back(committed);
        if self.unseen.len() > MAX_STARTED {
            self.unseen.pop_front();
        }
    }
}

/// Guards a commit in progress, which is finished even after a panic.
struct Leader<'a, W: CommitSteps, V: Fn(&W)> {
    group: &'a GroupCommit<W>,
    visited: V,
    flight: Option<W::Flight>,
    /// Whether a caller gets the result.
    is_awaited: bool,
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
        // The writer exists: it is never closed while a commit is in progress.
        let writer = shared.writer.as_mut()?;
        let finished = writer.finish_commit(flight);
        if finished.is_err() {
            writer.forget_mark();
        }
        (self.visited)(writer);
        let told = match finished {
            Ok(committed) => {
                shared.committed = changes;
                shared.started.succeed(changes);
                if self.is_awaited {
                    Some(Ok(committed))
                } else {
                    shared.note_unseen(committed);
                    None
                }
            }
            Err(error) => {
                shared.started.fail(&error, self.is_awaited);
                Some(Err(error))
            }
        };
        self.group.tell_waiters(&shared);
        told
    }
}

impl<W: CommitSteps, V: Fn(&W)> Drop for Leader<'_, W, V> {
    fn drop(&mut self) {
        self.finish(Duration::ZERO);
    }
}
