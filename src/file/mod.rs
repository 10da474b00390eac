//! The object that users hold: a capture file that is open for reading or writing.

pub(crate) mod capture_file;
