//! Scenarios in which threads use the shared state concurrently, with checks of what they see.

use crate::error::{Error, Result};
use crate::sync::pipeline::{Pipeline, Task};
use crate::sync::published::{Published, Versioned};
use crate::sync::transaction::{Saved, Transaction};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, thread};

/// A number to be squared; the first attempt fails on request.
struct Square {
    number: u64,
    failures: AtomicU64,
}

impl Square {
    fn of(number: u64) -> Self {
        Self { number, failures: AtomicU64::new(0) }
    }

    fn that_fails_once(number: u64) -> Self {
        Self { number, failures: AtomicU64::new(1) }
    }
}

impl Task for Square {
    type Outcome = u64;

    fn run(&self) -> Result<u64> {
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::OutOfMemory { bytes: self.number, what: "a test" });
        }
        Ok(self.number * self.number)
    }
}

/// Results are returned in the order of their tasks, whichever thread performs them, and the threads end with the
/// pipeline.
pub fn a_pipeline_hands_over_in_order() {
    let mut pipeline = Pipeline::new(3);
    let mut next = 0;
    for number in 0..4 {
        pipeline.push(Square::of(number), 1);
        if number % 2 == 1 {
            assert_eq!(pipeline.get(pipeline.len() - 1).unwrap(), Some(number * number));
            assert_eq!(pipeline.front().unwrap(), Some(next * next));
            pipeline.pop();
            next += 1;
        }
    }
    while !pipeline.is_empty() {
        assert_eq!(pipeline.front().unwrap(), Some(next * next));
        pipeline.pop();
        next += 1;
    }
    assert_eq!((next, pipeline.bytes()), (4, 0));
}

/// Clearing a pipeline discards its tasks, including one in progress on a thread; later tasks are performed.
pub fn a_pipeline_is_cleared_while_threads_are_at_work() {
    let mut pipeline = Pipeline::new(2);
    for number in 1..4 {
        pipeline.push(Square::of(number), 1);
    }
    pipeline.truncate(0);
    assert!(pipeline.is_empty() && pipeline.front().unwrap().is_none());
    pipeline.push(Square::of(9), 1);
    assert_eq!(pipeline.front().unwrap(), Some(81));
    // Dropped with a task in progress, as by a writer that is closed.
    pipeline.push(Square::of(10), 1);
}

/// A thread that requests the result of a task that failed on another thread gets the result or the error.
pub fn a_failure_leaves_nobody_waiting() {
    let mut pipeline = Pipeline::new(3);
    pipeline.push(Square::that_fails_once(5), 1);
    pipeline.push(Square::that_fails_once(6), 1);
    for square in [25, 36] {
        let outcome = pipeline.front().or_else(|_| pipeline.front());
        assert_eq!(outcome.unwrap(), Some(square));
        pipeline.pop();
    }
}

/// Counts the tasks in progress.
struct Visible(Arc<AtomicU64>);

impl Task for Visible {
    type Outcome = ();

    fn run(&self) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.0.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Once a pipeline is dropped, no thread works on its tasks, so that the data they read may be released.
pub fn a_dropped_pipeline_leaves_nobody_at_work() {
    let running = Arc::new(AtomicU64::new(0));
    let mut pipeline = Pipeline::new(3);
    for _ in 0..3 {
        pipeline.push(Visible(Arc::clone(&running)), 1);
    }
    pipeline.front().unwrap();
    drop(pipeline);
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

/// The state of a writer at one moment: how many records each of two threads had added.
#[derive(Clone, Copy)]
struct Counts {
    added: [u64; 2],
    version: u64,
}

impl Versioned for Counts {
    fn version(&self) -> u64 {
        self.version
    }

    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}

/// A writer with its published state, as in a file object.
struct Log {
    writer: Mutex<Counts>,
    published: Published<Counts>,
}

impl Log {
    fn new() -> Arc<Self> {
        let nothing = Counts { added: [0; 2], version: 0 };
        Arc::new(Self { writer: Mutex::new(nothing), published: Published::new(nothing, 0) })
    }

    fn add(&self, thread: usize) {
        let mut writer = self.writer.lock().unwrap();
        writer.added[thread] += 1;
        writer.version += 1;
        self.published.invalidate(writer.version);
    }

    /// Rolls back an addition; the published state, which contains it, is replaced by an older one.
    fn take_back(&self) {
        let mut writer = self.writer.lock().unwrap();
        self.published.retract(Counts { added: [0; 2], version: 0 });
        writer.version += 1;
        self.published.invalidate(writer.version);
        drop(writer);
    }

    fn snapshot(&self) -> [u64; 2] {
        let (state, is_latest) = self.published.load();
        if is_latest {
            return state.added;
        }
        let writer = self.writer.lock().unwrap();
        self.published.publish(*writer).added
    }

    /// Adds and reads alternately: this thread sees its own records, and records that it saw do not disappear.
    fn add_and_look(&self, thread: usize) {
        let mut seen = [0; 2];
        for count in 1..=2 {
            self.add(thread);
            let now = self.snapshot();
            assert_eq!(now[thread], count, "a thread does not see what it added itself");
            assert!(now[1 - thread] >= seen[1 - thread], "records disappeared");
            seen = now;
        }
    }
}

/// Two threads add and read, a third only reads, and a fourth rolls back additions that none of them saw.
pub fn a_state_that_is_shown_is_never_behind() {
    let log = Log::new();
    let adders: Vec<_> = (0..2)
        .map(|thread| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.add_and_look(thread))
        })
        .collect();
    let taker = Arc::clone(&log);
    let taker = thread::spawn(move || taker.take_back());
    let looker = Arc::clone(&log);
    let looker = thread::spawn(move || {
        let (first, second) = (looker.snapshot(), looker.snapshot());
        assert!(second[0] >= first[0] && second[1] >= first[1], "records disappeared");
    });
    for thread in adders.into_iter().chain([taker, looker]) {
        thread.join().unwrap();
    }
    assert_eq!(log.snapshot(), [2, 2]);
}

/// Threads refresh one object concurrently: it never returns to an older commit.
pub fn a_reader_never_goes_back() {
    let shown = Arc::new(Published::new(Counts { added: [0; 2], version: 0 }, 0));
    let threads: Vec<_> = (1..=3)
        .map(|commit| {
            let shown = Arc::clone(&shown);
            thread::spawn(move || {
                let fresh = Arc::new(Counts { added: [commit; 2], version: 0 });
                shown.publish_if_newer(&fresh, |one, other| one.added > other.added);
                assert!(shown.load().0.added[0] >= commit, "an older commit is shown");
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(shown.load().0.added, [3; 2]);
}

/// A snapshot of a transaction reads its frames, in the file or saved, while they are being overwritten.
pub fn frames_are_saved_before_they_are_written_over() {
    const OURS: u64 = 1;
    let file = Arc::new(AtomicU64::new(OURS));
    let transaction = Transaction::new(1);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (file, transaction) = (Arc::clone(&file), Arc::clone(&transaction));
            thread::spawn(move || {
                for _ in 0..2 {
                    let in_file = || u8::try_from(file.load(Ordering::SeqCst)).unwrap();
                    let frame = transaction.read(|saved| saved.map_or_else(in_file, |saved| saved.pages[0]));
                    assert_eq!(u64::from(frame), OURS, "a frame of another transaction");
                }
            })
        })
        .collect();
    transaction.save(Saved { start: 0, pages: vec![1] });
    file.store(2, Ordering::SeqCst);
    for reader in readers {
        reader.join().unwrap();
    }
}
