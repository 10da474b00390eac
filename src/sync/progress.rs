//! Saying how far long work on a file has come, and asking whether to continue with it.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, Result};

/// This much work is done between two looks: bytes, and a thousand for each step.
const WORK_PER_LOOK: u64 = 4 * 1024 * 1024;
const WORK_PER_STEP: u64 = 1000;

/// Told now and then how many bytes of the file are done, and how many there are; says whether to continue.
type GoOn = dyn FnMut(u64, u64) -> bool;

/// What looks after long work. Its clones are one.
#[derive(Clone)]
pub(crate) struct Progress {
    path: PathBuf,
    go_on: Rc<RefCell<GoOn>>,
    work: Rc<Cell<u64>>,
    done: Rc<Cell<u64>>,
    total: Rc<Cell<u64>>,
}

impl Progress {
    /// `path` is the file that an error is about.
    pub(crate) fn new(path: &Path, go_on: impl FnMut(u64, u64) -> bool + 'static) -> Self {
        let go_on = Rc::new(RefCell::new(go_on));
        Self { path: path.to_owned(), go_on, work: Rc::default(), done: Rc::default(), total: Rc::default() }
    }

    /// Sets how many bytes there are.
    pub(crate) fn expect(&self, total: u64) {
        self.total.set(total);
    }

    /// Notes that this many bytes of the file are done; they never become fewer.
    pub(crate) fn reach(&self, done: u64) {
        self.done.set(self.done.get().max(done).min(self.total.get()));
    }

    /// Notes a step of work on this many bytes; an error if it is time to stop.
    pub(crate) fn note(&self, bytes: u64) -> Result<()> {
        self.work.set(self.work.get().saturating_add(WORK_PER_STEP).saturating_add(bytes));
        if self.work.get() < WORK_PER_LOOK { Ok(()) } else { self.look() }
    }

    /// Says how far it is, and asks; an error if it is time to stop.
    pub(crate) fn look(&self) -> Result<()> {
        self.work.set(0);
        if (self.go_on.borrow_mut())(self.done.get(), self.total.get()) {
            return Ok(());
        }
        Err(Error::Io {
            path: self.path.clone(),
            action: "continue with",
            source: io::ErrorKind::Interrupted.into(),
        })
    }

    /// Says that all is done.
    pub(crate) fn finish(&self) -> Result<()> {
        self.reach(u64::MAX);
        self.look()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_never_becomes_less_and_ends_with_all() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&told);
        let watch = Progress::new(Path::new("watched"), move |done, total| {
            seen.borrow_mut().push((done, total));
            true
        });
        watch.expect(100);
        for done in [0, 30, 20, 200] {
            watch.reach(done);
            watch.look().unwrap();
        }
        watch.finish().unwrap();
        assert_eq!(*told.borrow(), [(0, 100), (30, 100), (30, 100), (100, 100), (100, 100)]);
    }

    #[test]
    fn small_steps_are_looked_at_together_and_large_ones_at_once() {
        let looks = Rc::new(Cell::new(0));
        let counted = Rc::clone(&looks);
        let watch = Progress::new(Path::new("watched"), move |_, _| {
            counted.set(counted.get() + 1);
            true
        });
        (0..4000).for_each(|_| watch.note(0).unwrap());
        assert_eq!(looks.get(), 0);
        watch.note(1 << 40).unwrap();
        watch.note(u64::MAX).unwrap();
        assert_eq!(looks.get(), 2);
    }
}
