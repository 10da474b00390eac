//! Work that several threads do in parallel and that is returned in order: compressing blocks and inflating
//! frames.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::sync::PoisonError;

use crate::error::Result;
use crate::sync::forks::forks;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, thread};

/// Maximum number of threads.
const MAX_THREADS: usize = 256;

/// A task that any thread can perform.
pub(crate) trait Task: Send + 'static {
    /// The result.
    type Outcome: Clone + Send + 'static;

    /// Performs the task; after a failure it may be tried again.
    fn run(&self) -> Result<Self::Outcome>;
}

/// Tasks in the order in which their results are needed.
pub(crate) struct Pipeline<T: Task> {
    /// Number of threads, including the calling one.
    threads: usize,
    jobs: VecDeque<Arc<Job<T>>>,
    /// Total memory of all tasks, as declared for each.
    bytes: usize,
    /// The queue of the workers; created with the first task.
    queue: Option<Arc<Queue<T>>>,
    /// The count of forks at creation: a forked child has no workers.
    forks: u64,
}

struct Job<T: Task> {
    bytes: usize,
    state: Mutex<State<T>>,
    done: Condvar,
}

enum State<T: Task> {
    Waiting(T),
    /// A thread is performing it.
    Taken {
        /// Whether another thread waits for the result; a needless wake-up would cost as much as a needed
        /// one.
        awaited: bool,
    },
    Done(T::Outcome),
}

/// A task that a thread is performing. Dropped without a result, the task is queued again, so that not even
/// a panic (of the compressor, out of memory) leaves other threads waiting for ever.
struct Taken<'a, T: Task> {
    job: &'a Job<T>,
    /// `None` only during the drop.
    task: Option<T>,
    outcome: Option<T::Outcome>,
}

struct Queue<T: Task> {
    work: Mutex<Work<T>>,
    changed: Condvar,
}

struct Work<T: Task> {
    jobs: VecDeque<Arc<Job<T>>>,
    /// Number of busy workers.
    busy: usize,
    /// Number of workers that wait for a task.
    idle: usize,
    closed: bool,
}

/// Marks a worker as busy; dropped when the task ends, even by a panic.
struct Busy<'a, T: Task>(&'a Queue<T>);

