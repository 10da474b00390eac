//! What an object keeps while it is closed, and what a call that opens a file asks for.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;

use crate::python::convert::{Encoding, with_bytes};
use crate::{CompressionLevel, OpenOptions, SyncMode};

pub(super) const METADATA_EXPECTED: &str = "metadata must be bytes-like";

/// What an object keeps while it is closed, to be opened again.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) path: PathBuf,
    /// Where that was when the object was made, whatever folder the process works in later.
    pub(super) location: PathBuf,
    pub(super) encoding_name: Option<String>,
    pub(super) errors: Option<String>,
    pub(super) encoding: Encoding,
    pub(super) os_lock: bool,
    pub(super) sync: SyncMode,
    pub(super) level: CompressionLevel,
    pub(super) threads: Option<usize>,
    pub(super) cache_size: u64,
}

impl Settings {
    /// The path as it was given, as long as it leads to the same place.
    pub(super) fn present_path(&self) -> &Path {
        if location_of(&self.path) == self.location { &self.path } else { &self.location }
    }

    pub(super) fn options(&self) -> OpenOptions {
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
pub(super) struct Request {
    pub(super) write: bool,
    pub(super) new: bool,
    pub(super) replace: bool,
    pub(super) metadata: Option<Vec<u8>>,
    pub(super) block_size: u32,
}

pub(super) fn copy_metadata(metadata: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u8>>> {
    metadata.map(|metadata| with_bytes(metadata, METADATA_EXPECTED, |bytes| Ok(bytes.to_vec()))).transpose()
}

pub(super) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `path`, wherever the process works later.
pub(super) fn location_of(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
