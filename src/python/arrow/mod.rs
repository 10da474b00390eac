//! Records as batches for whatever takes Arrow data, through the Arrow PyCapsule interface.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use nix::libc::{EBUSY, EINVAL, EIO, ENOMEM};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

mod abi;

use super::convert::Encoding;
use super::display;
use super::errors::quoted;
use crate::{Error, Record, RecordBuffer, Records, Snapshot};
use abi::{ArrowArray, ArrowArrayStream, ArrowSchema, Producer};

/// A batch has this many records at most...
const MAX_RECORDS: usize = 65_536;
/// ...and this many bytes of them, or one record.
const MAX_BYTES: usize = 16 * 1024 * 1024;

const COLUMN_NAMES: [&CStr; 2] = [c"record_number", c"record"];
const IN_USE: &CStr = c"this stream is being read by another thread; each thread needs a stream of its own";

/// A range of records as a table for whatever takes Arrow data (pyarrow, polars, DuckDB, pandas, nanoarrow); see
/// `CaptureFile.as_arrow`.
///
/// Its columns, without nulls, are `record_number` (int64), counted from 1 as everywhere, and `record` (binary, or
/// string where text was asked for). It is read as a stream of batches of at most 65,536 records and 16 MiB; a larger
/// record is a batch of its own. Each consumer gets a stream that starts at the first record. Streams can be read
/// in other threads, without the interpreter lock, and when the file is closed.
///
/// A stream ends with an error, which the consumer raises as its own kind of exception with our message, behind the
/// batch of the records before it, if a record cannot be read, is not UTF-8 where text was asked for, or has more
/// than 2,147,483,647 bytes.
#[pyclass(frozen, module = "capturefile")]
pub(super) struct ArrowRecords {
    snapshot: Arc<Snapshot>,
    first: u64,
    last: u64,
    form: Form,
    can_be_text: bool,
}

impl ArrowRecords {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        first: u64,
        last: u64,
        text: bool,
        encoding: &Encoding,
    ) -> PyResult<Self> {
        let can_be_text = !encoding.is_other_than_utf8();
        if text && !can_be_text {
            return Err(PyValueError::new_err(
                "Arrow has text in UTF-8 only, and this file was opened with another encoding; ask for bytes",
            ));
        }
        let form = if text { Form::Text } else { Form::Bytes };
        Ok(Self { snapshot, first, last, form, can_be_text })
    }

    /// The form to give to somebody who asks for a schema, which may be of the same kind only.
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
    /// A new stream of the records, as a capsule that holds an ArrowArrayStream.
    ///
    /// `requested_schema`, a capsule that holds an ArrowSchema, may ask for strings instead of bytes, or for bytes
    /// instead of strings. Other types of integers, bytes and text are answered with the nearest of ours. Raises
    /// ValueError if it is not of two such columns.
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
        let records = self.snapshot.records_between(self.first, self.last);
        let batches = Batches { records, last: self.last, held: None, failure: None };
        let stream = Stream { snapshot: Arc::clone(&self.snapshot), form, batches: Mutex::new(batches) };
        PyCapsule::new_with_value(py, ArrowArrayStream::new(stream), c"arrow_array_stream")
    }

    /// The types of the columns, as a capsule that holds an ArrowSchema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, self.form.schema(), c"arrow_schema")
    }

    fn __repr__(&self) -> String {
        let kind = if self.form == Form::Text { "text" } else { "bytes" };
        let range = if self.first > self.last {
            "no records".into()
        } else {
            format!("records {} to {}", self.first, self.last)
        };
        format!("<ArrowRecords: {range} of {}, as {kind}>", quoted(self.snapshot.path()))
    }

    /// What a notebook shows: a table of the first records.
    fn _repr_html_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let encoding = (self.form == Form::Text).then_some("utf-8");
        display::table(py, &self.__repr__(), &self.snapshot, self.first, self.last, encoding)
    }
}

