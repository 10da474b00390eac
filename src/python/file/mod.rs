//! The Python class `CaptureFile`.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

mod internals;
mod modern;
mod opening;
mod read;
mod settings;
mod ticket;
mod transaction;
mod whole;
mod write;

pub(super) use internals::{block_range, file_identity, is_in_place, reader_of, set_commit_hook};
pub(super) use opening::{open, place_in_store, reopen};
pub(super) use ticket::CommitTicket;
pub(super) use transaction::Transaction;

use std::ffi::{CString, OsStr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::{Compression, CompressionLevel, OpenOptions, Snapshot, Stats, SyncMode};

use super::convert::{Encoding, block_size, cache_size, format_version, threads};
use super::display;
use super::errors::{CaptureFileNotOpen, UncommittedWarning, quoted, represented};

use settings::{Chosen, Request, Settings, copy_metadata, counted};

/// A capture file: a compressed, transactional, append-only log of records.
///
/// Records are numbered from 1. Added records become visible to others, together with the metadata, at
/// `commit()`. One writer and any number of readers, in threads and processes, can have a file open at the
/// same time, and one object may be used by many threads.
///
/// `cf[n]` is record n, `cf[-1]` the last one, and `cf[a:b]` a list of records a to b - 1. `len(cf)` is the
/// number of records, and `for record in cf` iterates over those that exist when the loop starts. Leaving the
/// `with` block closes the file; it does not commit. Type checkers know an object whose records are `str` as
/// `CaptureFile[str]`, and one whose records are `bytes` as `CaptureFile[bytes]`.
///
/// A reader can be pickled: the other process opens the file again and sees the last commit at that time. The
/// pickle changes once `refresh()` has found something new, so caches can use it as a key. After a fork, the
/// child can continue reading but never writes, and it does not see its parent's uncommitted records.
///
/// Args:
///     file_name: Path of the file, by convention with the extension `.capture`, or URL of one in an object
///         store, which is read without a download; see `docs/object-stores.md`.
///     to_write: Open for writing, and create the file if it does not exist or is empty.
///     initial_metadata: Metadata of a file that this call creates; ignored for an existing file.
///     force_new_empty_file: Atomically replace any existing file with a new, empty one. A file that is being
///         written is refused.
///     encoding: Encoding that decodes records on reading and encodes `str` records on adding. With None,
///         records are returned as `bytes`, and `str` is encoded as UTF-8.
///     use_os_file_locking: Hold the writer lock in the operating system. False is for file systems without
///         locks; a second writer in the same process is refused in any case.
///     compression_block_size: Bytes that are compressed together, a multiple of 4,096, for a file that this
///         call creates; ignored for an existing file. By default 32,768, and 131,072 in format 3.
///     errors: How to handle text that cannot be decoded or encoded, as for Python's `open`: "replace",
///         "backslashreplace", "surrogateescape" and so on. By default it is an error.
///     codec: Converts records to objects and back: any object with the methods `decode`, which takes
///         `bytes`, and `encode`. `capturefile.codecs` has codecs for JSON, msgspec and pydantic. It replaces
///         `encoding`. Type checkers know an object whose codec returns `Order`s as `CaptureFile[Order]`.
///     sync: "full" (or True): `commit()` returns once the data would survive a power cut. "barrier": a power
///         cut rolls back at most the last commit (in format 3, those since the last sync), and never harms
///         the file. "none" (or False): a commit survives the process, but a power cut may destroy the file.
///     format: Version of the format of a file that this call creates: 2, or 3, which only this package reads;
///         `docs/format-3.md` lists what works with it. The version of an existing file is detected.
///     compression: How blocks of a file that this call creates are compressed: "zlib" in format 2; "zstd",
///         "lz4" or "none" in format 3. By default the first of these.
///     compression_level: From 1, the fastest, to 12, the smallest, with "zlib", by default 6; from 1 to 22 with
///         "zstd", by default 1.
///     threads: Number of threads, including the calling one, that compress blocks and inflate them ahead of
///         sequential reads; by default one per core, up to four.
///     cache_size: Maximum size of the cache of inflated blocks and index nodes, in bytes.
///     store: The store that contains the object at this path: a store of `obstore` or a file system of
///         `fsspec`. Only for reading.
///
/// Raises:
///     OSError: The file cannot be opened, created, or locked because its file system has no locks. This
///         includes FileNotFoundError and PermissionError.
///     InvalidCaptureFile: The file is not a capture file, or it is damaged.
///     CaptureFileAlreadyOpen: The file is open for writing elsewhere.
///     LookupError: There is no such encoding or error handler.
///     ValueError: A setting is out of range.
///     TypeError: The codec has no methods `decode` and `encode`.
///
/// Examples:
///     >>> with CaptureFile("guests.capture", to_write=True) as guests:
///     ...     guests.add_record("Ada, from London")
///     ...     guests.commit()
///     ...     print(guests[1])
///     1
///     Ada, from London
///
///     In the examples of the methods, `cf` is open for writing and has committed the records "first",
///     "second" and "third".
#[pyclass(frozen, subclass, weakref, generic, module = "capturefile")]
pub(super) struct CaptureFile {
    /// Set by `__init__`.
    settings: OnceLock<Settings>,
    open: ArcSwapOption<crate::CaptureFile>,
    /// Whether it was last opened for writing.
    writes: AtomicBool,
    /// The record count that was last seen, for an object that is closed.
    last_count: AtomicU64,
    /// The stats at the last close.
    last_stats: ArcSwap<Stats>,
    /// Called with the records, bytes and seconds of each commit.
    commit_hook: ArcSwapOption<Py<PyAny>>,
}

type Open = Arc<crate::CaptureFile>;

impl CaptureFile {
    fn unopened() -> Self {
        Self {
            settings: OnceLock::new(),
            open: ArcSwapOption::empty(),
            writes: AtomicBool::new(false),
            last_count: AtomicU64::new(0),
            last_stats: ArcSwap::from_pointee(Stats::default()),
            commit_hook: ArcSwapOption::empty(),
        }
    }

    fn settings(&self) -> PyResult<&Settings> {
        self.settings
            .get()
            .ok_or_else(|| PyRuntimeError::new_err("CaptureFile.__init__() has not been called"))
    }

    /// Returns the path in quotes, for messages.
    fn name(&self) -> PyResult<String> {
        Ok(quoted(self.settings()?.name()))
    }

    /// Borrows the open file for a short operation.
    fn quick(&self) -> PyResult<Guard<Option<Open>>> {
        let open = self.open.load();
        if open.is_some() {
            return Ok(open);
        }
        let name = self.name()?;
        Err(CaptureFileNotOpen::new_err(format!("{name} is not open; call open() to open it again")))
    }

    /// Returns the open file, for work without the interpreter.
    fn file(&self) -> PyResult<Open> {
        self.quick()?.as_ref().map(Arc::clone).ok_or_else(|| CaptureFileNotOpen::new_err("not open"))
    }

    pub(super) fn snapshot(&self, py: Python<'_>) -> PyResult<Arc<Snapshot>> {
        let file = self.file()?;
        Ok(py.detach(|| file.snapshot())?)
    }

    fn encoding(&self) -> PyResult<&Encoding> {
        Ok(&self.settings()?.encoding)
    }

    /// Waits for started commits; raises the error of one that failed, unless it has been reported.
    fn finish_commits(&self, py: Python<'_>) -> PyResult<()> {
        let Some(file) = self.open.load_full().filter(|file| file.is_writer()) else {
            return Ok(());
        };
        let finished = py.detach(|| file.finish_commits());
        self.tell_of_started_commits(py);
        match finished {
            // Only the parent may write the file.
            Err(crate::Error::Forked { .. }) => Ok(()),
            finished => Ok(finished?),
        }
    }

    /// Closes; returns the number of uncommitted records that this discarded, if it discarded records or metadata.
    fn close_quietly(&self, py: Python<'_>) -> Option<u64> {
        let file = self.open.load_full()?;
        py.detach(move || {
            let loses = file.has_uncommitted();
            let lost = file.close();
            // The last count is stored before the object counts as closed, for other threads that request it
            // meanwhile.
            self.last_count.store(file.record_count().unwrap_or_default(), Ordering::Relaxed);
            self.last_stats.store(Arc::new(file.stats()));
            self.open.compare_and_swap(&Some(file), None);
            loses.then_some(lost)
        })
    }

    fn warn_of_loss(&self, py: Python<'_>, lost: Option<u64>) -> PyResult<()> {
        let what = match lost {
            None => return Ok(()),
            Some(0) => "uncommitted metadata".to_owned(),
            Some(records) => counted(records, "uncommitted record"),
        };
        let name = self.name()?;
        let message = format!(
            "{name} was closed with {what}, now lost; call commit() first, or rollback() if that is intended"
        );
        PyErr::warn(py, &py.get_type::<UncommittedWarning>(), &CString::new(message)?, 1)
    }
}

#[pymethods]
impl CaptureFile {
    #[new]
    #[pyo3(
        signature = (*_args, **_options),
        text_signature = "(file_name, to_write=False, initial_metadata=None, force_new_empty_file=False, \
                          encoding='utf_8', use_os_file_locking=True, compression_block_size=None, *, \
                          errors=None, codec=None, sync='full', format=2, compression=None, compression_level=None, \
                          threads=None, cache_size=50331648, store=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        Self::unopened()
    }

    #[pyo3(signature = (
        file_name, to_write=false, initial_metadata=None, force_new_empty_file=false, encoding=Some("utf_8".into()),
        use_os_file_locking=true, compression_block_size=None, *, errors=None, codec=None, sync=SyncMode::Full, format=2,
        compression=None, compression_level=None, threads=None, cache_size=OpenOptions::DEFAULT_CACHE_SIZE,
        store=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are those of the reference package, and ours")]
    fn __init__(
        &self,
        py: Python<'_>,
        file_name: PathBuf,
        to_write: bool,
        initial_metadata: Option<&Bound<'_, PyAny>>,
        force_new_empty_file: bool,
        encoding: Option<String>,
        use_os_file_locking: bool,
        #[pyo3(from_py_with = block_size)] compression_block_size: Option<u32>,
        errors: Option<String>,
        codec: Option<Bound<'_, PyAny>>,
        sync: SyncMode,
        #[pyo3(from_py_with = format_version)] format: u32,
        compression: Option<Compression>,
        compression_level: Option<CompressionLevel>,
        #[pyo3(from_py_with = threads)] threads: Option<usize>,
        #[pyo3(from_py_with = cache_size)] cache_size: u64,
        store: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (encoding, codec) = Chosen::codec(encoding, codec)?;
        let chosen = Chosen {
            encoding,
            errors,
            codec,
            use_os_file_locking,
            sync,
            compression_level,
            threads,
            cache_size,
        };
        let request = Request {
            write: to_write,
            new: false,
            replace: force_new_empty_file,
            metadata: copy_metadata(initial_metadata)?,
            format,
            compression,
            block_size: compression_block_size,
        };
        self.start(py, file_name, store, chosen, request)
    }

    /// The path that the file was opened with, as `str`.
    #[getter]
    fn file_name(&self) -> PyResult<&OsStr> {
        Ok(self.settings()?.path.as_os_str())
    }

    /// Whether the object is open for writing, or was when it was closed.
    #[getter]
    fn to_write(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// The handler for text that cannot be decoded or encoded, as it was given, or None if that is an error.
    #[getter(errors)]
    fn get_errors(&self) -> PyResult<Option<&str>> {
        Ok(self.settings()?.chosen.errors.as_deref())
    }

    /// Whether this object, if it is a writer, holds a lock in the operating system.
    #[getter]
    fn use_os_file_locking(&self) -> PyResult<bool> {
        Ok(self.settings()?.chosen.use_os_file_locking)
    }

    /// Whether the object is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.load().is_none()
    }

    /// Opens the object again after `close()`, with the settings it was created with.
    ///
    /// No file is created.
    ///
    /// Args:
    ///     to_write: Open for writing instead of reading.
    ///
    /// Raises:
    ///     FileNotFoundError: The file no longer exists.
    ///     CaptureFileAlreadyOpen: This object is already open, or `to_write` is true and the file is open
    ///         for writing elsewhere.
    ///     OSError: As for the constructor.
    ///     InvalidCaptureFile: As for the constructor.
    ///
    /// Examples:
    ///     >>> cf.close()
    ///     >>> cf.open()
    ///     >>> cf.writable
    ///     False
    #[pyo3(signature = (to_write=false))]
    fn open(&self, py: Python<'_>, to_write: bool) -> PyResult<()> {
        let settings = self.settings()?;
        if let Some(remote) = settings.remote.as_ref().filter(|_| to_write) {
            return Err(remote.refuse_writing(py));
        }
        self.open_with(py, &settings.options().write(to_write).create(false))
    }

    /// Closes the file without committing. Does nothing on a closed object.
    ///
    /// Uncommitted records and metadata are lost; an UncommittedWarning reports the number of records.
    /// Commits that were started by `start_commit()` are finished first.
    ///
    /// Raises:
    ///     OSError: A started commit has failed, and no ticket or other call has raised the error. The file
    ///         is closed.
    ///     CaptureFileError: Likewise.
    ///
    /// Examples:
    ///     >>> cf.close()
    ///     >>> cf.closed
    ///     True
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let finished = self.finish_commits(py);
        let lost = self.close_quietly(py);
        finished.and_then(|()| self.warn_of_loss(py, lost))
    }

    /// Returns the number of records that this object sees, like `len(cf)`.
    ///
    /// These are the records that were committed when the object was opened or last refreshed, and those added
    /// through it. A closed object returns the count that it saw last, whereas all other calls that read or write
    /// raise CaptureFileNotOpen.
    ///
    /// Returns:
    ///     The number of records, which is also the number of the last one.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The file is damaged.
    ///
    /// Examples:
    ///     >>> cf.record_count()
    ///     3
    fn record_count(&self, py: Python<'_>) -> PyResult<u64> {
        self.settings()?;
        let open = self.open.load();
        let Some(file) = open.as_ref() else {
            return Ok(self.last_count.load(Ordering::Relaxed));
        };
        if let Some(snapshot) = file.try_snapshot() {
            return Ok(snapshot.record_count());
        }
        let file = Arc::clone(file);
        Ok(py.detach(|| file.record_count())?)
    }

    /// Always True, even for a file without records: the object represents the file.
    #[expect(clippy::unused_self, reason = "the signature is Python's")]
    fn __bool__(&self) -> bool {
        true
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.record_count(py)?)?)
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    // An exception in progress explains why records are lost, and must not be replaced.
    #[pyo3(signature = (*exception), text_signature = "($self, *exception)")]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let finished = self.finish_commits(py);
        let lost = self.close_quietly(py);
        let raised = exception.get_item(0).is_ok_and(|class| !class.is_none());
        if raised { Ok(()) } else { finished.and_then(|()| self.warn_of_loss(py, lost)) }
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let name = represented(py, self.settings()?.name());
        let Some(file) = self.open.load_full() else {
            let count = self.last_count.load(Ordering::Relaxed);
            return Ok(format!("{name}, closed, last seen with {}", counted(count, "record")));
        };
        let purpose = if file.is_writer() { "writing" } else { "reading" };
        // If the records cannot be counted, reading them reports the reason.
        let count =
            py.detach(|| file.record_count()).map(|count| format!(", with {}", counted(count, "record")));
        Ok(format!("{name}, open for {purpose}{}", count.unwrap_or_default()))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        self.__str__(py)
            .map_or_else(|_| "<CaptureFile, not opened>".into(), |text| format!("<CaptureFile {text}>"))
    }

    /// Returns a table of the first records for notebooks, or None if the object is closed.
    fn _repr_html_<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(snapshot) = self.snapshot(py) else {
            return Ok(None);
        };
        let encoding = self.get_encoding()?;
        display::table(py, &self.__repr__(py), &snapshot, 1, snapshot.record_count(), encoding).map(Some)
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        // At the end of the process, the interpreter may no longer be able to issue warnings.
        Python::try_attach(|py| {
            // The object may be released because of an exception in progress, which must not be replaced.
            let raised = PyErr::take(py);
            let finished = self.finish_commits(py);
            let lost = self.close_quietly(py);
            if let Err(error) = finished.and_then(|()| self.warn_of_loss(py, lost)) {
                error.write_unraisable(py, None);
            }
            if let Some(raised) = raised {
                raised.restore(py);
            }
        });
    }
}
