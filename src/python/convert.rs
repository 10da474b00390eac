//! Conversions between Python and Rust: records, encodings, numbers, settings.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use pyo3::exceptions::{
    PyLookupError, PyOverflowError, PyTypeError, PyUnicodeDecodeError, PyUnicodeError, PyValueError,
};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDateTime, PyMemoryView, PyString};

use super::errors::quoted;

use crate::{Compression, CompressionLevel, Error, SyncMode};

/// Converts records to Python objects, and text to records.
#[derive(Debug, Clone)]
pub(super) struct Encoding {
    codec: Codec,
    /// The handler for text that cannot be encoded or decoded; without one, it is an error.
    errors: Option<CString>,
    /// The file, for messages.
    path: Arc<Path>,
}

#[derive(Debug, Clone)]
enum Codec {
    /// Records are `bytes`; text is encoded as UTF-8.
    Bytes,
    Utf8,
    Other(CString),
    /// Records are objects that a codec in Python decodes from `bytes`.
    Objects(Arc<Objects>),
}

/// A codec in Python: an object with the methods `decode`, which takes a record's bytes, and `encode`.
#[derive(Debug)]
pub(super) struct Objects {
    codec: Py<PyAny>,
    decode: Py<PyAny>,
    encode: Py<PyAny>,
}

impl Objects {
    pub(super) fn new(codec: Bound<'_, PyAny>) -> PyResult<Self> {
        let method = |name| {
            let found = codec.getattr(name).ok().filter(PyAnyMethods::is_callable);
            let expected =
                "a codec must have the methods decode and encode, like those of capturefile.codecs";
            found.map(Bound::unbind).ok_or_else(|| PyTypeError::new_err(format!("{expected}, not {codec}")))
        };
        let (decode, encode) = (method("decode")?, method("encode")?);
        Ok(Self { codec: codec.unbind(), decode, encode })
    }

    /// Returns the codec itself.
    pub(super) fn codec(&self) -> &Py<PyAny> {
        &self.codec
    }
}

impl Codec {
    /// Returns the codec called `name` from the `codecs` module.
    fn find(py: Python<'_>, name: Option<&str>) -> PyResult<Self> {
        let Some(name) = name else {
            return Ok(Self::Bytes);
        };
        let codec = py.import("codecs")?.call_method1("lookup", (name,))?;
        if !codec.getattr("_is_text_encoding").and_then(|is_text| is_text.is_truthy()).unwrap_or(true) {
            return Err(PyLookupError::new_err(format!("{name:?} is not a text encoding")));
        }
        if codec.getattr("name")?.extract::<String>()? == "utf-8" {
            return Ok(Self::Utf8);
        }
        Ok(Self::Other(CString::new(name)?))
    }

    fn name(&self) -> &CStr {
        match self {
            Self::Bytes | Self::Utf8 | Self::Objects(_) => c"utf-8",
            Self::Other(name) => name,
        }
    }
}

impl Encoding {
    /// Finds the encoding called `name` and the error handler called `errors` in the `codecs` module, or
    /// takes a codec in Python, for the file at `path`.
    pub(super) fn find(
        py: Python<'_>,
        name: Option<&str>,
        errors: Option<&str>,
        objects: Option<&Arc<Objects>>,
        path: &Path,
    ) -> PyResult<Self> {
        let codec = match objects {
            Some(objects) => Codec::Objects(Arc::clone(objects)),
            None => Codec::find(py, name)?,
        };
        if let Some(handler) = errors {
            if name.is_none() {
                let message =
                    "errors is only for text, but with encoding=None or a codec records are not text";
                return Err(PyValueError::new_err(message));
            }
            py.import("codecs")?.call_method1("lookup_error", (handler,))?;
        }
        Ok(Self { codec, errors: errors.map(CString::new).transpose()?, path: path.into() })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Returns whether records are text in an encoding other than UTF-8.
    pub(super) fn is_other_than_utf8(&self) -> bool {
        matches!(self.codec, Codec::Other(_))
    }

    /// Returns the record with this number as a Python object.
    pub(super) fn decode<'py>(
        &self,
        py: Python<'py>,
        record: &[u8],
        number: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.finish(self.begin(py, record)?, number)
    }

