//! The Python extension module: a thin layer over the crate's public API.

mod arrow;
mod backup;
mod convert;
mod display;
mod errors;
mod file;
mod follower;
mod index;
mod iterators;
mod json_lines;
mod log_transaction;
mod object;
mod progress;
mod ranges;
mod recover;
mod replacement;
mod search;
mod shared;
mod structure;
mod verify;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// The part of `capturefile` that is written in Rust.
#[pymodule(gil_used = false, name = "_capturefile")]
fn extension(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Before any object is created that interpreters would share.
    refuse_other_interpreters()?;
    // Imported now, because a warning may be necessary at the end of the process, when nothing can be
    // imported any more.
    let _ = module.py().get_type::<errors::UncommittedWarning>();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<arrow::ArrowRecords>()?;
    module.add_class::<file::CaptureFile>()?;
    module.add_class::<file::Transaction>()?;
    module.add_class::<file::CommitTicket>()?;
    module.add_class::<iterators::BlockIterator>()?;
    module.add_class::<follower::Follower>()?;
    module.add_class::<index::IndexRun>()?;
    module.add_class::<iterators::RecordIterator>()?;
    module.add_class::<log_transaction::LogTransaction>()?;
    module.add_class::<replacement::Replacement>()?;
    module.add_class::<search::IndexKey>()?;
    module.add_class::<search::Pattern>()?;
    module.add_class::<search::Search>()?;
    module.add_class::<structure::Head>()?;
    module.add_class::<structure::Header>()?;
    module.add_class::<structure::Log>()?;
    module.add_class::<structure::Slot>()?;
    module.add_class::<structure::Step>()?;
    module.add_class::<structure::Structure>()?;
    module.add_function(wrap_pyfunction!(arrow::arrow_of, module)?)?;
    module.add_function(wrap_pyfunction!(backup::backup, module)?)?;
    module.add_function(wrap_pyfunction!(file::block_range, module)?)?;
    module.add_function(wrap_pyfunction!(file::file_identity, module)?)?;
    module.add_function(wrap_pyfunction!(file::is_in_place, module)?)?;
    module.add_function(wrap_pyfunction!(file::open, module)?)?;
    module.add_function(wrap_pyfunction!(file::place_in_store, module)?)?;
    module.add_function(wrap_pyfunction!(file::reader_of, module)?)?;
    module.add_function(wrap_pyfunction!(file::set_commit_hook, module)?)?;
    module.add_function(wrap_pyfunction!(index::find_all, module)?)?;
    module.add_function(wrap_pyfunction!(index::index_groups, module)?)?;
    module.add_function(wrap_pyfunction!(index::index_hash, module)?)?;
    module.add_function(wrap_pyfunction!(index::index_matches, module)?)?;
    module.add_function(wrap_pyfunction!(index::index_page, module)?)?;
    module.add_function(wrap_pyfunction!(json_lines::json_lines, module)?)?;
    module.add_function(wrap_pyfunction!(file::reopen, module)?)?;
    module.add_function(wrap_pyfunction!(recover::recover, module)?)?;
    module.add_function(wrap_pyfunction!(replacement::sync_path, module)?)?;
    module.add_function(wrap_pyfunction!(verify::verify, module)?)
}

/// Refuses every interpreter of the process except the main one: classes are created once for the process,
/// and end with the interpreter that created them. Python itself refuses only interpreters with their own
/// lock.
#[expect(unsafe_code, reason = "the number of an interpreter has no safe wrapper")]
fn refuse_other_interpreters() -> PyResult<()> {
    // SAFETY: a module is initialized by a thread that is attached to an interpreter.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "capturefile can be imported by the main interpreter of a process only, and this is a sub-interpreter; for \
         mod_wsgi set \"WSGIApplicationGroup %{GLOBAL}\", for uWSGI \"single-interpreter = true\"",
    ))
}
