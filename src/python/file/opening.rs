//! Opening from Python: the function `open`, the class, and pickles.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::python::convert::{block_size, cache_size, format_version, threads};
use crate::python::errors::{CaptureFileAlreadyOpen, quoted};
use crate::{Compression, CompressionLevel, OpenOptions, SyncMode};

use super::internals::file_identity;
use super::settings::{Chosen, Request, Settings, copy_metadata};
use super::{CaptureFile, Open};

impl CaptureFile {
    /// Initialises a new object and opens it.
    pub(super) fn start(
        &self,
        py: Python<'_>,
        path: PathBuf,
        store: Option<&Bound<'_, PyAny>>,
        chosen: Chosen,
        request: Request,
    ) -> PyResult<()> {
        let settings = Settings::new(py, path, store, chosen)?;
        if let Some(remote) = &settings.remote
            && (request.write || request.replace)
        {
            return Err(remote.refuse_writing(py));
        }
        let options = settings
            .options()
            .write(request.write)
            .create_new(request.new)
            .replace(request.replace)
            .geometry(request.geometry())
            .initial_metadata(request.metadata);
        let options = match request.compression {
            Some(compression) => options.compression(compression),
            None => options,
        };
        if self.settings.set(settings).is_err() {
            return Err(PyRuntimeError::new_err("CaptureFile.__init__() has been called already"));
        }
        self.open_with(py, &options)
    }

    /// Opens with `options` and stores the open file in the object.
    pub(super) fn open_with(&self, py: Python<'_>, options: &OpenOptions) -> PyResult<()> {
        let settings = self.settings()?;
        let already = || {
            let name = quoted(settings.name());
            CaptureFileAlreadyOpen::new_err(format!("{name} is already open in this object; close it first"))
        };
        if self.open.load().is_some() {
            return Err(already());
        }
        let file = Arc::new(settings.open(py, options)?);
        let writes = file.is_writer();
        let before = self.open.compare_and_swap(&None::<Open>, Some(file));
        if before.is_some() {
            return Err(already());
        }
        self.writes.store(writes, Ordering::Relaxed);
        Ok(())
    }
}

#[pymethods]
impl CaptureFile {
    /// Pickles a reader, as its path, its settings and the state that it sees.
    ///
    /// The other process opens the file again with these settings. The state is part of the pickle because
    /// some caches use the pickle as a key.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        let settings = this.settings()?;
        if this.file()?.is_writer() {
            let message = "a CaptureFile that is open for writing cannot be pickled: a file has one writer";
            return Err(PyTypeError::new_err(message));
        }
        let reopen = py.import("capturefile._capturefile")?.getattr("_reopen")?;
        let snapshot = this.snapshot(py)?;
        let seen = (file_identity(py, this)?, snapshot.serial_number(), snapshot.record_count());
        let options = settings.chosen.to_arguments(py)?;
        if let Some(remote) = &settings.remote {
            options.set_item("store", remote.store(py)?)?;
        }
        let arguments = (slf.get_type(), settings.location.as_os_str(), options, seen).into_pyobject(py)?;
        // The attributes of a subclass.
        let state = slf.call_method0("__getstate__")?;
        PyTuple::new(py, [reopen, arguments.into_any(), state])
    }
}

/// Returns the path of a file in an object store and, if the caller gave one, the store; None for a local file.
#[pyfunction]
#[pyo3(signature = (cf, /))]
pub(in crate::python) fn place_in_store<'py>(
    py: Python<'py>,
    cf: &CaptureFile,
) -> PyResult<Option<(OsString, Bound<'py, PyAny>)>> {
    let settings = cf.settings()?;
    let Some(remote) = &settings.remote else { return Ok(None) };
    Ok(Some((settings.path.clone().into_os_string(), remote.store(py)?)))
}

/// Opens a capture file with the modes of Python's `open()`.
///
/// Args:
///     path: Path of the file, by convention with the extension `.capture`, or URL of one in an object store,
///         which is read without a download; see `docs/object-stores.md`.
///     mode: "r" to read; "a" to write, creating the file if it does not exist or is empty; "x" to create a
///         file and refuse an existing one; "w" to replace any existing file with a new, empty one.
///     initial_metadata: Metadata of a file that this call creates.
///     encoding: Encoding of the records; None for records that are `bytes`.
///     use_os_file_locking: As for `CaptureFile`.
///     compression_block_size: As for `CaptureFile`.
///     errors: As for `CaptureFile`.
///     codec: As for `CaptureFile`.
///     sync: As for `CaptureFile`.
///     format: As for `CaptureFile`.
///     compression: As for `CaptureFile`.
///     compression_level: As for `CaptureFile`.
///     threads: As for `CaptureFile`.
///     cache_size: As for `CaptureFile`.
///     store: As for `CaptureFile`.
///
/// Returns:
///     The open file.
///
/// Raises:
///     FileExistsError: The mode is "x" and the file exists.
///     ValueError: There is no such mode, or a setting is out of range.
///     OSError: As for `CaptureFile`.
///     CaptureFileError: As for `CaptureFile`.
///     LookupError: There is no such encoding or error handler.
///     TypeError: As for `CaptureFile`.
///
/// Examples:
///     >>> with capturefile.open("new.capture", "w") as new:
///     ...     new.add_record("first")
///     ...     new.commit()
///     1
///     >>> capturefile.open("new.capture")[1]
///     'first'
#[pyfunction]
#[pyo3(
    signature = (
        path, mode="r", *, initial_metadata=None, encoding=Some("utf_8".into()), errors=None, codec=None, use_os_file_locking=true,
        compression_block_size=None, sync=SyncMode::Full, format=2, compression=None, compression_level=None,
        threads=None, cache_size=OpenOptions::DEFAULT_CACHE_SIZE, store=None
    ),
    text_signature = "(path, mode='r', *, initial_metadata=None, encoding='utf_8', errors=None, codec=None, use_os_file_locking=True, \
                      compression_block_size=None, sync='full', format=2, compression=None, \
                      compression_level=None, threads=None, cache_size=50331648, store=None)"
)]
#[expect(clippy::too_many_arguments, reason = "they are the settings of CaptureFile")]
pub(in crate::python) fn open(
    py: Python<'_>,
    path: PathBuf,
    mode: &str,
    initial_metadata: Option<&Bound<'_, PyAny>>,
    encoding: Option<String>,
    errors: Option<String>,
    codec: Option<Bound<'_, PyAny>>,
    use_os_file_locking: bool,
    #[pyo3(from_py_with = block_size)] compression_block_size: Option<u32>,
    sync: SyncMode,
    #[pyo3(from_py_with = format_version)] format: u32,
    compression: Option<Compression>,
    compression_level: Option<CompressionLevel>,
    #[pyo3(from_py_with = threads)] threads: Option<usize>,
    #[pyo3(from_py_with = cache_size)] cache_size: u64,
    store: Option<&Bound<'_, PyAny>>,
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
        format,
        compression,
        block_size: compression_block_size,
    };
    let (encoding, codec) = Chosen::codec(encoding, codec)?;
    let chosen =
        Chosen { encoding, errors, codec, use_os_file_locking, sync, compression_level, threads, cache_size };
    file.start(py, path, store, chosen, request)?;
    Ok(file)
}

/// Recreates an object from the result of `CaptureFile.__reduce__`; it sees the last commit at that time.
#[pyfunction]
#[pyo3(
    name = "_reopen",
    signature = (class, path, options, _seen, /),
    text_signature = "(cls, path, options, seen, /)"
)]
pub(in crate::python) fn reopen<'py>(
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
