//! Building and searching indexes of the values of fields, for the package's modules in `_index/`, which store them in
//! files.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::file::CaptureFile;
use super::shared::Shared;
use crate::field_index::pages::{Part, Spread, decode_groups, groups_with};
use crate::field_index::run::{Pages, Run};
use crate::field_index::value::{Interval, Value};
use crate::{Error, Records, Result, Snapshot};

/// Number of records that are indexed between checks for signals.
const MAX_INDEXED: u64 = 100_000;

/// A part of an index, of consecutive records, that is being built.
#[pyclass(frozen, name = "_IndexRun", module = "capturefile._capturefile")]
pub(super) struct IndexRun {
    run: Shared<Run>,
}

/// For each key, the pages of groups and the pages of hashes.
type PyPages<'py> = Vec<(Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>)>;

#[pymethods]
impl IndexRun {
    /// Creates an empty run for these keys, of the records from number `first` on.
    #[new]
    #[pyo3(signature = (keys, first))]
    #[expect(clippy::needless_pass_by_value, reason = "it comes from Python")]
    fn new(keys: Vec<String>, first: u64) -> Self {
        Self { run: Shared::new(Run::new(&keys, first)) }
    }

    /// Adds the next records of a file, up to `last`, whose numbers in the log are higher by `before`.
    ///
    /// It adds at most 100,000 records, and returns the number of the record after them.
    #[pyo3(signature = (file, first, last, before))]
    fn add(&self, py: Python<'_>, file: &CaptureFile, first: u64, last: u64, before: u64) -> PyResult<u64> {
        let snapshot = file.snapshot(py)?;
        let mut run = self.run.lock(py)?;
        let run: &mut Run = &mut run;
        let last = last.min(first.saturating_add(MAX_INDEXED - 1));
        let records = snapshot.records_between(first, last);
        let next = py.detach(|| add_all(run, &snapshot, records, before))?;
        py.check_signals()?;
        Ok(next)
    }

    /// Ends the last group, at the end of a file or of the run.
    fn end_group(&self, py: Python<'_>) -> PyResult<()> {
        self.run.lock(py)?.end_group();
        Ok(())
    }

    /// Inserts an earlier run before this one. Raises ValueError if it is damaged.
    #[pyo3(signature = (first, groups, parts))]
    #[expect(clippy::needless_pass_by_value, reason = "they come from Python")]
    fn prepend(&self, py: Python<'_>, first: u64, groups: u32, parts: Vec<Pages>) -> PyResult<()> {
        let mut run = self.run.lock(py)?;
        let run: &mut Run = &mut run;
        py.detach(|| run.prepend(first, groups, &parts)).ok_or_else(damaged)
    }

    /// Returns the number of groups that have ended.
    #[getter]
    fn groups(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.run.lock(py)?.groups())
    }

    /// Returns the first and the last record of each range that could not be read.
    #[getter]
    fn unreadable(&self, py: Python<'_>) -> PyResult<Vec<(u64, u64)>> {
        Ok(self.run.lock(py)?.unreadable.clone())
    }

    /// Returns, for each key, the pages of groups and the pages of hashes.
    fn pages<'py>(&self, py: Python<'py>) -> PyResult<PyPages<'py>> {
        let mut run = self.run.lock(py)?;
        let run: &mut Run = &mut run;
        let parts = py.detach(|| run.pages());
        let as_bytes = |pages: Vec<Vec<u8>>| pages.iter().map(|page| PyBytes::new(py, page)).collect();
        Ok(parts.into_iter().map(|(groups, hashes)| (as_bytes(groups), as_bytes(hashes))).collect())
    }
}

/// Adds records to a run, whose groups end where compressed blocks end. Returns the number of the record after them.
fn add_all(run: &mut Run, snapshot: &Snapshot, mut records: Records, before: u64) -> Result<u64> {
    let mut end_of_group = None;
    loop {
        let number = records.numbers().start;
        if let Some(record) = records.next_cached() {
            run.add(before + number, record);
        } else {
            match records.next() {
                None => return Ok(number),
                Some(Ok(record)) => run.add(before + number, &record),
                Some(Err(error @ Error::Corrupt { .. })) => {
                    run.add_unreadable(before + number).ok_or(error)?;
                }
                Some(Err(error)) => return Err(error),
            }
        }
        if end_of_group.is_none() && run.is_group_full() {
            end_of_group = Some(snapshot.block_of(number).map_or(number, |block| *block.end()));
        }
        if end_of_group.is_some_and(|end| number >= end) {
            run.end_group();
            end_of_group = None;
        }
    }
}

