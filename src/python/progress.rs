//! Long work that tells Python how far it is, and that signals and errors stop.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{Progress, Result};

/// Ctrl-C is looked for once in this many records that become Python objects.
pub(super) const RECORDS_PER_CHECK: usize = 4096;
/// Between two calls of what shows how far it is, at least; signals are looked for more often.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells Python how far the work is, and whether to continue.
pub(super) type Callback = Box<dyn FnMut(Progress) -> ControlFlow<()>>;

/// Does `work` without the interpreter. It ends early where a signal or `progress` raises an error, which is
/// then this one's.
pub(super) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(Callback) -> Result<T> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let raised = Rc::new(RefCell::new(None));
        let error = Rc::clone(&raised);
        let mut teller = Teller { progress, told: None };
        let result = work(Box::new(move |progress| {
            *error.borrow_mut() = Python::attach(|py| teller.look(py, progress)).err();
            if error.borrow().is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }));
        (result, raised.take())
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

struct Teller {
    progress: Option<Py<PyAny>>,
    told: Option<Instant>,
}

impl Teller {
    fn look(&mut self, py: Python<'_>, Progress { done, total, .. }: Progress) -> PyResult<()> {
        py.check_signals()?;
        let is_due = done == total || self.told.is_none_or(|told| told.elapsed() >= PAUSE);
        let Some(progress) = self.progress.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        self.told = Some(Instant::now());
        progress.call1(py, (done, total)).map(drop)
    }
}
