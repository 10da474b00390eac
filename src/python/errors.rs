//! The one place where errors of the crate become Python exceptions.

use std::io;
use std::path::{Path, PathBuf};

use pyo3::PyErrArguments;
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;

use crate::{Damage, Error};

/// The exception classes, which are written in Python.
mod classes {
    use pyo3::import_exception;

    import_exception!(capturefile._errors, CaptureFileAlreadyOpen);
    import_exception!(capturefile._errors, CaptureFileError);
    import_exception!(capturefile._errors, CaptureFileNotOpen);
    import_exception!(capturefile._errors, CaptureFileNotOpenForWrite);
    import_exception!(capturefile._errors, CaptureFileReplaced);
    import_exception!(capturefile._errors, CommitUncertain);
    import_exception!(capturefile._errors, InvalidCaptureFile);
    import_exception!(capturefile._errors, UncommittedWarning);
    import_exception!(io, UnsupportedOperation);
}

use classes::UnsupportedOperation;
pub(super) use classes::{CaptureFileAlreadyOpen, CaptureFileError, CaptureFileNotOpen, UncommittedWarning};

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = in_words_of_python(&error);
        match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::OutOfMemory => {
                PyMemoryError::new_err(message)
            }
            Error::Io { path, source, .. } => raised_by(&source).unwrap_or_else(|| os_error(path, &source)),
            Error::LockUnavailable { path, source } => {
                PyOSError::new_err(OsErrorArguments::new(source.raw_os_error(), message, path))
            }
            Error::CommitUncertain { path, source } => {
                classes::CommitUncertain::new_err(OsErrorArguments::new(source.raw_os_error(), message, path))
            }
            Error::InUse { path, source } => {
                PyPermissionError::new_err(OsErrorArguments::new(source.raw_os_error(), message, path))
            }
            Error::Corrupt { .. } => classes::InvalidCaptureFile::new_err(message),
            Error::Replaced { .. } | Error::Removed { .. } => classes::CaptureFileReplaced::new_err(message),
            Error::Closed { .. } => classes::CaptureFileNotOpen::new_err(message),
            Error::Locked { .. } => classes::CaptureFileAlreadyOpen::new_err(message),
            Error::NotOpenForWrite { .. } | Error::Forked { .. } => {
                classes::CaptureFileNotOpenForWrite::new_err(message)
            }
            Error::WriterFailed { .. } | Error::FormatUnsupported { .. } => {
                classes::CaptureFileError::new_err(message)
            }
            Error::NoSuchRecord { .. } => PyIndexError::new_err(message),
            Error::TooLarge { .. } | Error::InvalidOption { .. } | Error::IndexFull { .. } => {
                PyValueError::new_err(message)
            }
            Error::OutOfMemory { .. } => PyMemoryError::new_err(message),
        }
    }
}

/// Returns the message of an error, with the Python names of settings.
fn in_words_of_python(error: &Error) -> String {
    let message = error.to_string();
    match error {
        Error::InvalidOption { name: "block_size", .. } => format!("compression_{message}"),
        Error::LockUnavailable { .. } => {
            message.replace("OpenOptions::os_lock(false)", "use_os_file_locking=False")
        }
        _ => message,
    }
}

/// Returns the message about damage, without its place.
pub(super) fn found_and_expected(damage: &Damage) -> String {
    format!("found {}, expected {}", damage.found, damage.expected)
}

/// Formats a path for messages: in quotes, with unprintable characters escaped.
#[expect(clippy::unnecessary_debug_formatting, reason = "the quotes and escapes are what is wanted")]
pub(super) fn quoted(path: &Path) -> String {
    format!("{path:?}")
}

/// Formats a path for the representations of objects: in quotes, as Python shows a `str`.
pub(super) fn represented(py: Python<'_>, path: &Path) -> String {
    let text = path.as_os_str().into_pyobject(py).ok().and_then(|text| text.repr().ok());
    text.map_or_else(|| quoted(path), |text| text.to_string())
}

/// Returns the exception of a store, if that is what has failed.
fn raised_by(error: &io::Error) -> Option<PyErr> {
    let mut cause: &(dyn std::error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(raised) = cause.downcast_ref::<PyErr>() {
            return Python::try_attach(|py| raised.clone_ref(py));
        }
        cause = match cause.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref()?,
            None => cause.source()?,
        };
    }
}

/// Creates an `OSError` with `errno`, `strerror` and `filename`, which Python turns into `FileNotFoundError` and its
/// siblings.
fn os_error(path: PathBuf, source: &io::Error) -> PyErr {
    let mut text = source.to_string();
    let number = source.raw_os_error();
    match number {
        // The system's message, as in Python.
        Some(number) => {
            let length = text.trim_end_matches(&format!(" (os error {number})")).trim_end_matches('.').len();
            text.truncate(length);
        }
        // A path with a NUL, which only Python's own functions would refuse before the system call.
        None if source.kind() == io::ErrorKind::InvalidInput => {
            return PyValueError::new_err(format!("{} cannot be a path: {source}", quoted(&path)));
        }
        None if source.kind() == io::ErrorKind::Unsupported => {
            return UnsupportedOperation::new_err(format!("{}: {text}", quoted(&path)));
        }
        None => {}
    }
    PyOSError::new_err(OsErrorArguments::new(number, text, path))
}

/// The arguments of an `OSError`: the system's number, or else that of an I/O error, a text, and the file.
struct OsErrorArguments {
    number: Option<i32>,
    text: String,
    path: PathBuf,
}

impl OsErrorArguments {
    fn new(number: Option<i32>, text: String, path: PathBuf) -> Self {
        Self { number, text, path }
    }
}

impl PyErrArguments for OsErrorArguments {
    fn arguments(self, py: Python<'_>) -> Py<PyAny> {
        let Self { number, text, path } = self;
        let path = path.into_os_string();
        match number {
            // Windows has its own numbers, from which Python derives `errno` and the class.
            Some(number) if cfg!(windows) => (0, text, path, number).arguments(py),
            number => (number.unwrap_or(libc::EIO), text, path).arguments(py),
        }
    }
}
