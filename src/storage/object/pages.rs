//! The pages of one version of an object: those in memory, those in progress, and the threads that fetch them.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use crate::format::in_memory;
use crate::storage::READ_AHEAD;

use super::source::{ObjectHead, ObjectSource, wrong_length};

/// Size of a page: the unit in which bytes are fetched, kept and evicted.
const PAGE: u64 = 16 * 1024;
/// Minimum number of bytes that a waiting read fetches: fewer would take as long.
const MIN_REQUEST: u64 = 64 * 1024;
/// Maximum length of a request: above it, starting a second one in parallel is faster.
const MAX_REQUEST: u64 = 2 * 1024 * 1024;
/// Maximum number of unneeded pages that are fetched to save a separate request for the pages after them.
const MAX_GAP: u64 = 4;
/// Maximum number of parallel requests.
const MAX_REQUESTS: usize = 16;
/// Maximum number of pages in memory. At most half of them are ever announced.
const MAX_PAGES: u64 = 2 * READ_AHEAD / PAGE;
/// Interval at which a waiting thread checks whether to continue.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The pages of one version of an object.
pub(super) struct Pages {
    source: Arc<dyn ObjectSource>,
    head: ObjectHead,
    /// The count of forks at its creation.
    forks: u64,
    state: Mutex<State>,
    /// Notified when a request has ended.
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    present: HashMap<u64, Box<[u8]>>,
    /// The pages in memory in order of arrival, which is also the order of eviction.
    order: VecDeque<u64>,
    /// The request in progress for each page.
    coming: HashMap<u64, Arc<Request>>,
    queue: VecDeque<Arc<Request>>,
    /// Number of threads that fetch pages.
    threads: usize,
    /// Where the last read that had to wait ended, and how many bytes it requested: sequential reads request
    /// more and more.
    waited: (u64, u64),
}

/// Pages that are fetched together.
#[derive(Debug)]
struct Request {
    pages: Range<u64>,
    failure: OnceLock<Arc<io::Error>>,
}

/// An error shared by all threads that waited for the same request.
#[derive(Debug)]
struct SharedError(Arc<io::Error>);

impl fmt::Display for SharedError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl Request {
    fn check(&self) -> io::Result<()> {
        match self.failure.get() {
            Some(error) => Err(io::Error::new(error.kind(), SharedError(Arc::clone(error)))),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pages").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Pages {
    pub(super) fn new(source: Arc<dyn ObjectSource>, head: ObjectHead, forks: u64) -> Self {
        Self { source, head, forks, state: Mutex::default(), arrived: Condvar::new() }
    }

    pub(super) fn forks(&self) -> u64 {
        self.forks
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels all requests that are not yet in progress.
    pub(super) fn cancel(&self) {
        self.lock().queue.clear();
    }

    fn pages_of(range: &Range<u64>) -> Range<u64> {
        if range.is_empty() { 0..0 } else { range.start / PAGE..range.end.div_ceil(PAGE) }
    }

    /// Reads at least one byte at `position`, which must be inside the object, into `buffer`.
    pub(super) fn read(self: &Arc<Self>, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let first = position / PAGE;
        loop {
            let mut state = self.lock();
            let done = state.copy(buffer, position);
            if done > 0 {
                return Ok(done);
            }
            let Some(request) = state.coming.get(&first).map(Arc::clone) else {
                let length = state.length_to_request(first).max(buffer.len() as u64).min(READ_AHEAD);
                let wanted = Self::pages_of(&(position..position.saturating_add(length).min(self.head.size)));
                state.waited = (wanted.end, length);
                for request in state.missing(wanted).into_iter().rev() {
                    state.queue.push_front(request);
                }
                self.start_threads(state);
                continue;
            };
            self.wait(state, &request)?;
        }
    }

    /// Waits until the pages of `range` that are in progress have arrived.
    pub(super) fn await_coming(&self, range: Range<u64>) -> io::Result<()> {
        for page in Self::pages_of(&range) {
            loop {
                let state = self.lock();
                let Some(request) = state.coming.get(&page).map(Arc::clone) else { break };
                self.wait(state, &request)?;
            }
        }
        Ok(())
    }

    /// Waits a while for `request` to end.
    fn wait(&self, state: MutexGuard<'_, State>, request: &Request) -> io::Result<()> {
        let waited = self.arrived.wait_timeout(state, CHECK_INTERVAL);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        request.check()?;
        if timeout.timed_out() { self.source.check() } else { Ok(()) }
    }

    /// Starts fetching the missing pages of all `ranges`, which it sorts.
    pub(super) fn fetch_all(self: &Arc<Self>, ranges: &mut [Range<u64>]) {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut state = self.lock();
        let mut run = 0..0;
        for pages in ranges.iter().map(Self::pages_of).filter(|pages| !pages.is_empty()) {
            if !run.is_empty() && pages.start <= run.end + MAX_GAP {
                run.end = run.end.max(pages.end);
                continue;
            }
            let before = std::mem::replace(&mut run, pages);
            let requests = state.missing(before);
            state.queue.extend(requests);
        }
        let requests = state.missing(run);
        state.queue.extend(requests);
        self.start_threads(state);
    }

    /// Starts as many threads as the queue has work for.
    fn start_threads(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let more = state.queue.len().min(MAX_REQUESTS - state.threads.min(MAX_REQUESTS));
        state.threads += more;
        drop(state);
        for _ in 0..more {
            let pages = Arc::clone(self);
            let thread = thread::Builder::new().name("capturefile-fetch".into());
            if thread.spawn(move || pages.work()).is_err() {
                // The system grants no more threads; the caller has to wait for the answer anyway.
                self.work();
            }
        }
    }

    /// Performs requests until the queue is empty.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some(request) = state.queue.pop_front() else {
                state.threads -= 1;
                return;
            };
            drop(state);
            let mut running = Running { pages: self, request, outcome: None };
            let start = running.request.pages.start * PAGE;
            let end = (running.request.pages.end * PAGE).min(self.head.size);
            let read = self.source.read(start..end, &self.head);
            running.outcome = Some(read.and_then(|bytes| {
                let expected = end - start;
                if bytes.len() as u64 == expected {
                    Ok(bytes)
                } else {
                    Err(wrong_length(bytes.len(), expected))
                }
            }));
        }
    }
}

