//! Tables of records for notebooks, which do not fail because of the contents of a file.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Snapshot;

/// Returns an HTML table of the first of these records, with their numbers, sizes and types, and any error that ended
/// it.
pub(super) fn table<'py>(
    py: Python<'py>,
    title: &str,
    snapshot: &Snapshot,
    first: u64,
    last: u64,
    encoding: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let html = py.import("capturefile._html")?;
    let max_rows: u64 = html.getattr("MAX_ROWS")?.extract()?;
    let max_bytes: usize = html.getattr("MAX_BYTES")?.extract()?;
    let mut rows = Vec::new();
    let mut problem = None;
    for number in first..=last.min(first.saturating_add(max_rows.saturating_sub(1))) {
        match py.detach(|| snapshot.record(number)) {
            Ok(record) => {
                let beginning = &record[..record.len().min(max_bytes)];
                rows.push((number, record.len(), PyBytes::new(py, beginning)));
            }
            Err(error) => {
                problem = Some(error.to_string());
                break;
            }
        }
    }
    let count = last.saturating_add(1).saturating_sub(first);
    html.getattr("table")?.call1((title, rows, count, encoding, problem))
}
