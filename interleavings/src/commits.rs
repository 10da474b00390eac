//! Scenarios in which threads share commits and may wait for them, with checks of the result.

use crate::error::{Error, Result};
use crate::sync::group_commit::{CommitSteps, Flight, GroupCommit};
use crate::sync::tickets::Ticket;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, thread};

/// A writer whose commits take time. It counts what was added, what was committed, and what is on the disk.
struct Ledger {
    added: u64,
    committed: u64,
    disk: Arc<AtomicU64>,
    /// The size of each commit.
    commits: Commits,
    marked: Option<u64>,
    captured: u64,
    in_flight: bool,
    fails: bool,
    lost: Option<u64>,
}

/// The data of a commit in progress.
struct Entry {
    added: u64,
    fails: bool,
    disk: Arc<AtomicU64>,
    written: bool,
}

impl Flight for Entry {
    fn changes(&self) -> u64 {
        self.added
    }

    fn write(&mut self) {
        let before = self.disk.load(Ordering::SeqCst);
        assert!(before < self.added, "two commits are in progress, or one is empty");
        if !self.fails {
            self.disk.store(self.added, Ordering::SeqCst);
            self.written = true;
        }
    }
}

impl CommitSteps for Ledger {
    type Flight = Entry;
    type Committed = u64;

    fn changes(&self) -> u64 {
        self.added
    }

    fn begin_commit(&mut self) -> Result<Option<Entry>> {
        if let Some(error) = self.lost_commit(0) {
            return Err(error);
        }
        self.marked = None;
        Ok((self.added > self.committed).then(|| self.entry(self.added)))
    }

    fn mark(&mut self) -> Result<Option<u64>> {
        if let Some(error) = self.lost_commit(0) {
            return Err(error);
        }
        if self.added > self.captured.max(self.committed) {
            self.marked = Some(self.added);
            self.captured = self.added;
        }
        Ok((self.marked.is_some() || self.in_flight).then_some(self.captured))
    }

    fn begin_marked(&mut self) -> Result<Option<Entry>> {
        Ok(self.marked.take().map(|added| self.entry(added)))
    }

    fn forget_mark(&mut self) {
        self.marked = None;
        self.captured = self.committed;
    }

    fn finish_commit(&mut self, flight: Entry) -> Result<u64> {
        self.in_flight = false;
        if !flight.written {
            self.lost = Some(flight.added);
            return Err(Error::OutOfMemory { bytes: flight.added, what: "a test" });
        }
        self.committed = flight.added;
        self.commits.lock().unwrap().push(flight.added);
        Ok(flight.added)
    }

    fn lost_commit(&self, changes: u64) -> Option<Error> {
        let lost = self.lost.filter(|&lost| changes <= lost)?;
        Some(Error::OutOfMemory { bytes: lost, what: "a test" })
    }
}

impl Ledger {
    fn entry(&mut self, added: u64) -> Entry {
        assert!(!self.in_flight, "two commits are in progress");
        self.in_flight = true;
        self.captured = added;
        Entry { added, fails: self.fails, disk: Arc::clone(&self.disk), written: false }
    }
}

type Commits = Arc<Mutex<Vec<u64>>>;

fn ledger(fails: bool) -> (Arc<GroupCommit<Ledger>>, Arc<AtomicU64>, Commits) {
    let (disk, commits) = (Arc::new(AtomicU64::new(0)), Commits::default());
    let ledger = Ledger {
        added: 0,
        committed: 0,
        disk: Arc::clone(&disk),
        commits: Arc::clone(&commits),
        marked: None,
        captured: 0,
        in_flight: false,
        fails,
        lost: None,
    };
    (Arc::new(GroupCommit::new(Some(ledger))), disk, commits)
}

fn add(group: &GroupCommit<Ledger>) -> Option<u64> {
    let mut shared = group.lock();
    let ledger = shared.writer.as_mut()?;
    ledger.added += 1;
    Some(ledger.added)
}

fn closed() -> Error {
    Error::OutOfMemory { bytes: 0, what: "nothing: it is closed" }
}

/// Threads add and commit: what a thread has added is on the disk when its commit returns, there are no more commits
/// than calls, and a thread that requests the writer alone gets it while no commit is in progress.
pub fn commits_are_shared_and_return_when_they_are_done() {
    let (group, disk, commits) = ledger(false);
    let adders: Vec<_> = (0..3)
        .map(|_| {
            let (group, disk) = (Arc::clone(&group), Arc::clone(&disk));
            thread::spawn(move || {
                for _ in 0..2 {
                    let added = add(&group).unwrap();
                    group.commit(|_| (), closed).unwrap();
                    assert!(disk.load(Ordering::SeqCst) >= added, "a commit returned before it was done");
                }
            })
        })
        .collect();
    let alone = group.lock_alone();
    let ledger = alone.writer.as_ref().unwrap();
    assert_eq!(ledger.committed, disk.load(Ordering::SeqCst), "a commit is in progress");
    drop(alone);
    for adder in adders {
        adder.join().unwrap();
    }
    assert_eq!(disk.load(Ordering::SeqCst), 6);
    assert!((1..=6).contains(&commits.lock().unwrap().len()));
}

