//! The Python extension module: a thin face over the crate's public API.

mod arrow;
mod convert;
mod errors;
mod file;
mod iterators;
mod progress;
mod ranges;
mod recover;
mod verify;

use pyo3::prelude::*;

/// The part of `capturefile` that is written in Rust.
#[pymodule(gil_used = false, name = "_capturefile")]
mod extension {
    #[pymodule_export]
    use super::arrow::ArrowRecords;
    #[pymodule_export]
    use super::file::{CaptureFile, Transaction, open, reopen};
    #[pymodule_export]
    use super::iterators::{BlockIterator, Follower, RecordIterator};
    #[pymodule_export]
    use super::recover::recover;
    #[pymodule_export]
    use super::verify::verify;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
