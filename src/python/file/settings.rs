//! The settings that an object keeps while it is closed, and the options of a call that opens a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::python::convert::{Encoding, Objects, with_bytes};
use crate::python::object::Remote;
use crate::{Compression, CompressionLevel, Geometry, OpenOptions, SyncMode};

pub(super) const DEFAULT_ENCODING: &str = "utf_8";
pub(super) const METADATA_EXPECTED: &str = "metadata must be bytes-like";

/// The settings that an object keeps while it is closed, for opening it again.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) path: PathBuf,
    /// The absolute path when the object was created, in case the working directory changes.
    pub(super) location: PathBuf,
    /// The reader of a file in a store.
    pub(super) remote: Option<Remote>,
    pub(super) encoding: Encoding,
    pub(super) chosen: Chosen,
}

/// The settings of an object as they were given, with their names in Python.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) encoding: Option<String>,
    pub(super) errors: Option<String>,
    pub(super) codec: Option<Arc<Objects>>,
    pub(super) use_os_file_locking: bool,
    pub(super) sync: SyncMode,
    pub(super) compression_level: Option<CompressionLevel>,
    pub(super) threads: Option<usize>,
    pub(super) cache_size: u64,
}

impl Settings {
    /// Raises LookupError if there is no such encoding or error handler.
    pub(super) fn new(
        py: Python<'_>,
        path: PathBuf,
        store: Option<&Bound<'_, PyAny>>,
        chosen: Chosen,
    ) -> PyResult<Self> {
        let (path, remote) = Remote::find(py, path, store)?;
        let name = remote.as_ref().map_or(&path, |remote| &remote.name);
        let (encoding, errors) = (chosen.encoding.as_deref(), chosen.errors.as_deref());
        let encoding = Encoding::find(py, encoding, errors, chosen.codec.as_ref(), name)?;
        let location = if remote.is_some() { path.clone() } else { location_of(&path) };
        Ok(Self { path, location, remote, encoding, chosen })
    }

    /// Returns the name of the file for messages.
    pub(super) fn name(&self) -> &Path {
        self.remote.as_ref().map_or(&self.path, |remote| &remote.name)
    }

    /// Opens the file with `options`, without the interpreter.
    pub(super) fn open(&self, py: Python<'_>, options: &OpenOptions) -> PyResult<crate::CaptureFile> {
        let path = self.present_path();
        Ok(py.detach(|| Remote::open(self.remote.as_ref(), path, options))?)
    }

    /// Returns the path as it was given, as long as it leads to the same place.
    fn present_path(&self) -> &Path {
        if location_of(&self.path) == self.location { &self.path } else { &self.location }
    }

    pub(super) fn options(&self) -> OpenOptions {
        let chosen = &self.chosen;
        let mut options = OpenOptions::new()
            .os_lock(chosen.use_os_file_locking)
            .sync(chosen.sync)
            .cache_size(chosen.cache_size);
        if let Some(level) = chosen.compression_level {
            options = options.compression_level(level);
        }
        match chosen.threads {
            Some(threads) => options.threads(threads),
            None => options,
        }
    }
}

impl Chosen {
    /// Returns the encoding and the codec to use. A codec replaces the default encoding.
    pub(super) fn codec(
        encoding: Option<String>,
        codec: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Option<String>, Option<Arc<Objects>>)> {
        let Some(codec) = codec else {
            return Ok((encoding, None));
        };
        if let Some(other) = encoding.filter(|encoding| encoding != DEFAULT_ENCODING) {
            let message =
                format!("a codec decodes records from bytes: it cannot be combined with encoding={other:?}");
            return Err(PyValueError::new_err(message));
        }
        Ok((None, Some(Arc::new(Objects::new(codec)?))))
    }

    /// Returns the settings as keyword arguments.
    pub(super) fn to_arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arguments = PyDict::new(py);
        arguments.set_item("encoding", self.encoding.as_deref())?;
        arguments.set_item("errors", self.errors.as_deref())?;
        if let Some(objects) = &self.codec {
            arguments.set_item("codec", objects.codec())?;
        }
        arguments.set_item("use_os_file_locking", self.use_os_file_locking)?;
        arguments.set_item("sync", self.sync.as_str())?;
        arguments.set_item("compression_level", self.compression_level.map(CompressionLevel::get))?;
        arguments.set_item("threads", self.threads)?;
        arguments.set_item("cache_size", self.cache_size)?;
        Ok(arguments)
    }
}

/// The options of a single call that opens a file.
pub(super) struct Request {
    pub(super) write: bool,
    pub(super) new: bool,
    pub(super) replace: bool,
    pub(super) metadata: Option<Vec<u8>>,
    /// The version of the format of a new file.
    pub(super) format: u32,
    pub(super) compression: Option<Compression>,
    pub(super) block_size: Option<u32>,
}

impl Request {
    /// Returns the sizes of a new file.
    pub(super) fn geometry(&self) -> Geometry {
        let usual = Geometry::of_version(self.format);
        self.block_size.map_or(usual, |size| usual.with_block_size(size))
    }
}

pub(super) fn copy_metadata(metadata: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u8>>> {
    metadata.map(|metadata| with_bytes(metadata, METADATA_EXPECTED, |bytes| Ok(bytes.to_vec()))).transpose()
}

pub(super) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Returns the absolute form of `path`.
pub(super) fn location_of(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
