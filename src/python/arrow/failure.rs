//! The error of a stream, for its consumer.

use std::ffi::{CString, c_int};

use libc::{EINVAL, EIO, ENOMEM};

use crate::Error;

/// Why there is no next batch.
pub(super) struct Failure {
    /// The code, a value of `errno`.
    pub(super) code: c_int,
    pub(super) message: CString,
}

impl Failure {
    pub(super) fn new(code: c_int, message: &str) -> Self {
        let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
        Self { code, message }
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(EINVAL, message)
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
