//! Closed blocks on their way to the file: compressed side by side on several threads, handed over in
//! order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::block::{CompressionLevel, deflate};
use crate::error::Result;

/// Closed blocks in flight are at most so many bytes before the next one has to wait.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// More threads than this are not started, however many are asked for.
const MOST_THREADS: usize = 256;

/// The closed blocks that are not yet in the file, oldest first.
#[derive(Debug)]
pub(crate) struct Pipeline {
    level: CompressionLevel,
    /// Threads that compress, the calling one included.
    threads: usize,
    jobs: VecDeque<Arc<Job>>,
    bytes: usize,
    /// Where the workers find their work; made with the first block.
    queue: Option<Arc<Queue>>,
}

/// One block to compress.
#[derive(Debug)]
struct Job {
    level: CompressionLevel,
    size: usize,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug)]
enum State {
    Waiting(Vec<u8>),
    /// Somebody is at it.
    Taken,
    Done(Arc<Vec<u8>>),
}

/// A block that somebody is at. Dropped without a frame it waits again, so that not even a panic (the
/// compressor's, when it finds no memory) leaves others waiting for it for ever.
struct Taken<'a> {
    job: &'a Job,
    block: Vec<u8>,
    frame: Option<Arc<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Queue {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    jobs: VecDeque<Arc<Job>>,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can leave what they guard half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipeline {
    pub(crate) fn new(level: CompressionLevel, threads: usize) -> Self {
        Self { level, threads: threads.clamp(1, MOST_THREADS), jobs: VecDeque::new(), bytes: 0, queue: None }
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether the oldest block should reach the file before another one is closed.
    pub(crate) fn is_full(&self) -> bool {
        let depth = if self.threads == 1 { 1 } else { 2 * self.threads };
        self.jobs.len() >= depth || self.bytes >= MOST_BYTES
    }

    /// Compresses a block that is not in the pipeline yet.
    pub(crate) fn compress_now(&self, block: &[u8]) -> Result<Vec<u8>> {
        deflate(block, self.level)
    }

    /// Takes a closed block.
    pub(crate) fn push(&mut self, block: Vec<u8>) {
        let size = block.len();
        self.push_job(State::Waiting(block), size);
    }

    /// Takes a block that is already compressed.
    pub(crate) fn push_frame(&mut self, frame: Vec<u8>) {
        let size = frame.len();
        self.push_job(State::Done(Arc::new(frame)), size);
    }

    fn push_job(&mut self, state: State, size: usize) {
        let to_do = matches!(state, State::Waiting(_));
        let job = Arc::new(Job { level: self.level, size, state: Mutex::new(state), done: Condvar::new() });
        self.bytes += size;
        self.jobs.push_back(Arc::clone(&job));
        if to_do && self.threads > 1 {
            self.hand_to_workers(job);
        }
    }

    fn hand_to_workers(&mut self, job: Arc<Job>) {
        let queue = self.queue.get_or_insert_with(|| {
            let (queue, started) = start_workers(self.threads - 1);
            self.threads = 1 + started;
            queue
        });
        // What nobody takes out again is not put in: it would stay in memory.
        if self.threads > 1 {
            lock(&queue.work).jobs.push_back(job);
            queue.changed.notify_one();
        }
    }

    /// The oldest block's frame, compressed here or waited for. It stays the oldest until
    /// [`pop`](Self::pop).
    pub(crate) fn front(&mut self) -> Result<Option<Arc<Vec<u8>>>> {
        let Some(oldest) = self.jobs.front() else {
            return Ok(None);
        };
        oldest.compress()?;
        // While somebody else is at the oldest one, the younger ones are worked on here.
        for job in self.jobs.iter().skip(1) {
            if oldest.frame().is_some() {
                break;
            }
            job.compress()?;
        }
        oldest.wait().map(Some)
    }

    /// Whether the oldest block's frame is there without waiting.
    pub(crate) fn front_is_ready(&self) -> bool {
        self.jobs.front().is_some_and(|job| job.frame().is_some())
    }

    /// Removes the oldest block, which is in the file now.
    pub(crate) fn pop(&mut self) {
        if let Some(job) = self.jobs.pop_front() {
            self.bytes -= job.size;
        }
    }

    /// Forgets all blocks.
    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
        self.bytes = 0;
        if let Some(queue) = &self.queue {
            lock(&queue.work).jobs.clear();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            let mut work = lock(&queue.work);
            work.jobs.clear();
            work.closed = true;
            queue.changed.notify_all();
        }
    }
}

impl Job {
    fn frame(&self) -> Option<Arc<Vec<u8>>> {
        match &*lock(&self.state) {
            State::Done(frame) => Some(Arc::clone(frame)),
            _ => None,
        }
    }

    /// Compresses the block unless somebody else is at it; a failure leaves it waiting.
    fn compress(&self) -> Result<()> {
        if let Some(mut taken) = self.take() {
            taken.frame = Some(Arc::new(deflate(&taken.block, self.level)?));
        }
        Ok(())
    }

    fn take(&self) -> Option<Taken<'_>> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Waiting(_)) {
            return None;
        }
        let State::Waiting(block) = std::mem::replace(&mut *state, State::Taken) else {
            return None;
        };
        Some(Taken { job: self, block, frame: None })
    }

    fn wait(&self) -> Result<Arc<Vec<u8>>> {
        loop {
            // A worker that failed left the block waiting; trying it here tells why.
            self.compress()?;
            let state = lock(&self.state);
            match &*state {
                State::Done(frame) => return Ok(Arc::clone(frame)),
                State::Waiting(_) => {}
                State::Taken => drop(self.done.wait_while(state, |state| matches!(state, State::Taken))),
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let state = match self.frame.take() {
            Some(frame) => State::Done(frame),
            None => State::Waiting(std::mem::take(&mut self.block)),
        };
        *lock(&self.job.state) = state;
        self.job.done.notify_all();
    }
}

/// Starts up to `count` workers; says how many there are.
fn start_workers(count: usize) -> (Arc<Queue>, usize) {
    let queue = Arc::new(Queue::default());
    let start = |_: &usize| {
        let queue = Arc::clone(&queue);
        std::thread::Builder::new().name("capturefile".into()).spawn(move || work(&queue)).is_ok()
    };
    // Without a worker the calling thread does all the work, in `front`.
    let started = (0..count).take_while(start).count();
    (queue, started)
}

fn work(queue: &Queue) {
    let mut work = lock(&queue.work);
    loop {
        if work.closed {
            return;
        }
        work = match work.jobs.pop_front() {
            Some(job) => {
                drop(work);
                // The caller finds a block that failed still waiting, and learns why by trying.
                let _ = job.compress();
                lock(&queue.work)
            }
            None => queue.changed.wait(work).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::block::inflate;
    use crate::format::LENGTH_SIZE;

    #[test]
    fn blocks_come_out_in_the_order_they_went_in_on_any_number_of_threads() {
        for threads in [1, 2, 4] {
            let mut pipeline = Pipeline::new(CompressionLevel::default(), threads);
            let mut expected = VecDeque::new();
            for index in 0..50_u8 {
                let block = vec![index; 1000 + usize::from(index) * 997];
                expected.push_back(block.clone());
                pipeline.push(block);
                while pipeline.is_full() {
                    check_front(&mut pipeline, &mut expected);
                }
            }
            while !pipeline.is_empty() {
                check_front(&mut pipeline, &mut expected);
            }
            assert!(expected.is_empty());
        }
    }

    fn check_front(pipeline: &mut Pipeline, expected: &mut VecDeque<Vec<u8>>) {
        let frame = pipeline.front().unwrap().unwrap();
        let block = inflate(&frame[LENGTH_SIZE..], 4096).unwrap();
        assert_eq!(*block, *expected.pop_front().unwrap());
        pipeline.pop();
    }

    #[test]
    fn a_block_whose_compression_broke_off_is_compressed_by_the_next_one_who_needs_it() {
        let mut pipeline = Pipeline::new(CompressionLevel::default(), 1);
        pipeline.push(vec![7; 1000]);
        let taken = pipeline.jobs[0].take().unwrap();
        assert!(pipeline.jobs[0].take().is_none());
        drop(taken);
        check_front(&mut pipeline, &mut [vec![7; 1000]].into());
    }

    #[test]
    fn an_absurd_number_of_threads_is_cut_to_a_sensible_one() {
        let pipeline = Pipeline::new(CompressionLevel::default(), usize::MAX);
        assert_eq!(pipeline.threads, MOST_THREADS);
        assert!(!pipeline.is_full());
    }
}