/// A request that a thread is performing. Dropping it hands over the outcome, or an error after a panic, so
/// that no thread waits for ever.
struct Running<'a> {
    pages: &'a Pages,
    request: Arc<Request>,
    outcome: Option<io::Result<Vec<u8>>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let panicked = || Err(io::Error::other("the source panicked"));
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        let mut state = self.pages.lock();
        if thread::panicking() {
            state.threads -= 1;
        }
        for page in self.request.pages.clone() {
            state.coming.remove(&page);
        }
        match outcome {
            Ok(bytes) => {
                for (page, bytes) in self.request.pages.clone().zip(bytes.chunks(in_memory(PAGE))) {
                    state.keep(page, bytes.into());
                }
            }
            Err(error) => drop(self.request.failure.set(Arc::new(error))),
        }
        drop(state);
        self.pages.arrived.notify_all();
    }
}

impl State {
    /// Returns the least number of bytes that a read from the page `first` on requests.
    fn length_to_request(&self, first: u64) -> u64 {
        let (end, length) = self.waited;
        if first == end { 2 * length } else { MIN_REQUEST }
    }

    /// Copies the bytes in memory from `position` on, and returns their number.
    fn copy(&self, buffer: &mut [u8], position: u64) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = position + done as u64;
            let Some(page) = self.present.get(&(at / PAGE)) else { break };
            let bytes = page.get(in_memory(at % PAGE)..).unwrap_or_default();
            let count = bytes.len().min(buffer.len() - done);
            if count == 0 {
                break;
            }
            buffer[done..done + count].copy_from_slice(&bytes[..count]);
            done += count;
        }
        done
    }

    /// Returns requests for those of `pages` that are neither in memory nor in progress, and marks them as in
    /// progress.
    fn missing(&mut self, pages: Range<u64>) -> Vec<Arc<Request>> {
        let mut requests = Vec::new();
        let mut first = pages.start;
        while first < pages.end {
            let is_there = |page| self.present.contains_key(&page) || self.coming.contains_key(&page);
            if is_there(first) {
                first += 1;
                continue;
            }
            let most = pages.end.min(first + MAX_REQUEST / PAGE);
            let end = (first..most).find(|&page| is_there(page)).unwrap_or(most);
            let request = Arc::new(Request { pages: first..end, failure: OnceLock::new() });
            for page in first..end {
                self.coming.insert(page, Arc::clone(&request));
            }
            requests.push(request);
            first = end;
        }
        requests
    }

    fn keep(&mut self, page: u64, bytes: Box<[u8]>) {
        if self.present.insert(page, bytes).is_none() {
            self.order.push_back(page);
        }
        while self.order.len() as u64 > MAX_PAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.present.remove(&oldest);
        }
    }
}
