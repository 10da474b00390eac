//! Reports the progress of long work to Python, and ends the work at signals and errors.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{Progress, Result};

/// Number of records that become Python objects between two checks for Ctrl-C.
pub(super) const RECORDS_PER_CHECK: usize = 4096;
/// Minimum time between two calls of the callback; signals are checked more often.
const PAUSE: Duration = Duration::from_millis(100);

/// Reports progress to Python, and returns whether to continue.
pub(super) type Callback = Box<dyn FnMut(Progress) -> ControlFlow<()>>;

/// Does `work` while detached from the interpreter. If a signal handler or `progress` raises, the work ends early and
/// that error is returned.
pub(super) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(Callback) -> Result<T> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let raised = Rc::new(RefCell::new(None));
        let error = Rc::clone(&raised);
        let mut reporter = Reporter { progress, last: None };
        let result = work(Box::new(move |progress| {
            *error.borrow_mut() = Python::attach(|py| reporter.report(py, progress)).err();
            if error.borrow().is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }));
        (result, raised.take())
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

struct Reporter {
    progress: Option<Py<PyAny>>,
    /// The last call of the callback, and its argument.
    last: Option<(Instant, Progress)>,
}

impl Reporter {
    /// Passes on the progress, but not too often; the end immediately, and only once.
    fn report(&mut self, py: Python<'_>, now: Progress) -> PyResult<()> {
        py.check_signals()?;
        let is_end = now.done == now.total;
        let is_due = self.last.is_none_or(|(at, last)| at.elapsed() >= PAUSE || is_end && last != now);
        let Some(callback) = self.progress.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        self.last = Some((Instant::now(), now));
        callback.call1(py, (now.done, now.total)).map(drop)
    }
}
