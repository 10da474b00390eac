//! The Python class `CaptureFile`.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::{CString, OsStr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PySlice, PyTuple, PyType};

use super::arrow::ArrowRecords;
use super::convert::{
    Encoding, RecordNumber, block_size, cache_size, refuse_one_record, threads, to_bytes, with_bytes,
};
use super::errors::{CaptureFileAlreadyOpen, CaptureFileNotOpen, UncommittedWarning, quoted};
use super::iterators::{BlockIterator, Follower, RecordIterator};
use super::ranges::{self, SliceOfRecords};
use crate::file::capture_file::DEFAULT_CACHE_SIZE;
use crate::{CompressionLevel, Geometry, OpenOptions, Records, Snapshot, SyncMode, Totals};

const METADATA_EXPECTED: &str = "metadata must be bytes-like";

/// A capture file: a compressed, transactional, append-only log of records.
///
/// Records are numbered from 1. Those that are added become visible to others, together with the
/// metadata, at `commit()`. One writer and any number of readers, in threads and processes, can have a
/// file open at the same time; one object may be used by many threads.
///
///     with CaptureFile("log.capture", to_write=True) as cf:
///         cf.add_record("first")
///         cf.commit()
///         print(cf[1])
///
/// `cf[n]` is record n, `cf[-1]` the last one, and `cf[a:b]` the list of records a to b - 1; `len(cf)`
/// counts the records, and `for record in cf` goes through those there are. Leaving the `with` block
/// closes the file; it does not commit. A type checker knows an object whose records are `str` as
/// `CaptureFile[str]`, and one whose records are `bytes` as `CaptureFile[bytes]`.
///
/// An object that reads can be pickled; the other side opens the file again, and sees what is committed
/// by then. The pickle is another one after `refresh()` has found more, as caches of results want it.
/// After a fork a child can go on reading, and never writes; what its parent had not committed it does
/// not see.
///
/// Arguments:
///     file_name: path of the file, by convention with the extension `.capture`.
///     to_write: open for writing, creating the file if there is none.
///     initial_metadata: metadata of a file that this call creates; ignored otherwise.
///     force_new_empty_file: replace whatever stands there by a new empty file, in one step for
///         everybody who looks. A file that somebody is writing is refused.
///     encoding: how records are decoded on reading and `str` records encoded on adding. None: records
///         come back as `bytes`, and `str` is encoded as UTF-8.
///     use_os_file_locking: hold the writer lock in the operating system. False is for file systems
///         without locks; a second writer in this process is refused all the same.
///     compression_block_size: of a file that this call creates: how many bytes are compressed
///         together, a multiple of 4,096.
///     errors: what becomes of text that cannot be decoded or encoded, in the words of Python's `open`, such as
///         "replace", "backslashreplace" or "surrogateescape"; by default it is an error.
///     sync: "full" (or True): `commit()` returns when the data would survive a power cut. "barrier": a
///         power cut takes back the last commit at most, and never harms the file. "none" (or False): a
///         commit survives the process, but a power cut may cost the file.
///     compression_level: from 1, the fastest, to 12, the smallest.
///     threads: on how many threads blocks are compressed, and inflated ahead of whoever reads many records,
///         the calling one included; by default as many as the machine has cores, up to four.
///     cache_size: bytes of inflated blocks and index nodes that are kept in memory at most.
///
/// Raises:
///     FileNotFoundError, PermissionError or another OSError: the file cannot be opened, created or, for
///         want of locks in the file system, locked.
///     InvalidCaptureFile: it is not a capture file, or a damaged one.
///     CaptureFileAlreadyOpen: somebody else has it open for writing.
///     LookupError: there is no such encoding or error handler.
///     ValueError: a setting that no file can have.
#[pyclass(frozen, subclass, weakref, generic, module = "capturefile")]
pub(super) struct CaptureFile {
    /// Set by `__init__`.
    settings: OnceLock<Settings>,
    open: ArcSwapOption<crate::CaptureFile>,
    /// Whether it was last opened for writing.
    writes: AtomicBool,
    /// The record count that was last seen, for an object that is closed.
    last_count: AtomicU64,
    /// The totals of when it was last closed.
    last_totals: ArcSwap<Totals>,
    /// What is called with the records, bytes and seconds of each commit.
    commit_hook: ArcSwapOption<Py<PyAny>>,
}

/// What an object keeps while it is closed, to be opened again.
#[derive(Debug, Clone)]
struct Settings {
    path: PathBuf,
    encoding_name: Option<String>,
    errors: Option<String>,
    encoding: Encoding,
    os_lock: bool,
    sync: SyncMode,
    level: CompressionLevel,
    threads: Option<usize>,
    cache_size: u64,
}

impl Settings {
    fn options(&self) -> OpenOptions {
        let options = OpenOptions::new()
            .os_lock(self.os_lock)
            .sync(self.sync)
            .compression_level(self.level)
            .cache_size(self.cache_size);
        match self.threads {
            Some(threads) => options.threads(threads),
            None => options,
        }
    }
}