/// A commit that fails permanently is an error for each thread whose records were in it, and no thread waits for ever.
pub fn a_commit_that_fails_is_an_error_for_all_in_it() {
    let (group, _, _) = ledger(true);
    let adders: Vec<_> = (0..3)
        .map(|_| {
            let group = Arc::clone(&group);
            thread::spawn(move || {
                add(&group).unwrap();
                group.commit(|_| (), closed).unwrap_err();
            })
        })
        .collect();
    for adder in adders {
        adder.join().unwrap();
    }
}

/// Closing waits for the commit in progress, and threads whose records are in no commit get an error.
pub fn closing_waits_for_a_commit() {
    let (group, disk, _) = ledger(false);
    let adders: Vec<_> = (0..2)
        .map(|_| {
            let (group, disk) = (Arc::clone(&group), Arc::clone(&disk));
            thread::spawn(move || {
                let Some(added) = add(&group) else { return };
                let committed = group.commit(|_| (), closed);
                assert!(committed.is_err() || disk.load(Ordering::SeqCst) >= added, "a record is lost");
            })
        })
        .collect();
    let ledger = group.lock_alone().writer.take().unwrap();
    assert_eq!(ledger.committed, disk.load(Ordering::SeqCst), "a commit is in progress");
    for adder in adders {
        adder.join().unwrap();
    }
}

fn start(group: &Arc<GroupCommit<Ledger>>) -> Result<(Arc<Ticket>, u64)> {
    group.start(|_| (), closed, |ledger| ledger.added)
}

/// A thread starts a commit after every second record: only complete pairs are ever on the disk, and finally all of
/// them; when waiting for a ticket returns, its records are on the disk.
pub fn started_commits_have_what_was_added_before() {
    let (group, disk, commits) = ledger(false);
    let mut tickets = Vec::new();
    for _ in 0..3 {
        add(&group).unwrap();
        add(&group).unwrap();
        tickets.push(start(&group).unwrap());
    }
    let (last, added) = tickets.pop().unwrap();
    group.wait_for(&last, None).unwrap().unwrap();
    assert!(disk.load(Ordering::SeqCst) >= added, "a ticket is done before its commit");
    assert!(tickets.iter().all(|(ticket, _)| ticket.is_settled()), "commits are out of order");
    group.close(|_| ()).unwrap();
    let commits = commits.lock().unwrap();
    assert!(
        commits.iter().all(|added| added % 2 == 0),
        "one record of a pair is committed without the other: {commits:?}"
    );
}

/// If threads start commits, commit, and roll back, none of them waits for ever, and closing completes started commits.
pub fn closing_does_what_was_started() {
    let (group, disk, _) = ledger(false);
    let threads: Vec<_> = (0..2)
        .map(|number| {
            let (group, disk) = (Arc::clone(&group), Arc::clone(&disk));
            thread::spawn(move || {
                let Some(added) = add(&group) else { return };
                let (ticket, _) = match number {
                    0 => return drop(group.commit(|_| (), closed)),
                    _ => match start(&group) {
                        Ok(started) => started,
                        Err(_) => return,
                    },
                };
                group.wait_for(&ticket, None).unwrap().unwrap();
                assert!(disk.load(Ordering::SeqCst) >= added, "a ticket is done before its commit");
            })
        })
        .collect();
    let added = add(&group).unwrap();
    start(&group).unwrap();
    let alone = group.lock_alone();
    assert!(alone.writer.as_ref().unwrap().committed >= added, "a started commit is not done");
    drop(alone);
    group.close(|ledger| assert!(ledger.committed >= added)).unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The error of a started commit is reported by its ticket, or by the next call if no thread asks the ticket.
pub fn an_error_of_a_started_commit_is_told() {
    for asks in [true, false] {
        let (group, _, _) = ledger(true);
        let threads: Vec<_> = (0..=u64::from(asks))
            .map(|_| {
                let group = Arc::clone(&group);
                thread::spawn(move || {
                    add(&group).unwrap();
                    let Ok((ticket, _)) = start(&group) else { return };
                    if asks {
                        group.wait_for(&ticket, None).unwrap().unwrap_err();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(asks == group.finish_started().is_ok(), "an error is lost, or reported twice");
        group.close(|_| ()).unwrap();
    }
}
