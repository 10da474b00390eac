//! Records as batches for any consumer of Arrow data, through the Arrow PyCapsule interface.

#![expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "docstrings are read in Python, without markup"
)]

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use libc::{EBUSY, EIO};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

mod abi;
mod failure;
mod runs;

use super::display;
use crate::{Record, RecordBuffer, RecordRun};
use abi::{ArrowArray, ArrowArrayStream, ArrowSchema, Producer};
use failure::Failure;
use runs::OpenRun;
pub(super) use runs::{GivenRun, Run};

/// Maximum number of records in a batch.
const MAX_RECORDS: usize = 65_536;
/// Maximum number of bytes in a batch, unless it has only one record.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Minimum number of adjacent bytes in memory that are passed on without copying; fewer are cheaper to copy
/// than to pass on as a separate batch.
const MIN_SHARED: usize = 32 * 1024;

const COLUMN_NAMES: [&CStr; 2] = [c"record_number", c"record"];
const NOT_TEXT: &str = "is not text in UTF-8; ask for bytes";
const IN_USE: &CStr = c"this stream is being read by another thread; each thread needs a stream of its own";

/// Records as a table for any consumer of Arrow data: pyarrow, polars, DuckDB, pandas, nanoarrow.
///
/// `CaptureFile.as_arrow`, `RecordSequence.as_arrow` and `RotatingReader.as_arrow` return such tables.
///
/// The columns, without nulls, are `record_number` (int64), counted from 1 as everywhere, and `record` (binary,
/// or string if text was requested). The table is read as a stream of batches of at most 65,536 records and
/// 16 MiB; a larger record forms a batch of its own. Each consumer gets a stream that starts at the first
/// record. Streams can be read in other threads, without the interpreter lock, and after the file is closed.
///
/// A stream ends with an error if a record cannot be read, is not UTF-8 although text was requested, or has
/// more than 2,147,483,647 bytes, or if a file of a sequence has been removed or replaced. The records before
/// it are returned first; the consumer then raises the error as its own kind of exception, with the message
/// of this library.
///
/// Examples:
///     >>> import pyarrow
///     >>> pyarrow.table(cf.as_arrow(text=True)).column("record").to_pylist()
///     ['first', 'second', 'third']
#[pyclass(frozen, module = "capturefile")]
pub(super) struct ArrowRecords {
    runs: Arc<[Run]>,
    /// The number of the first record in the table.
    first: u64,
    /// Describes the source of the records.
    place: String,
    form: Form,
    can_be_text: bool,
}

impl ArrowRecords {
    pub(super) fn new(
        runs: Vec<Run>,
        first: u64,
        place: String,
        text: bool,
        is_utf8: bool,
    ) -> PyResult<Self> {
        if text && !is_utf8 {
            return Err(PyValueError::new_err(
                "Arrow supports only text in UTF-8, and this file was opened with another encoding; ask for bytes",
            ));
        }
        let form = if text { Form::Text } else { Form::Bytes };
        Ok(Self { runs: runs.into(), first, place, form, can_be_text: is_utf8 })
    }

    /// Returns the number of the last record in the table.
    fn last(&self) -> u64 {
        self.first - 1 + self.runs.iter().map(Run::count).sum::<u64>()
    }

    /// Returns the form for a consumer that requests a schema, which must be of the same kind.
    fn form_for(&self, requested: &ArrowSchema) -> PyResult<Form> {
        let form = requested_form(requested).ok_or_else(|| {
            PyValueError::new_err(
                "requested_schema cannot be had: it must be one of two columns, record_number of integers and \
                 record of binary or string",
            )
        })?;
        Ok(if self.can_be_text { form } else { Form::Bytes })
    }
}

#[pymethods]
impl ArrowRecords {
    /// Returns a new stream of the records.
    ///
    /// Args:
    ///     requested_schema: A capsule with an ArrowSchema, which may ask for strings instead of bytes or bytes
    ///         instead of strings. Other types of integers, bytes and text are answered with the nearest supported
    ///         type.
    ///
    /// Returns:
    ///     A capsule with an ArrowArrayStream.
    ///
    /// Raises:
    ///     ValueError: The requested schema does not have two such columns.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let form = match requested_schema {
            Some(capsule) => self.form_for(schema_in(capsule)?)?,
            None => self.form,
        };
        let batches = Batches { runs: Arc::clone(&self.runs), ..Batches::starting_with(self.first) };
        let stream = Stream { form, batches: Mutex::new(batches) };
        PyCapsule::new_with_value(py, ArrowArrayStream::new(stream), c"arrow_array_stream")
    }

    /// Returns the types of the columns.
    ///
    /// Returns:
    ///     A capsule with an ArrowSchema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, self.form.schema(), c"arrow_schema")
    }

    fn __repr__(&self) -> String {
        let kind = if self.form == Form::Text { "text" } else { "bytes" };
        let (first, last) = (self.first, self.last());
        let range = if first > last { "no records".into() } else { format!("records {first} to {last}") };
        format!("<ArrowRecords: {range} of {}, as {kind}>", self.place)
    }

    /// Returns a table of the first records for notebooks, or None if they are not records of one open file.
    fn _repr_html_<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let [run] = &*self.runs else {
            return Ok(None);
        };
        let Some((snapshot, first)) = run.snapshot() else {
            return Ok(None);
        };
        let encoding = (self.form == Form::Text).then_some("utf-8");
        let last = (first + run.count()).saturating_sub(1);
        display::table(py, &self.__repr__(), snapshot, first, last, encoding).map(Some)
    }
}