/// What a call that opens a file asks for once.
struct Request {
    write: bool,
    new: bool,
    replace: bool,
    metadata: Option<Vec<u8>>,
    block_size: u32,
}

fn copy_metadata(metadata: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u8>>> {
    metadata.map(|metadata| with_bytes(metadata, METADATA_EXPECTED, |bytes| Ok(bytes.to_vec()))).transpose()
}

type Open = Arc<crate::CaptureFile>;

impl CaptureFile {
    fn unopened() -> Self {
        Self {
            settings: OnceLock::new(),
            open: ArcSwapOption::empty(),
            writes: AtomicBool::new(false),
            last_count: AtomicU64::new(0),
            last_totals: ArcSwap::from_pointee(Totals::default()),
            commit_hook: ArcSwapOption::empty(),
        }
    }

    fn settings(&self) -> PyResult<&Settings> {
        self.settings
            .get()
            .ok_or_else(|| PyRuntimeError::new_err("CaptureFile.__init__() has not been called"))
    }

    /// The path in quotes, for messages.
    fn name(&self) -> PyResult<String> {
        Ok(quoted(&self.settings()?.path))
    }

    /// The open file, for one quick look.
    fn quick(&self) -> PyResult<Guard<Option<Open>>> {
        let open = self.open.load();
        if open.is_some() {
            return Ok(open);
        }
        let name = self.name()?;
        Err(CaptureFileNotOpen::new_err(format!("{name} is not open; call open() to open it again")))
    }

    /// The open file, to work on while the interpreter is let go.
    fn file(&self) -> PyResult<Open> {
        self.quick()?.as_ref().map(Arc::clone).ok_or_else(|| CaptureFileNotOpen::new_err("not open"))
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Arc<Snapshot>> {
        let file = self.file()?;
        Ok(py.detach(|| file.snapshot())?)
    }

    fn encoding(&self) -> PyResult<&Encoding> {
        Ok(&self.settings()?.encoding)
    }

    /// Sets up a fresh object and opens it.
    fn start(&self, py: Python<'_>, settings: Settings, request: Request) -> PyResult<()> {
        let options = settings
            .options()
            .write(request.write)
            .create_new(request.new)
            .replace(request.replace)
            .initial_metadata(request.metadata)
            .geometry(Geometry { block_size: request.block_size, ..Geometry::default() });
        if self.settings.set(settings).is_err() {
            return Err(PyRuntimeError::new_err("CaptureFile.__init__() has been called already"));
        }
        self.open_with(py, &options)
    }

    /// Opens with `options` and puts the open file in place.
    fn open_with(&self, py: Python<'_>, options: &OpenOptions) -> PyResult<()> {
        let settings = self.settings()?;
        let already = || {
            let name = quoted(&settings.path);
            CaptureFileAlreadyOpen::new_err(format!("{name} is already open in this object; close it first"))
        };
        if self.open.load().is_some() {
            return Err(already());
        }
        let file = Arc::new(py.detach(|| options.open(&settings.path))?);
        let writes = file.is_writer();
        let before = self.open.compare_and_swap(&None::<Open>, Some(file));
        if before.is_some() {
            return Err(already());
        }
        self.writes.store(writes, Ordering::Relaxed);
        Ok(())
    }

    /// Closes and says how many uncommitted records that lost, if it lost records or metadata.
    fn close_quietly(&self, py: Python<'_>) -> Option<u64> {
        let file = self.open.swap(None)?;
        py.detach(|| {
            let count = file.record_count().unwrap_or_default();
            self.last_totals.store(Arc::new(file.totals()));
            let loses = file.has_uncommitted();
            let lost = file.close();
            self.last_count.store(count.saturating_sub(lost), Ordering::Relaxed);
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
            "{name} was closed with {what}, now lost; call commit() before the end, or rollback() where that is meant"
        );
        PyErr::warn(py, &py.get_type::<UncommittedWarning>(), &CString::new(message)?, 1)
    }

    fn slice<'py>(&self, py: Python<'py>, slice: &Bound<'py, PySlice>) -> PyResult<Bound<'py, PyList>> {
        let snapshot = self.snapshot(py)?;
        let slice = SliceOfRecords::new(slice, snapshot.record_count())?;
        if let Some((first, last)) = slice.range() {
            return ranges::list(py, self.encoding()?, snapshot.records_between(first, last));
        }
        let numbers = slice.numbers()?;
        let gather = py.detach(|| snapshot.records_at(&numbers))?;
        ranges::gathered(py, self.encoding()?, gather, &numbers)
    }

    /// The records from `first` to `last`, all of which must be there.
    fn range(&self, py: Python<'_>, first: RecordNumber, last: RecordNumber) -> PyResult<Records> {
        let snapshot = self.snapshot(py)?;
        let (first, last) = self.bounds(py, &snapshot, first, last)?;
        Ok(snapshot.records_between(first, last))
    }

    /// The numbers of these records, all of which must be there; where there are none, `last` is below `first`.
    fn bounds(
        &self,
        py: Python<'_>,
        snapshot: &Snapshot,
        first: RecordNumber,
        last: RecordNumber,
    ) -> PyResult<(u64, u64)> {
        let count = snapshot.record_count();
        let Some(start) = first.positive() else {
            return Err(self.below_the_first(py, first)?);
        };
        let end = u64::try_from(last.0).unwrap_or_default();
        if end < start {
            return Ok((count + 1, count));
        }
        if end > count {
            return Err(snapshot.no_such_record(start.max(count + 1)).into());
        }
        Ok((start, end))
    }

    fn record<'py>(&self, py: Python<'py>, number: RecordNumber) -> PyResult<Bound<'py, PyAny>> {
        let file = self.quick()?;
        let Some(number) = number.positive() else {
            return Err(self.below_the_first(py, number)?);
        };
        if let Some(snapshot) = file.as_ref().and_then(|file| file.quick_snapshot())
            && let Some(record) = snapshot.record_in_memory(number)?
        {
            return self.encoding()?.decode(py, &record, number);
        }
        let file = self.file()?;
        let record = py.detach(|| file.snapshot()?.record(number))?;
        self.encoding()?.decode(py, &record, number)
    }

    fn fill(&self, py: Python<'_>, batch: &mut crate::Batch<'_>, records: &Bound<'_, PyAny>) -> PyResult<()> {
        refuse_one_record(records)?;
        let encoding = self.encoding()?;
        for record in records.try_iter()? {
            encoding.with_record(&record?, |bytes| {
                if batch.add_quickly(bytes)? {
                    return Ok(());
                }
                Ok(py.detach(|| batch.add(bytes))?)
            })?;
        }
        Ok(())
    }

    /// Calls the hook, whose own errors take nothing from a commit that is done.
    fn tell_of_commit(&self, py: Python<'_>, committed: Totals) {
        let hook = self.commit_hook.load();
        if let Some(hook) = hook.as_ref()
            && let Err(error) =
                hook.call1(py, (committed.records, committed.bytes, committed.time.as_secs_f64()))
        {
            error.write_unraisable(py, Some(hook.bind(py)));
        }
    }

    /// The error for a number that no record has, as the caller gave it.
    fn below_the_first(&self, py: Python<'_>, number: RecordNumber) -> PyResult<PyErr> {
        let (name, count) = (self.name()?, self.record_count(py)?);
        let number = number.0;
        Ok(PyIndexError::new_err(format!(
            "record {number} does not exist in {name}, which has {count} records, numbered from 1"
        )))
    }

    fn add<'py>(
        &self,
        py: Python<'py>,
        file: &crate::CaptureFile,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<u64> {
        self.encoding()?.with_record(record, |bytes| match file.add_record_quickly(bytes)? {
            Some(count) => Ok(count),
            None => Ok(py.detach(|| file.add_record(bytes))?),
        })
    }
}

/// How long `seconds` are; `None` where that is for ever.
fn waiting_time(seconds: f64) -> PyResult<Option<Duration>> {
    if seconds.is_nan() || seconds < 0.0 {
        let message = format!("timeout cannot be {seconds}: it must be a number of seconds, from 0 up");
        return Err(PyValueError::new_err(message));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[pymethods]
impl CaptureFile {
    #[new]
    #[pyo3(
        signature = (*_args, **_options),
        text_signature = "(file_name, to_write=False, initial_metadata=None, force_new_empty_file=False, \
                          encoding='utf_8', use_os_file_locking=True, compression_block_size=32768, *, \
                          errors=None, sync='full', compression_level=6, threads=None, cache_size=50331648)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        Self::unopened()
    }

    #[pyo3(signature = (
        file_name, to_write=false, initial_metadata=None, force_new_empty_file=false, encoding=Some("utf_8".into()),
        use_os_file_locking=true, compression_block_size=32768, *, errors=None, sync=SyncMode::Full,
        compression_level=CompressionLevel::default(), threads=None, cache_size=DEFAULT_CACHE_SIZE
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are the reference package's, and ours")]
    fn __init__(
        &self,
        py: Python<'_>,
        file_name: PathBuf,
        to_write: bool,
        initial_metadata: Option<&Bound<'_, PyAny>>,
        force_new_empty_file: bool,
        encoding: Option<String>,
        use_os_file_locking: bool,
        #[pyo3(from_py_with = block_size)] compression_block_size: u32,
        errors: Option<String>,
        sync: SyncMode,
        compression_level: CompressionLevel,
        #[pyo3(from_py_with = threads)] threads: Option<usize>,
        #[pyo3(from_py_with = cache_size)] cache_size: u64,
    ) -> PyResult<()> {
        let settings = Settings {
            encoding: Encoding::find(py, encoding.as_deref(), errors.as_deref(), &file_name)?,
            path: file_name,
            encoding_name: encoding,
            errors,
            os_lock: use_os_file_locking,
            sync,
            level: compression_level,
            threads,
            cache_size,
        };
        let request = Request {
            write: to_write,
            new: false,
            replace: force_new_empty_file,
            metadata: copy_metadata(initial_metadata)?,
            block_size: compression_block_size,
        };
        self.start(py, settings, request)
    }

    /// The path that the file was opened with, as `str`.
    #[getter]
    fn file_name(&self) -> PyResult<&OsStr> {
        Ok(self.settings()?.path.as_os_str())
    }

    /// Whether the object is, or was when it was closed, open for writing.
    #[getter]
    fn to_write(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// The encoding of the records, as it was given, or None where they are `bytes`.
    #[getter(encoding)]
    fn get_encoding(&self) -> PyResult<Option<&str>> {
        Ok(self.settings()?.encoding_name.as_deref())
    }

    /// What becomes of text that cannot be decoded or encoded, as it was given, or None where it is an error.
    #[getter(errors)]
    fn get_errors(&self) -> PyResult<Option<&str>> {
        Ok(self.settings()?.errors.as_deref())
    }

    /// Whether this object, where it writes, holds a lock in the operating system.
    #[getter]
    fn use_os_file_locking(&self) -> PyResult<bool> {
        Ok(self.settings()?.os_lock)
    }

    /// Whether the object is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.load().is_none()
    }

    /// Opens the object again after `close()`, for reading or for writing, with the settings it was made
    /// with.
    ///
    /// No file is created. Raises FileNotFoundError if there is none any more, CaptureFileAlreadyOpen if this
    /// object is open, or if somebody else has the file open for writing and this one is to write too;
    /// otherwise what the constructor raises.
    #[pyo3(signature = (to_write=false))]
    fn open(&self, py: Python<'_>, to_write: bool) -> PyResult<()> {
        let options = self.settings()?.options().write(to_write).existing_only(true);
        self.open_with(py, &options)
    }

    /// Closes the file without committing. Does nothing on a closed object.
    ///
    /// Uncommitted records and metadata are lost; an UncommittedWarning says how many records.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let lost = self.close_quietly(py);
        self.warn_of_loss(py, lost)
    }

    /// How many records this object sees: those committed when it was opened or last refreshed, and
    /// those that were added here. `len(cf)` is the same.
    ///
    /// A closed object gives the count that it saw last. All other calls that read or write raise
    /// CaptureFileNotOpen then.
    fn record_count(&self, py: Python<'_>) -> PyResult<u64> {
        self.settings()?;
        let open = self.open.load();
        let Some(file) = open.as_ref() else {
            return Ok(self.last_count.load(Ordering::Relaxed));
        };
        if let Some(snapshot) = file.quick_snapshot() {
            return Ok(snapshot.record_count());
        }
        let file = Arc::clone(file);
        Ok(py.detach(|| file.record_count())?)
    }

    /// Always True, also for a file without records: the object stands for the file.
    #[expect(clippy::unused_self, reason = "the signature is Python's")]
    fn __bool__(&self) -> bool {
        true
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.record_count(py)?)?)
    }

    /// Record `record_number`, counted from 1; `cf[record_number]` is the same, and also takes negative
    /// numbers, which count from the end, and slices.
    ///
    /// Raises IndexError below 1 and past the end, InvalidCaptureFile if the record is damaged, and
    /// UnicodeDecodeError if it is not text in the file's encoding and `errors` does not say what to do then.
    fn record_at<'py>(&self, py: Python<'py>, record_number: RecordNumber) -> PyResult<Bound<'py, PyAny>> {
        self.record(py, record_number)
    }

    /// A list of the records with the given numbers, in the order asked; each block is inflated once.
    ///
    /// Raises IndexError if a number is below 1 or past the end; otherwise as `record_at`.
    fn records_at<'py>(&self, py: Python<'py>, numbers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let numbers = numbers
            .try_iter()?
            .map(|number| {
                let number = number?.extract::<RecordNumber>()?;
                number
                    .positive()
                    .ok_or_else(|| self.below_the_first(py, number).unwrap_or_else(|error| error))
            })
            .collect::<PyResult<Vec<u64>>>()?;
        let snapshot = self.snapshot(py)?;
        let gather = py.detach(|| snapshot.records_at(&numbers))?;
        ranges::gathered(py, self.encoding()?, gather, &numbers)
    }

    /// A list of the records from `first_record_number` to `last_record_number`, both included.
    ///
    /// It is empty if the last number is below the first. Raises IndexError, where there are records asked
    /// for, if one of them is below 1 or past the end; otherwise as `record_at`.
    fn read_range<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<Bound<'py, PyList>> {
        let records = self.range(py, first_record_number, last_record_number)?;
        ranges::list(py, self.encoding()?, records)
    }

    /// The records of `read_range`, not decoded, as two buffers `(offsets, data)` without an object for each.
    ///
    /// `data` is a memoryview of the bytes of all records, one behind the other. `offsets` is a memoryview of
    /// signed 64-bit integers, one more than there are records: record i of the range, counted from 0, is
    /// `data[offsets[i]:offsets[i + 1]]`. NumPy, Arrow and whatever else knows the buffer protocol take both
    /// without copying. Raises what `read_range` raises, but UnicodeDecodeError.
    fn read_range_buffers<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyMemoryView>)> {
        ranges::buffers(py, self.range(py, first_record_number, last_record_number)?)
    }

    /// The records from `first_record_number` to `last_record_number`, both included, or to the last there is now,
    /// as a table for whatever takes Arrow data: `pyarrow.table(cf.as_arrow())`; see `ArrowRecords`.
    ///
    /// Nothing is read yet. What it stands for never changes, and it lives on when this object is closed. It is
    /// empty if the last number is below the first, and, where no last number is given, if the first is past the
    /// end. With `text`, the records are strings, and have to be UTF-8; otherwise they are bytes.
    ///
    /// Raises IndexError, where there are records asked for, if one of them is below 1 or past the end, and
    /// ValueError if there is to be text of a file whose encoding is another than UTF-8 or None.
    #[pyo3(
        signature = (first_record_number=RecordNumber(1), last_record_number=None, *, text=false),
        text_signature = "($self, first_record_number=1, last_record_number=None, *, text=False)"
    )]
    fn as_arrow(
        &self,
        py: Python<'_>,
        first_record_number: RecordNumber,
        last_record_number: Option<RecordNumber>,
        text: bool,
    ) -> PyResult<ArrowRecords> {
        let snapshot = self.snapshot(py)?;
        let end = || RecordNumber(i64::try_from(snapshot.record_count()).unwrap_or(i64::MAX));
        let last = last_record_number.unwrap_or_else(end);
        let (first, last) = self.bounds(py, &snapshot, first_record_number, last)?;
        ArrowRecords::new(snapshot, first, last, text, self.encoding()?)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = key.cast::<PySlice>() {
            return Ok(self.slice(py, slice)?.into_any());
        }
        let number: RecordNumber = key.extract()?;
        if number.0 >= 0 {
            return self.record(py, number);
        }
        let found = number.in_file_of(self.record_count(py)?);
        if found == 0 {
            return Err(self.below_the_first(py, number)?);
        }
        self.record(py, RecordNumber(i64::try_from(found).unwrap_or(i64::MAX)))
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<RecordIterator> {
        self.record_generator(py, RecordNumber(1))
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<RecordIterator> {
        let records = self.snapshot(py)?.records(1);
        Ok(RecordIterator::new(records, self.encoding()?.clone(), true))
    }

    /// Iterates over the records there are now, from `starting_record_number` to the last.
    ///
    /// It goes on over these records even while more are added, or while the object is refreshed, rolled
    /// back or closed; there is nothing to give if it starts past the last one. `iter(cf)` starts at record
    /// 1, and `reversed(cf)` goes from the last to the first.
    ///
    /// Raises IndexError if `starting_record_number` is below 1.
    #[pyo3(
        signature = (starting_record_number=RecordNumber(1)),
        text_signature = "($self, starting_record_number=1)"
    )]
    fn record_generator(
        &self,
        py: Python<'_>,
        starting_record_number: RecordNumber,
    ) -> PyResult<RecordIterator> {
        let Some(first) = starting_record_number.positive() else {
            return Err(self.below_the_first(py, starting_record_number)?);
        };
        let records = self.snapshot(py)?.records(first);
        Ok(RecordIterator::new(records, self.encoding()?.clone(), false))
    }

    /// Iterates over committed records and goes on with those that are committed later, by anybody.
    ///
    /// It waits for them without burning the processor: it looks again within a millisecond in the second after
    /// there was something new, and later within 20 or, on Linux, as soon as this library commits something. It never
    /// gives half a commit, and `operator.length_hint` says how many records it has at hand. What this object itself
    /// sees does not change.
    ///
    /// Arguments:
    ///     start: number of the first record; by default the first that this object does not see yet.
    ///     timeout: seconds without news after which it ends; by default it waits for ever. It also ends
    ///         when this object is closed, or when nothing refers to it any more.
    ///
    /// Raises IndexError if `start` is below 1, and ValueError if `timeout` is negative or not a number. While
    /// it goes on it raises CaptureFileReplaced, once there are no more records, if another file stands under
    /// the name by then, or none; InvalidCaptureFile if the file has been cut short; and what `record_at` and
    /// `refresh` raise.
    #[pyo3(signature = (start=None, timeout=None))]
    fn follow(
        &self,
        py: Python<'_>,
        start: Option<RecordNumber>,
        timeout: Option<f64>,
    ) -> PyResult<Follower> {
        let file = self.file()?;
        let start = match start {
            Some(number) => match number.positive() {
                Some(start) => start,
                None => return Err(self.below_the_first(py, number)?),
            },
            None => self.record_count(py)? + 1,
        };
        let timeout = timeout.map(waiting_time).transpose()?.flatten();
        let encoding = self.encoding()?.clone();
        Ok(py.detach(|| Follower::new(&file, start, encoding, timeout))?)
    }

    /// Looks at what has been committed since; returns True if there are more records to see, or other
    /// metadata.
    ///
    /// With `durable`, the disk is synced before it returns, so that what is seen cannot be taken back by
    /// a power cut. An object that is open for writing sees everything and has nothing to refresh.
    ///
    /// Raises InvalidCaptureFile if the file has been damaged or replaced by something shorter; the object
    /// then goes on to show what it showed before.
    #[pyo3(signature = (durable=false))]
    fn refresh(&self, py: Python<'_>, durable: bool) -> PyResult<bool> {
        let file = self.file()?;
        Ok(py.detach(|| file.refresh(durable))?)
    }

    /// The metadata as `bytes`, or None; of the same commit as the records, or as it was set here since.
    fn get_metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let file = self.file()?;
        let metadata = py.detach(|| file.snapshot()?.metadata())?;
        metadata.map(|metadata| to_bytes(py, &metadata)).transpose()
    }

    /// The sizes and numbers that describe the file; see `Info`.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static INFO: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let file = self.file()?;
        let snapshot = self.snapshot(py)?;
        let (metadata, file_size) =
            py.detach(|| crate::Result::Ok((snapshot.metadata()?, file.file_size()?)))?;
        let geometry = snapshot.geometry();
        INFO.import(py, "capturefile._info", "Info")?.call1((
            geometry.version,
            geometry.page_size,
            geometry.block_size,
            geometry.fan_out,
            snapshot.serial(),
            snapshot.record_count(),
            snapshot.tree_height(),
            snapshot.file_limit(),
            file_size,
            snapshot.pending_bytes(),
            metadata.map(|metadata| metadata.len()),
        ))
    }

    /// Iterates over the blocks that the file consists of now, in the order in which they stand there; see
    /// `Block`.
    ///
    /// What is inflated for that is not kept. Raises InvalidCaptureFile, while it goes on, if a block is damaged.
    fn blocks(&self, py: Python<'_>) -> PyResult<BlockIterator> {
        Ok(BlockIterator::new(self.snapshot(py)?.blocks()))
    }

    /// What was committed through this object since it was opened, or while it was open; see `Stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static STATS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        self.settings()?;
        let totals = match self.open.load_full() {
            Some(file) => py.detach(|| file.totals()),
            None => **self.last_totals.load(),
        };
        STATS.import(py, "capturefile._info", "Stats")?.call1((
            totals.records,
            totals.bytes,
            totals.commits,
            totals.time.as_secs_f64(),
        ))
    }

    /// The records that are committed and seen here, as a sequence counted from 0 whose length never changes;
    /// see `capturefile.RecordSequence`.
    ///
    /// It lives on when this object is closed. Its slices are views of the same kind, and it can be passed to other
    /// processes. Raises what `refresh` raises.
    fn as_sequence(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = slf.py();
        py.import("capturefile.sequence")?.getattr("_sequence_of")?.call1((slf,))
    }

    /// A reading object over the same open file, with its own idea of what is new. It outlives this one.
    fn _observer(&self, py: Python<'_>) -> PyResult<Self> {
        let settings = self.settings()?.clone();
        let file = self.file()?;
        let observer = Self::unopened();
        observer.open.store(Some(Arc::new(py.detach(|| file.observer())?)));
        // A new cell is empty.
        let _ = observer.settings.set(settings);
        Ok(observer)
    }

    /// Device, inode, and nanoseconds from the epoch to the creation of the open file, or None where the file
    /// system does not know them.
    #[pyo3(name = "_identity")]
    fn identity(&self, py: Python<'_>) -> PyResult<Option<(u64, u64, Option<u64>)>> {
        let file = self.file()?;
        let identity = py.detach(|| file.identity())?;
        Ok(identity.map(|identity| (identity.device, identity.inode, identity.birth)))
    }

    /// The numbers of the first and the last record that are compressed together with record `record_number`.
    fn _block_of(&self, py: Python<'_>, record_number: RecordNumber) -> PyResult<(u64, u64)> {
        let Some(number) = record_number.positive() else {
            return Err(self.below_the_first(py, record_number)?);
        };
        let snapshot = self.snapshot(py)?;
        let block = py.detach(|| snapshot.block_of(number))?;
        Ok(block.into_inner())
    }

    /// Has `hook` called after each commit with its records, their bytes, and the seconds that it took; None ends
    /// that.
    #[pyo3(signature = (hook))]
    fn _on_commit(&self, hook: Option<Py<PyAny>>) {
        self.commit_hook.store(hook.map(Arc::new));
    }

    /// The garbage collector has to see a hook, which may hold this object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.commit_hook.load().as_ref() {
            Some(hook) => visit.call(&**hook),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.commit_hook.store(None);
    }

    /// Adds a record; returns the new record count.
    ///
    /// Others see it after `commit()`. `record` is `str`, or anything with the buffer protocol.
    ///
    /// Raises CaptureFileNotOpenForWrite on an object that reads, ValueError if the record is larger than
    /// the format can hold, and OSError if an earlier record could not be written to the disk; nothing of
    /// the failed call remains, and the call may be repeated. A `str` that cannot be encoded raises
    /// UnicodeEncodeError. Anything else than `str` or bytes is a TypeError, also a buffer of objects, pointers,
    /// dates or characters.
    fn add_record<'py>(&self, py: Python<'py>, record: &Bound<'py, PyAny>) -> PyResult<u64> {
        let file = self.quick()?;
        match file.as_ref() {
            Some(file) => self.add(py, file, record),
            None => Err(CaptureFileNotOpen::new_err("not open")),
        }
    }

    /// Adds many records; returns the new record count.
    ///
    /// If one is refused, or the iterable raises, none of this call's records stay. Raises what `add_record`
    /// and the iterable raise.
    ///
    /// The records of a call are added together at its end, whatever other threads do meanwhile. A call with
    /// more than 4 MiB of records adds them as they come instead. If it then fails, and this object was used for
    /// other writing meanwhile (by another thread, or by the iterable itself), that work stays, and so do the
    /// records of this call before it.
    fn add_records<'py>(&self, py: Python<'py>, records: &Bound<'py, PyAny>) -> PyResult<u64> {
        let file = self.file()?;
        let mut batch = py.detach(|| file.begin_batch())?;
        match self.fill(py, &mut batch, records) {
            Ok(()) => Ok(py.detach(|| batch.keep())?),
            Err(error) => {
                py.detach(|| drop(batch));
                Err(error)
            }
        }
    }

    /// Replaces the metadata, from the next commit on; None removes it.
    ///
    /// The metadata is one blob of bytes (anything with the buffer protocol) that belongs to the file as a
    /// whole. It is committed together with the records, so it can say how far their source has been read.
    ///
    /// Raises what `add_record` raises; `str` is a TypeError.
    #[pyo3(signature = (new_metadata))]
    fn set_metadata(&self, py: Python<'_>, new_metadata: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let file = self.file()?;
        let Some(metadata) = new_metadata else {
            return Ok(py.detach(|| file.set_metadata(None))?);
        };
        with_bytes(metadata, METADATA_EXPECTED, |bytes| Ok(py.detach(|| file.set_metadata(Some(bytes)))?))
    }

    /// Makes everything since the last commit visible to others and durable, together.
    ///
    /// How durable is up to the setting `sync`. Without anything to commit it does nothing.
    ///
    /// Raises OSError if the disk is full or fails; then nothing of the transaction is visible to others.
    /// With a full disk nothing of it is lost either, and after making room it can be committed again or
    /// rolled back. Raises CommitUncertain, also an OSError, if it failed at a point where the commit may
    /// or may not have happened; opening the file again tells. After that, and after a sync that failed,
    /// the object refuses further work with CaptureFileError until it is opened again.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        if let Some(committed) = py.detach(|| file.commit_measured())? {
            self.tell_of_commit(py, committed);
        }
        Ok(())
    }

    /// Forgets everything since the last commit.
    ///
    /// Raises CaptureFileNotOpenForWrite on an object that reads, and CaptureFileError after a commit that
    /// failed in a way that the object must be opened again.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        Ok(py.detach(|| file.rollback())?)
    }

    /// A context manager that commits at the end of its block, and rolls back if the block raises.
    ///
    /// Like `commit()` and `rollback()`, it does so with everything since the last commit. Raises
    /// CaptureFileNotOpenForWrite at the beginning of the block on an object that reads.
    fn transaction(slf: Py<Self>) -> Transaction {
        Transaction { file: slf }
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    // An exception under way says why records are lost, and comes through.
    #[pyo3(signature = (*exception), text_signature = "($self, *exception)")]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let lost = self.close_quietly(py);
        let raised = exception.get_item(0).is_ok_and(|class| !class.is_none());
        if raised { Ok(()) } else { self.warn_of_loss(py, lost) }
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.name()?;
        let Some(file) = self.open.load_full() else {
            let count = self.last_count.load(Ordering::Relaxed);
            return Ok(format!("{name}, closed, last seen with {}", counted(count, "record")));
        };
        let purpose = if file.is_writer() { "writing" } else { "reading" };
        let count = py.detach(|| file.record_count())?;
        Ok(format!("{name}, open for {purpose}, with {}", counted(count, "record")))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match self.settings.get() {
            Some(_) => format!("<CaptureFile {}>", self.__str__(py)?),
            None => "<CaptureFile, not opened>".into(),
        })
    }

    /// An object that reads is pickled as its path and settings, with which the other side opens the file again,
    /// and what it sees: the pickle is what some caches know a result by.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        let settings = this.settings()?;
        if this.file()?.is_writer() {
            let message = "a CaptureFile that is open for writing cannot be pickled: a file has one writer";
            return Err(PyTypeError::new_err(message));
        }
        let options = PyDict::new(py);
        options.set_item("encoding", settings.encoding_name.as_deref())?;
        options.set_item("errors", settings.errors.as_deref())?;
        options.set_item("use_os_file_locking", settings.os_lock)?;
        options.set_item("sync", settings.sync.name())?;
        options.set_item("compression_level", settings.level.number())?;
        options.set_item("threads", settings.threads)?;
        options.set_item("cache_size", settings.cache_size)?;
        let path = std::path::absolute(&settings.path)?;
        let reopen = py.import("capturefile._capturefile")?.getattr("_reopen")?;
        let snapshot = this.snapshot(py)?;
        let seen = (this.identity(py)?, snapshot.serial(), snapshot.record_count());
        let arguments = (slf.get_type(), path.into_os_string(), options, seen).into_pyobject(py)?;
        // What a subclass keeps in its objects.
        let state = slf.call_method0("__getstate__")?;
        PyTuple::new(py, [reopen, arguments.into_any(), state])
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        // At the end of the process there may be no interpreter to warn through any more.
        Python::try_attach(|py| {
            // The object may go because of an exception that is under way, which must come through.
            let raised = PyErr::take(py);
            let lost = self.close_quietly(py);
            if let Err(error) = self.warn_of_loss(py, lost) {
                error.write_unraisable(py, None);
            }
            if let Some(raised) = raised {
                raised.restore(py);
            }
        });
    }
}