fn damaged() -> PyErr {
    PyValueError::new_err("a page of the index is damaged")
}

/// Finds records of a file or a rotated log by the value of a field; see `CaptureFile.find_all`.
#[pyfunction]
#[pyo3(name = "_find_all", signature = (log, key, value, /))]
pub(super) fn find_all<'py>(
    log: &Bound<'py, PyAny>,
    key: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    log.py().import("capturefile._index.find")?.getattr("find_all")?.call1((log, key, value))
}

/// Returns the hash that a value, given as JSON, shares with equal ones; None if it is not equal to any value.
#[pyfunction]
#[pyo3(name = "_index_hash", signature = (text, /))]
pub(super) fn index_hash(text: &[u8]) -> Option<u64> {
    Value::parse(text).map(|value| value.hash())
}

/// A run and a key of an index: the first record of the run, the name of the key, and the numbers of groups and of pages
/// of hashes.
type PyPart = (u64, String, u64, u64);

fn part_of((first, key, groups, pages): &PyPart) -> PyResult<Part> {
    let spread = Spread { groups: *groups, pages: *pages };
    if spread.is_valid() { Ok(Part::new(*first, key, spread)) } else { Err(damaged()) }
}

/// Returns the number of the page, among those of a part, that has the entries with a hash.
#[pyfunction]
#[pyo3(name = "_index_page", signature = (part, value_hash, /))]
#[expect(clippy::needless_pass_by_value, reason = "it comes from Python")]
pub(super) fn index_page(part: PyPart, value_hash: u64) -> PyResult<u64> {
    Ok(part_of(&part)?.spread.page_of(value_hash))
}

/// Returns which groups of a part may have a value with a hash; raises ValueError if that page is damaged.
#[pyfunction]
#[pyo3(name = "_index_matches", signature = (page, part, value_hash, /))]
#[expect(clippy::needless_pass_by_value, reason = "it comes from Python")]
pub(super) fn index_matches(page: &[u8], part: PyPart, value_hash: u64) -> PyResult<Vec<u32>> {
    let part = part_of(&part)?;
    let number = part.spread.page_of(value_hash);
    groups_with(page, value_hash, part.hashes(number)).ok_or_else(damaged)
}

/// The minimum and the maximum of the values to find, if they are limited.
type Between<T> = (Option<T>, Option<T>);

/// Returns the first and last records of the groups in a page of a part that may have values in an interval.
///
/// With `wanted`, only the groups at these places in the page count. Raises ValueError if the page is damaged.
#[pyfunction]
#[pyo3(name = "_index_groups", signature = (page, part, number, wanted, numbers, texts, /))]
#[expect(clippy::needless_pass_by_value, reason = "it comes from Python")]
pub(super) fn index_groups(
    page: &[u8],
    part: PyPart,
    number: u64,
    wanted: Option<Vec<usize>>,
    numbers: Option<Between<f64>>,
    texts: Option<Between<Vec<u8>>>,
) -> PyResult<Vec<(u64, u64)>> {
    let interval = match (numbers, texts) {
        (Some((low, high)), _) => Some(Interval::Numbers(low, high)),
        (_, Some((low, high))) => Some(Interval::Texts(low, high)),
        (None, None) => None,
    };
    let place = part_of(&part)?.groups(number);
    let (start, groups) = decode_groups(page, place).ok_or_else(damaged)?;
    let start_of = |index: usize| index.checked_sub(1).map_or(start, |before| groups[before].0 + 1);
    let range = |index: usize| {
        let (last, bounds) = groups.get(index)?;
        interval.as_ref().is_none_or(|interval| interval.meets(bounds)).then(|| (start_of(index), *last))
    };
    Ok(match wanted {
        Some(wanted) if wanted.iter().any(|index| *index >= groups.len()) => return Err(damaged()),
        Some(wanted) => wanted.into_iter().filter_map(range).collect(),
        None => (0..groups.len()).filter_map(range).collect(),
    })
}
