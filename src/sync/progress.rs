//! Progress and cancellation of long operations on a file.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, Result};

/// Amount of work between two reports: bytes, plus a thousand for each step.
const WORK_PER_REPORT: u64 = 4 * 1024 * 1024;
const WORK_PER_STEP: u64 = 1000;

/// The progress of a long operation, in bytes of the file unless the method says otherwise.
///
/// A callback receives it from time to time, and returns [`ControlFlow::Break`] to cancel the operation
/// with an [`Error::Io`] of the kind [`Interrupted`](io::ErrorKind::Interrupted).
///
/// ```
/// use std::ops::ControlFlow;
/// use capturefile::{OpenOptions, VerifyOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// OpenOptions::new().write(true).open(&path)?;
/// let show = |progress: capturefile::Progress| {
///     println!("{} of {} bytes", progress.done, progress.total);
///     ControlFlow::Continue(())
/// };
/// VerifyOptions::new().progress(show).verify(&path)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Amount of work done; it never decreases.
    pub done: u64,
    /// Total amount of work.
    pub total: u64,
}

/// Receives the progress, and decides whether to continue.
pub(crate) type Callback<'a> = Box<dyn FnMut(Progress) -> ControlFlow<()> + 'a>;

/// Reports progress of a long operation and checks for cancellation. Clones share the same counters.
#[derive(Clone)]
pub(crate) struct Monitor<'a> {
    path: PathBuf,
    callback: Rc<dyn Fn(Progress) -> ControlFlow<()> + 'a>,
    work: Rc<Cell<u64>>,
    done: Rc<Cell<u64>>,
    total: Rc<Cell<u64>>,
}

impl<'a> Monitor<'a> {
    /// Errors name the file `path`. Without a callback nothing is reported.
    pub(crate) fn new(path: &Path, callback: Option<Callback<'a>>) -> Self {
        let callback = callback.unwrap_or_else(|| Box::new(|_| ControlFlow::Continue(())));
        let callback = RefCell::new(callback);
        Self {
            path: path.to_owned(),
            // A `Fn`, so that a monitor can be used in place of one with a shorter lifetime.
            callback: Rc::new(move |progress| (callback.borrow_mut())(progress)),
            work: Rc::default(),
            done: Rc::default(),
            total: Rc::default(),
        }
    }

    /// Sets the total amount of work.
    pub(crate) fn set_total(&self, total: u64) {
        self.total.set(total);
    }

    /// Raises the amount of work done to this value; it never decreases.
    pub(crate) fn advance_to(&self, done: u64) {
        self.done.set(self.done.get().max(done).min(self.total.get()));
    }

    /// Counts a step of work on this many bytes; fails if the operation is cancelled.
    pub(crate) fn add_work(&self, bytes: u64) -> Result<()> {
        self.work.set(self.work.get().saturating_add(WORK_PER_STEP).saturating_add(bytes));
        if self.work.get() < WORK_PER_REPORT { Ok(()) } else { self.report() }
    }

    /// Calls the callback; fails if it cancels the operation.
    pub(crate) fn report(&self) -> Result<()> {
        self.work.set(0);
        let progress = Progress { done: self.done.get(), total: self.total.get() };
        match (self.callback)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Io {
                path: self.path.clone(),
                action: "continue with",
                source: io::ErrorKind::Interrupted.into(),
            }),
        }
    }

    /// Reports that all work is done.
    pub(crate) fn finish(&self) -> Result<()> {
        self.advance_to(u64::MAX);
        self.report()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_never_becomes_less_and_ends_with_all() {
        let mut reported = Vec::new();
        let note = |progress: Progress| {
            reported.push((progress.done, progress.total));
            ControlFlow::Continue(())
        };
        let monitor = Monitor::new(Path::new("monitored"), Some(Box::new(note)));
        monitor.set_total(100);
        for done in [0, 30, 20, 200] {
            monitor.advance_to(done);
            monitor.report().unwrap();
        }
        monitor.finish().unwrap();
        drop(monitor);
        assert_eq!(reported, [(0, 100), (30, 100), (30, 100), (100, 100), (100, 100)]);
    }

    #[test]
    fn small_steps_are_reported_together_and_large_ones_at_once() {
        let reports = Cell::new(0);
        let count = |_| {
            reports.set(reports.get() + 1);
            ControlFlow::Continue(())
        };
        let monitor = Monitor::new(Path::new("monitored"), Some(Box::new(count)));
        (0..4000).for_each(|_| monitor.add_work(0).unwrap());
        assert_eq!(reports.get(), 0);
        monitor.add_work(1 << 40).unwrap();
        monitor.add_work(u64::MAX).unwrap();
        assert_eq!(reports.get(), 2);
    }
}