/// The schema in a capsule of somebody else's.
#[expect(unsafe_code, reason = "what is in a capsule is told by its name only")]
fn schema_in<'a>(capsule: &'a Bound<'_, PyCapsule>) -> PyResult<&'a ArrowSchema> {
    let schema = capsule.pointer_checked(Some(c"arrow_schema"))?.cast::<ArrowSchema>();
    // SAFETY: a capsule of this name has such a schema, by the Arrow PyCapsule interface, for as long as it lives.
    Ok(unsafe { schema.as_ref() })
}

/// What the records are.
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

/// The nearest form to a schema; `None` if it is not one of such records.
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

/// A stream: the records that are left, for one thread at a time.
struct Stream {
    snapshot: Arc<Snapshot>,
    form: Form,
    batches: Mutex<Batches>,
}

impl Stream {
    /// The batches, unless another thread is at them, perhaps of the process that this one was forked off.
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
        // A stream that has failed has come to its end.
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
    records: Records,
    /// Number of the last record.
    last: u64,
    /// What did not fit into the batch before.
    held: Option<Result<Record, Failure>>,
    failure: Option<Failure>,
}

impl Batches {
    fn next(&mut self, stream: &Stream) -> Result<Option<ArrowArray>, Failure> {
        let mut packed = RecordBuffer::<i32>::default();
        let first = self.next_number();
        while packed.record_count() < MAX_RECORDS
            && let Some(record) = self.held.take().or_else(|| self.take(stream))
        {
            let fits = record.as_ref().is_ok_and(|record| packed.bytes().len() + record.len() <= MAX_BYTES);
            if !fits && packed.record_count() > 0 {
                self.held = Some(record);
                break;
            }
            let record = record?;
            if !packed.push(&record)? {
                return Err(self.too_long(&record, stream));
            }
        }
        Ok(batch(first, packed))
    }

    /// The next record, if it can be given.
    fn take(&mut self, stream: &Stream) -> Option<Result<Record, Failure>> {
        let record = self.records.next()?.map_err(Failure::from);
        Some(record.and_then(|record| match stream.form {
            Form::Text if std::str::from_utf8(&record).is_err() => {
                Err(self.refuse(stream, "is not text in UTF-8; ask for bytes"))
            }
            _ => Ok(record),
        }))
    }

    /// Number of the next record that a batch takes.
    fn next_number(&self) -> u64 {
        (self.last + 1) - self.records.remaining() - u64::from(self.held.is_some())
    }

    fn too_long(&self, record: &Record, stream: &Stream) -> Failure {
        let (length, limit) = (record.len(), i32::MAX);
        let problem = format!("has {length} bytes, and Arrow's types binary and string have {limit} at most");
        self.refuse(stream, &format!("{problem}; read it with record_at"))
    }

    /// Why the record that was taken last cannot be given.
    fn refuse(&self, stream: &Stream, problem: &str) -> Failure {
        let (number, path) = (self.last - self.records.remaining(), quoted(stream.snapshot.path()));
        Failure::new(EINVAL, &format!("record {number} of {path} {problem}"))
    }
}

/// A batch of these records, if there are any.
fn batch(first: u64, packed: RecordBuffer<i32>) -> Option<ArrowArray> {
    let count = packed.record_count();
    if count == 0 {
        return None;
    }
    let numbers = (first..).take(count).map(|number| i64::try_from(number).unwrap_or(i64::MAX)).collect();
    let (bytes, offsets) = packed.into_parts();
    Some(ArrowArray::batch(count, [ArrowArray::numbers(numbers), ArrowArray::strings(bytes, offsets)]))
}

/// Why there is no next batch.
struct Failure {
    /// As `errno` has it.
    code: c_int,
    message: CString,
}

impl Failure {
    fn new(code: c_int, message: &str) -> Self {
        let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
        Self { code, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::OutOfMemory { .. } => ENOMEM,
            Error::Io { source, .. } => source.raw_os_error().unwrap_or(EIO),
            _ => EINVAL,
        };
        Self::new(code, &error.to_string())
    }
}