/// Returns a sequence's records as a table; its first row has the number `first`, and `place` is for messages.
#[pyfunction]
#[pyo3(name = "_arrow_of", signature = (runs, first, place, text, is_utf8, /))]
pub(super) fn arrow_of(
    py: Python<'_>,
    runs: Vec<GivenRun<'_>>,
    first: u64,
    place: String,
    text: bool,
    is_utf8: bool,
) -> PyResult<ArrowRecords> {
    let runs = runs.into_iter().map(|run| Run::given(py, run)).collect::<PyResult<_>>()?;
    ArrowRecords::new(runs, first, place, text, is_utf8)
}

/// Returns the schema in a capsule of a consumer.
#[expect(unsafe_code, reason = "only its name shows what is in a capsule")]
fn schema_in<'a>(capsule: &'a Bound<'_, PyCapsule>) -> PyResult<&'a ArrowSchema> {
    let schema = capsule.pointer_checked(Some(c"arrow_schema"))?.cast::<ArrowSchema>();
    // SAFETY: a capsule of this name has such a schema, by the Arrow PyCapsule interface, for as long as it lives.
    Ok(unsafe { schema.as_ref() })
}

/// The form in which records are returned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Text,
}

impl Form {
    fn schema(self) -> ArrowSchema {
        let format = match self {
            Self::Bytes => c"z",
            Self::Text => c"u",
        };
        let [number, record] = COLUMN_NAMES;
        ArrowSchema::table([ArrowSchema::column(number, c"l"), ArrowSchema::column(record, format)])
    }
}

/// Returns the form nearest to a schema; `None` if the schema does not fit.
fn requested_form(schema: &ArrowSchema) -> Option<Form> {
    let columns: Vec<&ArrowSchema> = schema.children().collect();
    let [number, record] = columns[..] else {
        return None;
    };
    if schema.format()? != c"+s" || [number.name()?, record.name()?] != COLUMN_NAMES {
        return None;
    }
    if !matches!(number.format()?.to_bytes(), [b'c' | b'C' | b's' | b'S' | b'i' | b'I' | b'l' | b'L']) {
        return None;
    }
    match record.dictionary().unwrap_or(record).format()?.to_bytes() {
        b"u" | b"U" | b"vu" => Some(Form::Text),
        b"z" | b"Z" | b"vz" | [b'w', b':', ..] => Some(Form::Bytes),
        _ => None,
    }
}

/// A stream of the remaining records, for one thread at a time.
struct Stream {
    form: Form,
    batches: Mutex<Batches>,
}