    /// Prepares a record for [`finish`](Self::finish). This part does not run Python code, not even through
    /// the garbage collector, so locks may be held meanwhile.
    pub(super) fn begin<'py>(&self, py: Python<'py>, record: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self.codec {
            // Checking for ASCII first takes a fifth of the time.
            Codec::Utf8 if record.is_ascii() || std::str::from_utf8(record).is_ok() => {
                PyString::from_bytes(py, record).map(Bound::into_any)
            }
            _ => to_bytes(py, record).map(Bound::into_any),
        }
    }

    /// Returns the Python object of the record with this number, from the result of [`begin`](Self::begin).
    pub(super) fn finish<'py>(&self, begun: Bound<'py, PyAny>, number: u64) -> PyResult<Bound<'py, PyAny>> {
        let Ok(bytes) = begun.cast::<PyBytes>() else {
            return Ok(begun);
        };
        if matches!(self.codec, Codec::Bytes) {
            return Ok(begun);
        }
        if let Codec::Objects(objects) = &self.codec {
            let (py, decode) = (begun.py(), objects.decode.bind(begun.py()));
            return decode.call1((begun,)).map_err(|error| self.located(py, error, number));
        }
        PyString::from_encoded_object(bytes, Some(self.codec.name()), self.errors.as_deref())
            .map(Bound::into_any)
            .map_err(|error| self.located(begun.py(), error, number))
    }

    /// Adds the number of the record to an error of decoding it.
    fn located(&self, py: Python<'_>, error: PyErr, number: u64) -> PyErr {
        let place = format!("record {number} of {}", quoted(&self.path));
        let value = error.value(py);
        let described = if error.is_instance_of::<PyUnicodeDecodeError>(py) {
            value
                .getattr("reason")
                .and_then(|reason| value.setattr("reason", format!("{reason}, in {place}")))
        } else if error.is_instance_of::<PyUnicodeError>(py) {
            value.setattr("args", (format!("{value}, in {place}"),))
        } else {
            value.call_method1("add_note", (format!("while decoding {place}"),)).map(|_| ())
        };
        // The error itself matters more than a failure to describe it.
        drop(described);
        error
    }

    /// Calls `work` with the bytes of a record, given as text, as any object with the buffer protocol, or as
    /// an object for the codec.
    pub(super) fn with_record<T>(
        &self,
        record: &Bound<'_, PyAny>,
        work: impl FnOnce(&[u8]) -> PyResult<T>,
    ) -> PyResult<T> {
        if let Codec::Objects(objects) = &self.codec {
            let encoded = objects.encode.bind(record.py()).call1((record,))?;
            return with_bytes(&encoded, "encode of a codec must return a bytes-like object", work);
        }
        if let Ok(bytes) = record.cast::<PyBytes>() {
            return work(bytes.as_bytes());
        }
        let Ok(text) = record.cast::<PyString>() else {
            return with_bytes(record, "a record must be bytes-like or str", work);
        };
        if self.errors.is_none() && !self.is_other_than_utf8() {
            return work(text.to_str()?.as_bytes());
        }
        let errors = self.errors.as_deref().unwrap_or(c"strict");
        let encoded =
            text.call_method1("encode", (self.codec.name().to_string_lossy(), errors.to_string_lossy()))?;
        with_bytes(&encoded, "a record must be bytes-like or str", work)
    }
}

/// Refuses a single record where an iterable of records is expected: each of its letters or bytes would
/// become a record.
pub(super) fn refuse_one_record(records: &Bound<'_, PyAny>) -> PyResult<()> {
    let one = records.is_instance_of::<PyString>()
        || records.is_instance_of::<PyBytes>()
        || records.is_instance_of::<PyByteArray>()
        || records.is_instance_of::<PyMemoryView>();
    if !one {
        return Ok(());
    }
    let kind = records.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "add_records takes an iterable of records, not a single {kind}: put it into a list, or use add_record"
    )))
}

/// Calls `work` with the bytes of any object with the buffer protocol. A mutable buffer is copied first,
/// since other threads may change it while the interpreter is released. `expected` is for the message.
pub(super) fn with_bytes<T>(
    object: &Bound<'_, PyAny>,
    expected: &str,
    work: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return work(bytes.as_bytes());
    }
    if !has_buffer(object) {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{expected}, not {kind}")));
    }
    refuse_dates(object, expected)?;
    let view = PyMemoryView::from(object)?;
    let format = view.getattr("format")?.extract::<String>()?;
    if !is_plain(&format) {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "{expected}, not {kind} with elements of format {format:?}, whose memory holds pointers or characters of \
             the interpreter: pass each element as str or bytes"
        )));
    }
    let copy = view.call_method0("tobytes")?;
    work(copy.cast::<PyBytes>()?.as_bytes())
}

/// Returns whether an object has the buffer protocol. Requesting the buffer itself could raise any exception.
#[expect(unsafe_code, reason = "the safe ways ask for the buffer")]
fn has_buffer(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the call only reads the class of a live object.
    unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) == 1 }
}

/// Refuses dates, durations and text of `numpy`, for which the buffer protocol has no format: a single date
/// claims to be eight bytes, and an array of dates refuses to be a buffer without a helpful message.
fn refuse_dates(object: &Bound<'_, PyAny>, expected: &str) -> PyResult<()> {
    let Ok(kind) = object.getattr("dtype").and_then(|dtype| dtype.getattr("kind")?.extract::<char>()) else {
        return Ok(());
    };
    if matches!(kind, 'M' | 'm' | 'T') {
        let (class, dtype) = (object.get_type().name()?, object.getattr("dtype")?);
        return Err(PyTypeError::new_err(format!(
            "{expected}, not {class} of dtype {dtype}: pass each element as str or bytes"
        )));
    }
    Ok(())
}

/// Returns whether elements of this format, in the syntax of `struct` and PEP 3118, are data that is meaningful
/// outside of the process: no pointers, and no text in the interpreter's internal form.
fn is_plain(format: &str) -> bool {
    // Names of fields are between colons.
    let types = format.split(':').step_by(2).collect::<String>();
    let complex = ["Zf", "Zd", "Zg"].iter().fold(types, |types, number| types.replace(number, ""));
    !complex.contains(['O', 'P', 'X', '&', 'Z', 'z', 'u', 'w'])
}

