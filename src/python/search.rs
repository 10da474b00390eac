//! Searching records with a regular expression, or for a value of a field, without a Python object for records
//! that do not match.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regex::bytes::{Regex, RegexBuilder};

use super::convert::to_bytes;
use super::file::CaptureFile;
use super::shared::Shared;
use crate::field_index::json::FieldPath;
use crate::field_index::value::Value;
use crate::{Error, Records, Result};

/// Maximum number of records that are examined before signals are checked.
const MAX_SCANNED: u64 = 100_000;
/// Maximum number of records that are handed over together.
const MAX_FOUND: usize = 1000;
/// Maximum number of bytes that are handed over together.
const MAX_FOUND_BYTES: usize = 1024 * 1024;

/// A regular expression in the syntax of Rust's crate regex, for bytes that are mostly UTF-8.
#[pyclass(frozen, name = "_Pattern", module = "capturefile._capturefile")]
pub(super) struct Pattern {
    regex: Arc<Regex>,
}

#[pymethods]
impl Pattern {
    /// Raises ValueError if `pattern` is not a regular expression, or is too large.
    #[new]
    #[pyo3(signature = (pattern, *, ignore_case))]
    fn new(pattern: &str, ignore_case: bool) -> PyResult<Self> {
        let built = RegexBuilder::new(pattern).case_insensitive(ignore_case).build();
        let regex = built.map_err(|error| {
            let message = error.to_string();
            PyValueError::new_err(message.lines().last().unwrap_or_default().trim().to_owned())
        })?;
        Ok(Self { regex: Arc::new(regex) })
    }

    /// Returns whether the pattern is found in `record`.
    fn is_in(&self, record: &[u8]) -> bool {
        self.regex.is_match(record)
    }

    /// Returns the start and the end of each match in `record` that is not empty.
    fn spans(&self, record: &[u8]) -> Vec<(usize, usize)> {
        let found = self.regex.find_iter(record).map(|found| (found.start(), found.end()));
        found.filter(|(start, end)| start < end).collect()
    }

    /// Searches the records `first` to `last` of a file, or with `invert` for those without a match.
    #[pyo3(signature = (file, first, last, *, invert))]
    fn search(
        &self,
        py: Python<'_>,
        file: &CaptureFile,
        first: u64,
        last: u64,
        invert: bool,
    ) -> PyResult<Search> {
        Search::new(py, file, first, last, Wanted::Pattern { regex: Arc::clone(&self.regex), invert })
    }
}

/// A field of JSON records, by its name; `a.b` is field `b` in `a`, or else the field `a.b`.
#[pyclass(frozen, name = "_IndexKey", module = "capturefile._capturefile")]
pub(super) struct IndexKey {
    path: Arc<FieldPath>,
}

#[pymethods]
impl IndexKey {
    #[new]
    #[pyo3(signature = (name))]
    fn new(name: &str) -> Self {
        Self { path: Arc::new(FieldPath::new(name)) }
    }

    /// Searches the records `first` to `last` of a file for those whose field may have a value with this hash.
    ///
    /// With None, it searches for those that may have the field. Whether they do has to be checked.
    #[pyo3(signature = (file, first, last, value_hash))]
    fn search(
        &self,
        py: Python<'_>,
        file: &CaptureFile,
        first: u64,
        last: u64,
        value_hash: Option<u64>,
    ) -> PyResult<Search> {
        Search::new(py, file, first, last, Wanted::Field { path: Arc::clone(&self.path), value_hash })
    }
}

/// Iterates over the matches, in lists of numbers and records, some of which may be empty.
///
/// A step raises InvalidCaptureFile for a record that cannot be read; the next step continues after it.
#[pyclass(frozen, name = "_Search", module = "capturefile._capturefile")]
pub(super) struct Search {
    scan: Shared<Scan>,
}

type Found<'py> = Vec<(u64, Bound<'py, PyBytes>)>;

#[pymethods]
impl Search {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Found<'py>>> {
        py.check_signals()?;
        let mut guard = self.scan.lock(py)?;
        let scan: &mut Scan = &mut guard;
        if scan.is_done() {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut size = 0;
        py.detach(|| {
            scan.step(|number, record| {
                found.push((number, record.to_vec()));
                size += record.len();
                found.len() < MAX_FOUND && size < MAX_FOUND_BYTES
            })
        })?;
        found
            .into_iter()
            .map(|(number, record)| Ok((number, to_bytes(py, &record)?)))
            .collect::<PyResult<_>>()
            .map(Some)
    }

    /// Counts the matches in the next records, up to `limit`; None at the end. Raises the exceptions of a step.
    fn count(&self, py: Python<'_>, limit: u64) -> PyResult<Option<u64>> {
        py.check_signals()?;
        let mut guard = self.scan.lock(py)?;
        let scan: &mut Scan = &mut guard;
        if scan.is_done() {
            return Ok(None);
        }
        let mut count = 0;
        py.detach(|| {
            scan.step(|_, _| {
                count += 1;
                count < limit
            })
        })?;
        Ok(Some(count))
    }

    /// Returns the number of the record that is examined next.
    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.scan.lock(py)?.records.numbers().start)
    }
}

impl Search {
    fn new(py: Python<'_>, file: &CaptureFile, first: u64, last: u64, wanted: Wanted) -> PyResult<Self> {
        let records = file.snapshot(py)?.records_between(first, last);
        Ok(Self { scan: Shared::new(Scan { records, wanted, unreadable: None }) })
    }
}

/// What is searched for.
enum Wanted {
    Pattern { regex: Arc<Regex>, invert: bool },
    Field { path: Arc<FieldPath>, value_hash: Option<u64> },
}

impl Wanted {
    fn is_in(&self, record: &[u8]) -> bool {
        match self {
            Self::Pattern { regex, invert } => regex.is_match(record) != *invert,
            Self::Field { path, value_hash } => {
                let mut is_found = false;
                path.values(record, &mut |text| {
                    is_found |= value_hash
                        .is_none_or(|wanted| Value::parse(text).is_some_and(|value| value.hash() == wanted));
                });
                is_found
            }
        }
    }
}

struct Scan {
    records: Records,
    wanted: Wanted,
    /// The error of the last record, which is reported after the matches before it.
    unreadable: Option<Error>,
}

impl Scan {
    fn is_done(&self) -> bool {
        self.unreadable.is_none() && self.records.remaining() == 0
    }

    /// Examines more records, and passes matches to `take` until it has enough.
    fn step(&mut self, mut take: impl FnMut(u64, &[u8]) -> bool) -> Result<()> {
        if let Some(error) = self.unreadable.take() {
            return Err(error);
        }
        let end = self.records.numbers().start.saturating_add(MAX_SCANNED);
        let mut continues = true;
        while continues {
            let number = self.records.numbers().start;
            if number >= end {
                break;
            }
            let wanted = |record: &[u8]| self.wanted.is_in(record);
            if let Some(record) = self.records.next_cached() {
                continues = !wanted(record) || take(number, record);
                continue;
            }
            match self.records.next() {
                None => break,
                Some(Ok(record)) => continues = !wanted(&record) || take(number, &record),
                Some(Err(error)) => {
                    self.unreadable = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }
}