impl Stream {
    /// Returns the batches, unless another thread is using them, perhaps one of the parent at the time of a fork.
    fn batches(&self) -> Option<MutexGuard<'_, Batches>> {
        match self.batches.try_lock() {
            Ok(batches) => Some(batches),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Producer for Stream {
    fn schema(&self) -> ArrowSchema {
        self.form.schema()
    }

    fn next(&self) -> Result<Option<ArrowArray>, c_int> {
        let mut batches = self.batches().ok_or(EBUSY)?;
        // A failed stream is at its end.
        if batches.failure.is_none() {
            match batches.next(self) {
                Ok(batch) => return Ok(batch),
                Err(failure) => batches.failure = Some(failure),
            }
        }
        Err(batches.failure.as_ref().map_or(EIO, |failure| failure.code))
    }

    fn failure(&self) -> *const c_char {
        let Some(batches) = self.batches() else {
            return IN_USE.as_ptr();
        };
        batches.failure.as_ref().map_or(std::ptr::null(), |failure| failure.message.as_ptr())
    }
}

struct Batches {
    runs: Arc<[Run]>,
    /// Number of runs that have been opened.
    opened: usize,
    /// The last of these runs.
    run: Option<OpenRun>,
    /// The number of the next record.
    next: u64,
    /// The record that did not fit into the previous batch.
    held: Option<Result<Record, Failure>>,
    /// The adjacent records in memory after the previous batch.
    shared: Option<RecordRun>,
    failure: Option<Failure>,
}

impl Batches {
    fn starting_with(next: u64) -> Self {
        Self { runs: Arc::new([]), opened: 0, run: None, next, held: None, shared: None, failure: None }
    }

    fn next(&mut self, stream: &Stream) -> Result<Option<ArrowArray>, Failure> {
        if let Some(run) = self.shared.take() {
            return self.give(run, stream).map(Some);
        }
        let mut packed = RecordBuffer::<i32>::default();
        let first = self.next - u64::from(self.held.is_some());
        while packed.record_count() < MAX_RECORDS {
            if let Some(run) = self.take_run() {
                if packed.record_count() == 0 {
                    return self.give(run, stream).map(Some);
                }
                self.shared = Some(run);
                break;
            }
            let Some(record) = self.held.take().or_else(|| self.take(stream)) else {
                break;
            };
            let fits = record.as_ref().is_ok_and(|record| packed.bytes().len() + record.len() <= MAX_BYTES);
            if !fits && packed.record_count() > 0 {
                self.held = Some(record);
                break;
            }
            let record = record?;
            if !packed.push(&record)? {
                return Err(self.too_long(&record));
            }
        }
        Ok(batch(first, packed))
    }

    /// Returns the next record, or the reason why it cannot be returned.
    fn take(&mut self, stream: &Stream) -> Option<Result<Record, Failure>> {
        let record = match self.open()? {
            Ok(run) => run.next()?.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        self.next += 1;
        Some(record.and_then(|record| match stream.form {
            Form::Text if std::str::from_utf8(&record).is_err() => Err(self.refuse(NOT_TEXT, 0)),
            _ => Ok(record),
        }))
    }

    /// Returns the run of the next record; `None` at the end.
    fn open(&mut self) -> Option<Result<&mut OpenRun, Failure>> {
        while self.run.as_ref().is_none_or(OpenRun::is_empty) {
            let run = self.runs.get(self.opened)?.open();
            self.opened += 1;
            match run {
                Ok(run) => self.run = Some(run),
                Err(failure) => return Some(Err(failure)),
            }
        }
        self.run.as_mut().map(Ok)
    }

    /// Returns the next records as they are in memory, if enough of them are adjacent.
    fn take_run(&mut self) -> Option<RecordRun> {
        if self.held.is_some() {
            return None;
        }
        match self.open()? {
            Ok(run) => run.next_run(MIN_SHARED, MAX_RECORDS),
            Err(failure) => {
                self.next += 1;
                self.held = Some(Err(failure));
                None
            }
        }
    }

    /// Returns a batch of records without copying their bytes, up to the first that cannot be returned.
    fn give(&mut self, run: RecordRun, stream: &Stream) -> Result<ArrowArray, Failure> {
        let (first, ends) = (self.next, run.ends());
        let good = if stream.form == Form::Text { texts_in(&run) } else { ends.len() };
        self.next += ends.len() as u64;
        let refused = ends.get(good).map(|_| self.refuse(NOT_TEXT, (ends.len() - good - 1) as u64));
        if good == 0
            && let Some(failure) = refused
        {
            return Err(failure);
        }
        self.held = refused.map(Err);
        let mut offsets = vec![0];
        offsets.extend(ends[..good].iter().map(|end| i32::try_from(*end).unwrap_or(i32::MAX)));
        Ok(ArrowArray::batch(good, [numbers_from(first, good), ArrowArray::shared_strings(run, offsets)]))
    }

    fn too_long(&self, record: &Record) -> Failure {
        let (length, limit) = (record.len(), i32::MAX);
        let problem =
            format!("has {length} bytes, and values of Arrow's types binary and string have at most {limit}");
        self.refuse(&format!("{problem}; read it with record_at"), 0)
    }

    /// Returns the failure for the record that was taken last, or one this many before.
    fn refuse(&self, problem: &str, before: u64) -> Failure {
        let record = self.run.as_ref().map(|run| run.last_taken(before)).unwrap_or_default();
        Failure::invalid(&format!("{record} {problem}"))
    }
}

/// Returns how many of the first records are text in UTF-8.
fn texts_in(run: &RecordRun) -> usize {
    let bytes = run.bytes();
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    // A character that is split between two records is invalid in both.
    let is_text = |end: &&u32| valid.is_char_boundary(**end as usize);
    run.ends().iter().take_while(is_text).count()
}

fn numbers_from(first: u64, count: usize) -> ArrowArray {
    ArrowArray::numbers(
        (first..).take(count).map(|number| i64::try_from(number).unwrap_or(i64::MAX)).collect(),
    )
}

/// Returns a batch of these records, if there are any.
fn batch(first: u64, packed: RecordBuffer<i32>) -> Option<ArrowArray> {
    let count = packed.record_count();
    if count == 0 {
        return None;
    }
    let (bytes, offsets) = packed.into_parts();
    Some(ArrowArray::batch(count, [numbers_from(first, count), ArrowArray::strings(bytes, offsets)]))
}