impl<T: Task> Drop for Busy<'_, T> {
    fn drop(&mut self) {
        let mut work = lock(&self.0.work);
        work.busy -= 1;
        if work.closed {
            self.0.changed.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks can leave the guarded data half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Task> Pipeline<T> {
    pub(crate) fn new(threads: usize) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        Self { threads, jobs: VecDeque::new(), bytes: 0, queue: None, forks: forks() }
    }

    /// Returns the number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Returns the total memory of the tasks in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of threads, including the calling one.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Returns whether this process is a forked child of the creator, whose workers may have held any lock. If so,
    /// the pipeline must only be dropped.
    pub(crate) fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// Queues a task that takes about this many bytes of memory.
    pub(crate) fn push(&mut self, task: T, bytes: usize) {
        let job = self.push_job(State::Waiting(task), bytes);
        if self.threads > 1 {
            self.hand_to_workers(job);
        }
    }

    /// Adds the result of a task that is already done.
    pub(crate) fn push_outcome(&mut self, outcome: T::Outcome, bytes: usize) {
        self.push_job(State::Done(outcome), bytes);
    }

    fn push_job(&mut self, state: State<T>, bytes: usize) -> Arc<Job<T>> {
        let job = Arc::new(Job { bytes, state: Mutex::new(state), done: Condvar::new() });
        self.bytes += bytes;
        self.jobs.push_back(Arc::clone(&job));
        job
    }

    fn hand_to_workers(&mut self, job: Arc<Job<T>>) {
        let queue = self.queue.get_or_insert_with(|| {
            let (queue, started) = start_workers(self.threads - 1);
            self.threads = 1 + started;
            queue
        });
        // Not queued if no worker would take it out again: it would stay in memory.
        if self.threads > 1 {
            let mut work = lock(&queue.work);
            work.jobs.push_back(job);
            if work.idle > 0 {
                queue.changed.notify_one();
            }
        }
    }

    /// Returns the oldest task's result, computing it here or waiting for it. The task remains the oldest
    /// until [`pop`](Self::pop).
    pub(crate) fn front(&self) -> Result<Option<T::Outcome>> {
        self.get(0)
    }

    /// Returns the result of the task that has `index` older ones.
    pub(crate) fn get(&self, index: usize) -> Result<Option<T::Outcome>> {
        let Some(wanted) = self.jobs.get(index) else {
            return Ok(None);
        };
        wanted.run()?;
        // While another thread performs the requested task, this one performs others. One that fails is
        // left until it is requested.
        for job in &self.jobs {
            if wanted.outcome().is_some() {
                break;
            }
            let _ = job.run();
        }
        wanted.wait().map(Some)
    }

    /// Returns whether the oldest task's result is available without waiting.
    pub(crate) fn front_is_ready(&self) -> bool {
        self.jobs.front().is_some_and(|job| job.outcome().is_some())
    }

    /// Removes the oldest task.
    pub(crate) fn pop(&mut self) {
        if let Some(job) = self.jobs.pop_front() {
            self.bytes -= job.bytes;
        }
    }

    /// Discards all tasks except the `kept` oldest ones.
    pub(crate) fn truncate(&mut self, kept: usize) {
        let Some(last) = self.jobs.len().checked_sub(kept).filter(|forgotten| *forgotten > 0) else {
            return;
        };
        let forgotten: Vec<_> = self.jobs.drain(self.jobs.len() - last..).collect();
        self.bytes -= forgotten.iter().map(|job| job.bytes).sum::<usize>();
        if let Some(queue) = &self.queue {
            let is_forgotten = |job: &Arc<Job<T>>| forgotten.iter().any(|other| Arc::ptr_eq(job, other));
            lock(&queue.work).jobs.retain(|job| !is_forgotten(job));
        }
    }
}

/// Returns once no worker is busy: a released file may be changed in any way, and truncating it would be
/// fatal for a thread that still reads its map.
impl<T: Task> Drop for Pipeline<T> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.as_ref().filter(|_| !self.is_forked()) {
            let mut work = lock(&queue.work);
            work.jobs.clear();
            work.closed = true;
            queue.changed.notify_all();
            while work.busy > 0 {
                work = queue.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl<T: Task> Debug for Pipeline<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Pipeline");
        out.field("threads", &self.threads).field("tasks", &self.jobs.len()).finish_non_exhaustive()
    }
}

impl<T: Task> Job<T> {
    fn outcome(&self) -> Option<T::Outcome> {
        match &*lock(&self.state) {
            State::Done(outcome) => Some(outcome.clone()),
            _ => None,
        }
    }

    /// Performs the task unless another thread does; after a failure it remains queued.
    fn run(&self) -> Result<()> {
        if let Some(mut taken) = self.take() {
            taken.outcome = taken.task.as_ref().map(Task::run).transpose()?;
        }
        Ok(())
    }

    fn take(&self) -> Option<Taken<'_, T>> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Waiting(_)) {
            return None;
        }
        let State::Waiting(task) = std::mem::replace(&mut *state, State::Taken { awaited: false }) else {
            return None;
        };
        Some(Taken { job: self, task: Some(task), outcome: None })
    }

    fn wait(&self) -> Result<T::Outcome> {
        loop {
            // A worker that failed has left the task queued; trying it here yields the error.
            self.run()?;
            let mut state = lock(&self.state);
            match &mut *state {
                State::Done(outcome) => return Ok(outcome.clone()),
                State::Waiting(_) => {}
                State::Taken { awaited } => {
                    *awaited = true;
                    drop(self.done.wait_while(state, |state| matches!(state, State::Taken { .. })));
                }
            }
        }
    }
}

impl<T: Task> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let state = match (self.outcome.take(), self.task.take()) {
            (Some(outcome), _) => State::Done(outcome),
            (None, Some(task)) => State::Waiting(task),
            (None, None) => return,
        };
        let before = std::mem::replace(&mut *lock(&self.job.state), state);
        if matches!(before, State::Taken { awaited: true }) {
            self.job.done.notify_all();
        }
    }
}

/// Starts up to `count` workers and returns their number.
fn start_workers<T: Task>(count: usize) -> (Arc<Queue<T>>, usize) {
    let work = Mutex::new(Work { jobs: VecDeque::new(), busy: 0, idle: 0, closed: false });
    let queue = Arc::new(Queue { work, changed: Condvar::new() });
    let start = |_: &usize| {
        let queue = Arc::clone(&queue);
        thread::Builder::new().name("capturefile".into()).spawn(move || work_off(&queue)).is_ok()
    };
    // Without workers, the calling thread does all the work in `get`.
    let started = (0..count).take_while(start).count();
    (queue, started)
}

