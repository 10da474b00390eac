//! The methods of the Python class `CaptureFile` that read.

#![expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "docstrings are read in Python, without markup"
)]

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMemoryView, PySlice};

use crate::python::arrow::{ArrowRecords, Run};
use crate::python::convert::RecordNumber;
use crate::python::errors::represented;
use crate::python::follower::Follower;
use crate::python::iterators::RecordIterator;
use crate::python::ranges::{self, SliceOfRecords};
use crate::{Error, Lookup, Records, Snapshot};

use super::CaptureFile;

impl CaptureFile {
    fn slice<'py>(&self, py: Python<'py>, slice: &Bound<'py, PySlice>) -> PyResult<Bound<'py, PyList>> {
        let snapshot = self.snapshot(py)?;
        let slice = SliceOfRecords::new(slice, snapshot.record_count())?;
        if let Some((first, last)) = slice.range() {
            return ranges::list(py, self.encoding()?, snapshot.records_between(first, last));
        }
        ranges::gathered(py, self.encoding()?, &snapshot, &slice.numbers(py)?)
    }

    /// Returns the records from `first` to `last`, all of which must exist.
    fn range(&self, py: Python<'_>, first: RecordNumber, last: RecordNumber) -> PyResult<Records> {
        let snapshot = self.snapshot(py)?;
        let (first, last) = self.bounds(py, &snapshot, first, last)?;
        Ok(snapshot.records_between(first, last))
    }

    /// Returns the numbers of these records, all of which must exist; if there are none, `last` is below `first`.
    fn bounds(
        &self,
        py: Python<'_>,
        snapshot: &Snapshot,
        first: RecordNumber,
        last: RecordNumber,
    ) -> PyResult<(u64, u64)> {
        let count = snapshot.record_count();
        let Some(start) = first.positive() else {
            return Err(self.below_the_first(py, first)?);
        };
        let end = u64::try_from(last.0).unwrap_or_default();
        if end < start {
            return Ok((count + 1, count));
        }
        if end > count {
            let path = self.settings()?.path.clone();
            return Err(Error::NoSuchRecord { path, number: start.max(count + 1), count }.into());
        }
        Ok((start, end))
    }

    fn record<'py>(&self, py: Python<'py>, number: RecordNumber) -> PyResult<Bound<'py, PyAny>> {
        let file = self.quick()?;
        let Some(number) = number.positive() else {
            return Err(self.below_the_first(py, number)?);
        };
        if let Some(snapshot) = file.as_ref().and_then(|file| file.try_snapshot()) {
            let record = match snapshot.record_cached(number)? {
                Lookup::Found(record) => record,
                Lookup::Stuck(stuck) => {
                    let snapshot = Arc::clone(&snapshot);
                    py.detach(|| snapshot.resume(&stuck))?
                }
            };
            return self.encoding()?.decode(py, &record, number);
        }
        let file = self.file()?;
        let record = py.detach(|| file.snapshot()?.record(number))?;
        self.encoding()?.decode(py, &record, number)
    }

    /// Returns the error for a number that no record has, as the caller gave it.
    pub(super) fn below_the_first(&self, py: Python<'_>, number: RecordNumber) -> PyResult<PyErr> {
        let (name, count) = (self.name()?, self.record_count(py)?);
        let number = number.0;
        Ok(PyIndexError::new_err(format!(
            "record {number} does not exist in {name}, which has {count} records, numbered from 1"
        )))
    }
}