/// Commits at the end of its `with` block, or rolls back; see `CaptureFile.transaction`.
#[pyclass(frozen, generic, module = "capturefile")]
pub(super) struct Transaction {
    file: Py<CaptureFile>,
}

#[pymethods]
impl Transaction {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<CaptureFile>> {
        let file = self.file.get().file()?;
        if !file.is_writer() {
            return Err(crate::Error::NotOpenForWrite { path: file.path().to_owned() }.into());
        }
        Ok(self.file.clone_ref(py))
    }

    #[pyo3(text_signature = "($self, exception_type, exception, traceback)")]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: Option<&Bound<'_, PyAny>>,
        _exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let file = self.file.get();
        if exception_type.is_none() {
            return file.commit(py);
        }
        // The exception that is under way says more than one about taking back would.
        let _ = file.rollback(py);
        Ok(())
    }

    /// A subclass's object can hold its own transaction: the garbage collector has to see that.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.file)
    }
}

/// Opens a capture file in the words of Python's `open()`.
///
/// `mode` is "r" to read; "a" to write, creating the file if there is none; "x" to create a file and
/// refuse an existing one; "w" to start a new empty file in place of whatever stands there. The other
/// arguments are those of `CaptureFile`.
///
/// Raises FileExistsError for "x" where there is a file, and ValueError for another mode; otherwise as
/// `CaptureFile`.
#[pyfunction]
#[pyo3(
    signature = (
        path, mode="r", *, initial_metadata=None, encoding=Some("utf_8".into()), errors=None, use_os_file_locking=true,
        compression_block_size=32768, sync=SyncMode::Full, compression_level=CompressionLevel::default(),
        threads=None, cache_size=DEFAULT_CACHE_SIZE
    ),
    text_signature = "(path, mode='r', *, initial_metadata=None, encoding='utf_8', errors=None, use_os_file_locking=True, \
                      compression_block_size=32768, sync='full', compression_level=6, threads=None, \
                      cache_size=50331648)"
)]
#[expect(clippy::too_many_arguments, reason = "they are the settings of CaptureFile")]
pub(super) fn open(
    py: Python<'_>,
    path: PathBuf,
    mode: &str,
    initial_metadata: Option<&Bound<'_, PyAny>>,
    encoding: Option<String>,
    errors: Option<String>,
    use_os_file_locking: bool,
    #[pyo3(from_py_with = block_size)] compression_block_size: u32,
    sync: SyncMode,
    compression_level: CompressionLevel,
    #[pyo3(from_py_with = threads)] threads: Option<usize>,
    #[pyo3(from_py_with = cache_size)] cache_size: u64,
) -> PyResult<CaptureFile> {
    let (write, new, replace) = match mode {
        "r" => (false, false, false),
        "a" => (true, false, false),
        "x" => (true, true, false),
        "w" => (true, false, true),
        _ => {
            let message = format!("mode must be 'r', 'a', 'x' or 'w', not {mode:?}");
            return Err(PyValueError::new_err(message));
        }
    };
    let file = CaptureFile::unopened();
    let request = Request {
        write,
        new,
        replace,
        metadata: copy_metadata(initial_metadata)?,
        block_size: compression_block_size,
    };
    let settings = Settings {
        encoding: Encoding::find(py, encoding.as_deref(), errors.as_deref(), &path)?,
        path,
        encoding_name: encoding,
        errors,
        os_lock: use_os_file_locking,
        sync,
        level: compression_level,
        threads,
        cache_size,
    };
    file.start(py, settings, request)?;
    Ok(file)
}

/// Makes again what `CaptureFile.__reduce__` took apart; it sees what is committed by then.
#[pyfunction]
#[pyo3(
    name = "_reopen",
    signature = (class, path, options, _seen, /),
    text_signature = "(cls, path, options, seen, /)"
)]
pub(super) fn reopen<'py>(
    class: &Bound<'py, PyType>,
    path: &Bound<'py, PyAny>,
    options: &Bound<'py, PyDict>,
    _seen: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let base = class.py().get_type::<CaptureFile>();
    let file = base.call_method1("__new__", (class,))?;
    base.call_method("__init__", (&file, path), Some(options))?;
    Ok(file)
}