fn work_off<T: Task>(queue: &Queue<T>) {
    let mut work = lock(&queue.work);
    loop {
        if work.closed {
            return;
        }
        if let Some(job) = work.jobs.pop_front() {
            work.busy += 1;
            drop(work);
            let busy = Busy(queue);
            // The caller finds a failed task still queued, and gets the error by trying.
            let _ = job.run();
            drop(job);
            drop(busy);
            work = lock(&queue.work);
        } else {
            work.idle += 1;
            work = queue.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            work.idle -= 1;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::error::Error;

    /// Takes a time that depends on the number, and fails the first time on request.
    struct Square {
        number: u64,
        fails: Mutex<bool>,
    }

    impl Square {
        fn of(number: u64) -> Self {
            Self { number, fails: Mutex::new(false) }
        }

        fn that_fails_once(number: u64) -> Self {
            Self { number, fails: Mutex::new(true) }
        }
    }

    impl Task for Square {
        type Outcome = u64;

        fn run(&self) -> Result<u64> {
            std::thread::sleep(std::time::Duration::from_micros(self.number * 37 % 200));
            if std::mem::take(&mut *lock(&self.fails)) {
                return Err(Error::OutOfMemory { bytes: self.number, what: "a test" });
            }
            Ok(self.number * self.number)
        }
    }

    #[test]
    fn outcomes_come_out_in_the_order_their_tasks_went_in_on_any_number_of_threads() {
        for threads in [1, 2, 4] {
            let mut pipeline = Pipeline::new(threads);
            let mut next = 0;
            for number in 0..100 {
                pipeline.push(Square::of(number), 1);
                while pipeline.len() >= 2 * threads || number == 99 && !pipeline.is_empty() {
                    assert_eq!(pipeline.get(pipeline.len() - 1).unwrap(), Some(number * number));
                    assert_eq!(pipeline.front().unwrap(), Some(next * next));
                    pipeline.pop();
                    next += 1;
                }
            }
            assert_eq!((next, pipeline.bytes(), pipeline.front().unwrap()), (100, 0, None));
        }
    }

    #[test]
    fn a_task_that_broke_off_is_done_by_the_next_one_who_needs_it() {
        let mut pipeline = Pipeline::new(1);
        pipeline.push(Square::of(7), 1);
        let taken = pipeline.jobs[0].take().unwrap();
        assert!(pipeline.jobs[0].take().is_none());
        drop(taken);
        assert_eq!(pipeline.front().unwrap(), Some(49));
    }

    #[test]
    fn a_failure_is_told_to_the_one_who_wants_the_outcome_and_to_nobody_else() {
        let mut pipeline = Pipeline::new(1);
        pipeline.push(Square::of(2), 1);
        pipeline.push(Square::that_fails_once(3), 1);
        assert_eq!(pipeline.front().unwrap(), Some(4));
        assert!(pipeline.get(1).is_err());
        assert_eq!(pipeline.get(1).unwrap(), Some(9));
    }

    /// Counts how many of these tasks are running.
    struct Visible(Arc<Mutex<u32>>);

    impl Task for Visible {
        type Outcome = ();

        fn run(&self) -> Result<()> {
            *lock(&self.0) += 1;
            std::thread::sleep(std::time::Duration::from_millis(2));
            *lock(&self.0) -= 1;
            Ok(())
        }
    }

    #[test]
    fn once_it_is_dropped_nobody_is_at_its_tasks() {
        for _ in 0..20 {
            let running = Arc::new(Mutex::new(0));
            let mut pipeline = Pipeline::new(3);
            for _ in 0..4 {
                pipeline.push(Visible(Arc::clone(&running)), 0);
            }
            pipeline.front().unwrap();
            drop(pipeline);
            assert_eq!(*lock(&running), 0);
        }
    }

    #[test]
    fn an_absurd_number_of_threads_is_cut_to_a_sensible_one() {
        assert_eq!(Pipeline::<Square>::new(usize::MAX).threads(), MAX_THREADS);
    }
}