/// Converts seconds to a duration; `None` means for ever.
pub(super) fn waiting_time(seconds: f64) -> PyResult<Option<Duration>> {
    if seconds.is_nan() || seconds < 0.0 {
        let message = format!("timeout cannot be {seconds}: it must be a number of seconds, at least 0");
        return Err(PyValueError::new_err(message));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

#[pymethods]
impl CaptureFile {
    /// The encoding of the records, as it was given, or None if records are `bytes` or there is a codec.
    #[getter(encoding)]
    pub(super) fn get_encoding(&self) -> PyResult<Option<&str>> {
        Ok(self.settings()?.chosen.encoding.as_deref())
    }

    /// The codec of the records, as it was given, or None if they are `str` or `bytes`.
    #[getter(codec)]
    fn get_codec(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.settings()?.chosen.codec.as_ref().map(|objects| objects.codec().clone_ref(py)))
    }

    /// Reads one record by its number.
    ///
    /// `cf[record_number]` does the same; it also takes slices, and negative numbers, which count from the end.
    ///
    /// Args:
    ///     record_number: Number of the record, counted from 1.
    ///
    /// Returns:
    ///     The record, as `str`, or as `bytes` if the encoding is None.
    ///
    /// Raises:
    ///     IndexError: The number is below 1 or past the last record.
    ///     InvalidCaptureFile: The record is damaged.
    ///     UnicodeDecodeError: The record is not text in the file's encoding, and no `errors` were given.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.record_at(2)
    ///     'second'
    pub(super) fn record_at<'py>(
        &self,
        py: Python<'py>,
        record_number: RecordNumber,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.record(py, record_number)
    }

    /// Reads records by their numbers, inflating each block once.
    ///
    /// Args:
    ///     numbers: Numbers of records, counted from 1, in any order.
    ///
    /// Returns:
    ///     A list of the records, in the order of `numbers`.
    ///
    /// Raises:
    ///     IndexError: A number is below 1 or past the last record.
    ///     InvalidCaptureFile: A record is damaged.
    ///     UnicodeDecodeError: A record is not text in the file's encoding, and no `errors` were given.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.records_at([3, 1])
    ///     ['third', 'first']
    fn records_at<'py>(&self, py: Python<'py>, numbers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let asked = numbers.try_iter()?;
        let mut numbers = Vec::new();
        for number in asked {
            let number = number?.extract::<RecordNumber>()?;
            let Some(found) = number.positive() else {
                return Err(self.below_the_first(py, number)?);
            };
            ranges::push(py, &mut numbers, found)?;
        }
        let snapshot = self.snapshot(py)?;
        ranges::gathered(py, self.encoding()?, &snapshot, &numbers)
    }

    /// Reads consecutive records.
    ///
    /// Args:
    ///     first_record_number: Number of the first record, counted from 1.
    ///     last_record_number: Number of the last record, which is included.
    ///
    /// Returns:
    ///     A list of the records, empty if the last number is below the first.
    ///
    /// Raises:
    ///     IndexError: The range is not empty, and reaches below 1 or past the last record.
    ///     InvalidCaptureFile: A record is damaged.
    ///     UnicodeDecodeError: A record is not text in the file's encoding, and no `errors` were given.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.read_range(1, 2)
    ///     ['first', 'second']
    fn read_range<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<Bound<'py, PyList>> {
        let records = self.range(py, first_record_number, last_record_number)?;
        ranges::list(py, self.encoding()?, records)
    }

    /// Reads consecutive records into two buffers, without decoding them or creating an object for each.
    ///
    /// NumPy, Arrow and other users of the buffer protocol accept both buffers without copying.
    ///
    /// Args:
    ///     first_record_number: Number of the first record, counted from 1.
    ///     last_record_number: Number of the last record, which is included.
    ///
    /// Returns:
    ///     `(offsets, data)`. `data` is a memoryview of the bytes of all records, back to back. `offsets` is a
    ///     memoryview of signed 64-bit integers, one more than there are records: record i of the range, counted
    ///     from 0, is `data[offsets[i]:offsets[i + 1]]`.
    ///
    /// Raises:
    ///     IndexError: The range is not empty, and reaches below 1 or past the last record.
    ///     InvalidCaptureFile: A record is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> offsets, data = cf.read_range_buffers(1, 2)
    ///     >>> offsets.tolist(), bytes(data)
    ///     ([0, 5, 11], b'firstsecond')
    fn read_range_buffers<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyMemoryView>)> {
        ranges::buffers(py, self.range(py, first_record_number, last_record_number)?)
    }

    /// Returns consecutive records as a table for any consumer of Arrow data; see `ArrowRecords`.
    ///
    /// Nothing is read yet. The table never changes, and remains usable when this object is closed.
    ///
    /// Args:
    ///     first_record_number: Number of the first record, counted from 1.
    ///     last_record_number: Number of the last record, which is included; by default the last one that exists
    ///         now.
    ///     text: Return the records as strings, which requires them to be UTF-8, instead of bytes.
    ///
    /// Returns:
    ///     The table. It is empty if the last number is below the first, or if no last number is given and the
    ///     first is past the end.
    ///
    /// Raises:
    ///     IndexError: The range is not empty, and reaches below 1 or past the last record.
    ///     ValueError: `text` is true, and the encoding of the file is neither UTF-8 nor None.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> import pyarrow
    ///     >>> pyarrow.table(cf.as_arrow(2, text=True)).to_pylist()
    ///     [{'record_number': 2, 'record': 'second'}, {'record_number': 3, 'record': 'third'}]
    #[pyo3(
        signature = (first_record_number=RecordNumber(1), last_record_number=None, *, text=false),
        text_signature = "($self, first_record_number=1, last_record_number=None, *, text=False)"
    )]
    fn as_arrow(
        &self,
        py: Python<'_>,
        first_record_number: RecordNumber,
        last_record_number: Option<RecordNumber>,
        text: bool,
    ) -> PyResult<ArrowRecords> {
        let snapshot = self.snapshot(py)?;
        let end = || RecordNumber(i64::try_from(snapshot.record_count()).unwrap_or(i64::MAX));
        let last = last_record_number.unwrap_or_else(end);
        let (first, last) = self.bounds(py, &snapshot, first_record_number, last)?;
        let is_utf8 = !self.encoding()?.is_other_than_utf8();
        let place = represented(py, self.settings()?.name());
        ArrowRecords::new(vec![Run::between(snapshot, first, last)], first, place, text, is_utf8)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = key.cast::<PySlice>() {
            return Ok(self.slice(py, slice)?.into_any());
        }
        let number: RecordNumber = key.extract()?;
        if number.0 >= 0 {
            return self.record(py, number);
        }
        let found = number.in_file_of(self.record_count(py)?);
        if found == 0 {
            return Err(self.below_the_first(py, number)?);
        }
        self.record(py, RecordNumber(i64::try_from(found).unwrap_or(i64::MAX)))
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<RecordIterator> {
        self.record_generator(py, RecordNumber(1))
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<RecordIterator> {
        let records = self.snapshot(py)?.records(1);
        Ok(RecordIterator::new(records, self.encoding()?.clone(), true))
    }

    /// Iterates over the records that exist now, in order.
    ///
    /// The iterator covers exactly these records, even if more are added, or the object is refreshed, rolled back
    /// or closed meanwhile. It is empty if it starts past the last one. `iter(cf)` starts at record 1, and
    /// `reversed(cf)` iterates from the last record to the first.
    ///
    /// Args:
    ///     starting_record_number: Number of the first record to return, counted from 1.
    ///
    /// Returns:
    ///     An iterator over the records.
    ///
    /// Raises:
    ///     IndexError: `starting_record_number` is below 1.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> list(cf.record_generator(2))
    ///     ['second', 'third']
    #[pyo3(
        signature = (starting_record_number=RecordNumber(1)),
        text_signature = "($self, starting_record_number=1)"
    )]
    pub(super) fn record_generator(
        &self,
        py: Python<'_>,
        starting_record_number: RecordNumber,
    ) -> PyResult<RecordIterator> {
        let Some(first) = starting_record_number.positive() else {
            return Err(self.below_the_first(py, starting_record_number)?);
        };
        let records = self.snapshot(py)?.records(first);
        Ok(RecordIterator::new(records, self.encoding()?.clone(), false))
    }

    /// Iterates over committed records and then waits for new ones, from any writer.
    ///
    /// Waiting takes little processor time: within a second of a commit, the iterator checks again after at
    /// most a millisecond, and later after at most 20 milliseconds or, on Linux, as soon as this library
    /// commits. It never returns part of a commit, and `operator.length_hint` returns the number of records
    /// that are available. The state that this object itself shows does not change.
    ///
    /// Args:
    ///     start: Number of the first record, counted from 1; by default the first one that this object does not
    ///         see yet.
    ///     timeout: Seconds without a new record after which the iteration ends; by default it waits for
    ///         ever. It also ends when this object, which it keeps alive, or the iterator itself is closed.
    ///
    /// Returns:
    ///     An iterator. Its steps raise CaptureFileReplaced, after the last record, if the file was removed or
    ///     replaced; InvalidCaptureFile if it was truncated; and the exceptions of `record_at` and `refresh`.
    ///
    /// Raises:
    ///     IndexError: `start` is below 1.
    ///     ValueError: `timeout` is negative or not a number.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> for record in cf.follow(2, timeout=0):
    ///     ...     print(record)
    ///     second
    ///     third
    #[pyo3(signature = (start=None, timeout=None))]
    fn follow(
        slf: &Bound<'_, Self>,
        start: Option<RecordNumber>,
        timeout: Option<f64>,
    ) -> PyResult<Follower> {
        let (py, this) = (slf.py(), slf.get());
        let file = this.file()?;
        let start = match start {
            Some(number) => match number.positive() {
                Some(start) => start,
                None => return Err(this.below_the_first(py, number)?),
            },
            None => this.record_count(py)? + 1,
        };
        let timeout = timeout.map(waiting_time).transpose()?.flatten();
        Follower::new(slf.as_any(), &file, start, this.encoding()?.clone(), timeout)
    }
}