/// Creates a `bytes` object; a lack of memory is an error, not a panic.
#[expect(unsafe_code, reason = "the safe ways fill it with zeros first, or panic where there is no memory")]
pub(super) fn to_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // Slices are never longer.
    let length = ffi::Py_ssize_t::try_from(bytes.len()).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: the function copies the bytes of a slice with its length, and returns a new `bytes` object, or
    // null and an error.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), length);
        Bound::from_owned_ptr_or_err(py, object).map(|object| object.cast_into_unchecked())
    }
}

/// A record number from Python; an integer that is too large is not a record number.
#[derive(Clone, Copy)]
pub(super) struct RecordNumber(pub(super) i64);

impl<'py> FromPyObject<'_, 'py> for RecordNumber {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<i64>() {
            Ok(number) => Ok(Self(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                // Not everything that converts to an integer can be compared with one.
                let number = object.py().import("operator")?.call_method1("index", (object,))?;
                Ok(Self(if number.lt(0)? { i64::MIN } else { i64::MAX }))
            }
            Err(error) => Err(error),
        }
    }
}

impl RecordNumber {
    /// Returns the number; `None` if it is below the first.
    pub(super) fn positive(self) -> Option<u64> {
        u64::try_from(self.0).ok().filter(|number| *number > 0)
    }

    /// Returns the number, counting negative ones from the end of `count` records; 0 is below the first.
    pub(super) fn in_file_of(self, count: u64) -> u64 {
        u64::try_from(self.0).unwrap_or_else(|_| (count + 1).saturating_sub(self.0.unsigned_abs()))
    }
}

/// A time from Python: a `datetime` with a time zone.
pub(super) struct AwareTime(pub(super) SystemTime);

impl<'py> FromPyObject<'_, 'py> for AwareTime {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let refused =
            |got: &str| Err(PyTypeError::new_err(format!("time must be an aware datetime, not {got}")));
        if object.cast::<PyDateTime>().is_err() {
            return refused(&object.get_type().name()?.to_string());
        }
        if object.call_method0("utcoffset")?.is_none() {
            return refused("one without a time zone");
        }
        // Times before 1970 cannot be converted; no commit is that old.
        match object.extract::<SystemTime>() {
            Err(error) if error.is_instance_of::<PyValueError>(object.py()) => {
                Ok(Self(SystemTime::UNIX_EPOCH))
            }
            time => time.map(Self),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for SyncMode {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(on) = object.extract::<bool>() {
            return Ok(if on { Self::Full } else { Self::None });
        }
        match object.extract::<String>().as_deref() {
            Ok("full") => Ok(Self::Full),
            Ok("barrier") => Ok(Self::Barrier),
            Ok("none") => Ok(Self::None),
            _ => Err(PyValueError::new_err(format!(
                "sync must be 'full' (or True), 'barrier' or 'none' (or False), not {}",
                object.repr()?
            ))),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for CompressionLevel {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let expected = "it must be from 1, the fastest, to 12, the smallest, or 22 with zstd";
        Ok(Self::new(setting(&object, "compression_level", expected)?)?)
    }
}

impl<'py> FromPyObject<'_, 'py> for Compression {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name = object.extract::<String>().ok();
        let known = [Self::Zlib, Self::Zstd, Self::Lz4, Self::None];
        let found = known.into_iter().find(|compression| Some(compression.as_str()) == name.as_deref());
        let expected = "compression must be 'zlib', 'zstd', 'lz4' or 'none'";
        found.map_or_else(|| Err(PyValueError::new_err(format!("{expected}, not {}", object.repr()?))), Ok)
    }
}

/// Returns the version of the format of a new file. Older versions than 2 have no advantage.
pub(super) fn format_version(object: &Bound<'_, PyAny>) -> PyResult<u32> {
    let (name, expected) = ("format", "it must be 2 or 3");
    match setting(object, name, expected)? {
        version @ (2 | 3) => Ok(version),
        other => Err(Error::InvalidOption { name, got: other.to_string(), expected }.into()),
    }
}

pub(super) fn block_size(object: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    setting(object, "compression_block_size", "it must be a multiple of the page size below 2**32")
}

pub(super) fn threads(object: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let (name, expected) = ("threads", "it must be a number of threads, at least 1");
    match setting(object, name, expected)? {
        Some(0) => Err(Error::InvalidOption { name, got: "0".to_owned(), expected }.into()),
        threads => Ok(threads),
    }
}

pub(super) fn cache_size(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    setting(object, "cache_size", "it must be a number of bytes, at least 0")
}

/// Returns a setting that is a number. A number that its type cannot hold is a `ValueError`, like other invalid ones.
fn setting<'py, T: FromPyObjectOwned<'py, Error = PyErr>>(
    object: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<T> {
    object.extract::<T>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(object.py()) {
            return PyValueError::new_err(format!("{name} cannot be {object}: {expected}"));
        }
        error
    })
}
