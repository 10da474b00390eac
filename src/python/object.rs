//! Objects in stores, read by Python code.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyString, PyTuple};

use crate::{CaptureFile, ObjectHead, ObjectSource, OpenOptions};

use super::convert::with_bytes;

/// A reader of `capturefile._remote` for an object in a store.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    source: Arc<Source>,
    /// Its name in messages: the URL without secrets.
    pub(super) name: PathBuf,
}

impl Remote {
    /// Finds the reader for `path`, if it is a URL or in a given store. A `file://` URL becomes a path.
    pub(super) fn find(
        py: Python<'_>,
        path: PathBuf,
        store: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(PathBuf, Option<Self>)> {
        if store.is_none() && !path.as_os_str().as_encoded_bytes().windows(3).any(|part| part == b"://") {
            return Ok((path, None));
        }
        let found = py.import("capturefile._remote")?.getattr("source")?.call1((path.as_os_str(), store))?;
        if found.is_instance_of::<PyString>() {
            return Ok((found.extract()?, None));
        }
        Fetching::end_at_exit(py)?;
        let name = found.getattr("name")?.extract::<PathBuf>()?;
        Ok((path, Some(Self { source: Arc::new(Source(found.unbind())), name })))
    }

    fn source(&self) -> Arc<dyn ObjectSource> {
        Arc::clone(&self.source) as Arc<dyn ObjectSource>
    }

    /// Opens the file at `path`, or the object in a store, with `options`.
    pub(super) fn open(
        remote: Option<&Self>,
        path: &Path,
        options: &OpenOptions,
    ) -> crate::Result<CaptureFile> {
        match remote {
            Some(remote) => options.open_object(&remote.name, remote.source()),
            None => options.open(path),
        }
    }

    /// Returns the store that was given.
    pub(super) fn store<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.source.0.bind(py).getattr("given")
    }

    /// Returns the exception for an attempt to write.
    pub(super) fn refuse_writing(&self, py: Python<'_>) -> PyErr {
        let refused = |py| self.source.0.bind(py).call_method0("refuse_writing").map(drop);
        refused(py).err().unwrap_or_else(|| PyRuntimeError::new_err("objects in stores can only be read"))
    }
}

struct Source(Py<PyAny>);

impl Source {
    /// How long a waiting thread leaves the interpreter to others.
    const FOR_OTHERS: Duration = Duration::from_millis(1);
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Source").finish_non_exhaustive()
    }
}

/// Counts the threads that are in Python code for a store, so that the interpreter does not end while they
/// run. It contains no locks, which a fork could copy while they are held.
struct Fetching;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whether the interpreter is about to end.
static ENDING: AtomicBool = AtomicBool::new(false);

impl Fetching {
    /// How long the end of the interpreter waits for answers.
    const PATIENCE: Duration = Duration::from_secs(10);
    const INTERVAL: Duration = Duration::from_millis(5);

    fn begin() -> Option<Self> {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let begun = Self;
        (!ENDING.load(Ordering::SeqCst)).then_some(begun)
    }

    /// Makes the interpreter wait at its end for threads that are in Python code.
    fn end_at_exit(py: Python<'_>) -> PyResult<()> {
        static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
        let process = std::process::id();
        let register = || {
            let wait = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                // A forked child has none of these threads.
                if process == std::process::id() {
                    arguments.py().detach(Self::wait_for_all);
                }
            };
            let wait = PyCFunction::new_closure(py, None, None, wait)?;
            py.import("atexit")?.call_method1("register", (wait,)).map(drop)
        };
        REGISTERED.get_or_try_init(py, register).map(drop)
    }

    fn wait_for_all() {
        ENDING.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + Self::PATIENCE;
        while RUNNING.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Self::INTERVAL);
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Calls `work` with the interpreter, and turns an exception into the cause of an error.
fn call<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> io::Result<T> {
    let attached = |_fetching| Python::try_attach(|py| work(py).map_err(io::Error::other));
    let done = Fetching::begin().and_then(attached);
    done.unwrap_or_else(|| Err(io::Error::other("the interpreter is shutting down")))
}

fn head_of((size, version): (u64, Option<Bound<'_, PyString>>)) -> PyResult<ObjectHead> {
    Ok(ObjectHead::new(size, version.map(|version| version.extract()).transpose()?))
}

fn to_vec(bytes: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    with_bytes(bytes, "a store must return bytes", |bytes| Ok(bytes.to_vec()))
}

impl ObjectSource for Source {
    fn head(&self) -> io::Result<ObjectHead> {
        call(|py| head_of(self.0.bind(py).call_method0("head")?.extract()?))
    }

    fn start(&self, length: u64) -> io::Result<(ObjectHead, Vec<u8>)> {
        call(|py| {
            let (size, version, bytes) = self.0.bind(py).call_method1("start", (length,))?.extract()?;
            let bytes: Bound<'_, PyAny> = bytes;
            Ok((head_of((size, version))?, to_vec(&bytes)?))
        })
    }

    fn read(&self, range: Range<u64>, head: &ObjectHead) -> io::Result<Vec<u8>> {
        call(|py| {
            let arguments = (range.start, range.end, head.size, head.version.as_deref());
            to_vec(&self.0.bind(py).call_method1("read", arguments)?)
        })
    }

    fn check(&self) -> io::Result<()> {
        call(|py| {
            py.check_signals()?;
            // If the caller holds the interpreter, the answer needs it.
            py.detach(|| std::thread::sleep(Self::FOR_OTHERS));
            Ok(())
        })
    }
}
