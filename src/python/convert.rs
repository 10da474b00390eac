//! What goes in from Python and what comes out: records, encodings, numbers, settings.

use std::ffi::{CStr, CString};

use pyo3::exceptions::{PyLookupError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use crate::{CompressionLevel, SyncMode};

/// How records become Python objects, and text becomes records.
#[derive(Debug, Clone)]
pub(super) enum Encoding {
    /// Records are `bytes`; text is encoded as UTF-8.
    Bytes,
    Utf8,
    Other(CString),
}

impl Encoding {
    /// The encoding called `name`, as the `codecs` module knows it.
    pub(super) fn find(py: Python<'_>, name: Option<&str>) -> PyResult<Self> {
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

    /// The record as a Python object of its own.
    pub(super) fn decode<'py>(&self, py: Python<'py>, record: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.finish(self.begin(py, record)?)
    }

    /// What [`finish`](Self::finish) makes the Python object of. This part runs no Python code, not even by way
    /// of the garbage collector, so that locks may be held meanwhile.
    pub(super) fn begin<'py>(&self, py: Python<'py>, record: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self {
            // Looking for ASCII first takes a fifth of the time.
            Self::Utf8 if record.is_ascii() || std::str::from_utf8(record).is_ok() => {
                PyString::from_bytes(py, record).map(Bound::into_any)
            }
            _ => to_bytes(py, record).map(Bound::into_any),
        }
    }

    /// The Python object of a record, from what [`begin`](Self::begin) made of it.
    pub(super) fn finish<'py>(&self, begun: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let Ok(bytes) = begun.cast::<PyBytes>() else {
            return Ok(begun);
        };
        match self {
            Self::Bytes => Ok(begun),
            // Not valid, or it would be text already: this tells what is wrong.
            Self::Utf8 => PyString::from_bytes(begun.py(), bytes.as_bytes()).map(Bound::into_any),
            Self::Other(name) => PyString::from_encoded_object(bytes, Some(name), None).map(Bound::into_any),
        }
    }

    fn name(&self) -> &CStr {
        match self {
            Self::Bytes | Self::Utf8 => c"utf-8",
            Self::Other(name) => name,
        }
    }

    /// Calls `work` with the bytes of a record given as text or as anything with the buffer protocol.
    pub(super) fn with_record<T>(
        &self,
        record: &Bound<'_, PyAny>,
        work: impl FnOnce(&[u8]) -> PyResult<T>,
    ) -> PyResult<T> {
        if let Ok(bytes) = record.cast::<PyBytes>() {
            return work(bytes.as_bytes());
        }
        let Ok(text) = record.cast::<PyString>() else {
            return with_bytes(record, "a record must be bytes-like or str", work);
        };
        if let Self::Other(_) = self {
            let encoded = text.call_method1("encode", (self.name().to_string_lossy(),))?;
            return with_bytes(&encoded, "a record must be bytes-like or str", work);
        }
        work(text.to_str()?.as_bytes())
    }
}

/// Calls `work` with the bytes of anything with the buffer protocol. What can change is copied first,
/// since other threads may change it while the interpreter is let go. `expected` is for the message.
pub(super) fn with_bytes<T>(
    object: &Bound<'_, PyAny>,
    expected: &str,
    work: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return work(bytes.as_bytes());
    }
    let Ok(view) = PyMemoryView::from(object) else {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{expected}, not {kind}")));
    };
    let copy = view.call_method0("tobytes")?;
    work(copy.cast::<PyBytes>()?.as_bytes())
}

/// A `bytes` object; no memory for it is an error, not a panic.
#[expect(unsafe_code, reason = "the safe ways fill it with zeros first, or panic where there is no memory")]
pub(super) fn to_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // A slice is never longer than this.
    let length = ffi::Py_ssize_t::try_from(bytes.len()).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: the function copies so many bytes from a slice that has as many, and gives a new object of class
    // `bytes`, or nothing and an error.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), length);
        Bound::from_owned_ptr_or_err(py, object).map(|object| object.cast_into_unchecked())
    }
}

/// An integer that names a record; one too large for the machine names none.
#[derive(Clone, Copy)]
pub(super) struct RecordNumber(pub(super) i64);

impl<'py> FromPyObject<'_, 'py> for RecordNumber {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<i64>() {
            Ok(number) => Ok(Self(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(Self(if object.lt(0)? { i64::MIN } else { i64::MAX }))
            }
            Err(error) => Err(error),
        }
    }
}

impl RecordNumber {
    /// The number as records are counted; `None` where it is below the first.
    pub(super) fn positive(self) -> Option<u64> {
        u64::try_from(self.0).ok().filter(|number| *number > 0)
    }

    /// The same with negative numbers counted from the end of `count` records; 0 is below the first.
    pub(super) fn in_file_of(self, count: u64) -> u64 {
        u64::try_from(self.0).unwrap_or_else(|_| (count + 1).saturating_sub(self.0.unsigned_abs()))
    }
}

impl<'py> FromPyObject<'_, 'py> for SyncMode {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(on) = object.extract::<bool>() {
            return Ok(if on { Self::Full } else { Self::Never });
        }
        match object.extract::<String>().as_deref() {
            Ok("full") => Ok(Self::Full),
            Ok("barrier") => Ok(Self::Barrier),
            Ok("none") => Ok(Self::Never),
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
        let expected = "it must be from 1, the fastest, to 12, the smallest";
        Ok(Self::new(setting(&object, "compression_level", expected)?)?)
    }
}

pub(super) fn block_size(object: &Bound<'_, PyAny>) -> PyResult<u32> {
    setting(object, "compression_block_size", "it must be a multiple of the page size below 2**32")
}

pub(super) fn threads(object: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    setting(object, "threads", "it must be how many threads there may be")
}

pub(super) fn cache_size(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    setting(object, "cache_size", "it must be a number of bytes, from 0 up")
}

/// A setting that is a number. One that its type cannot hold is a `ValueError` like others that cannot be.
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
