//! The methods of the Python class `CaptureFile` that read.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice, PyType};

use crate::python::arrow::{ArrowRecords, Run};
use crate::python::convert::{RecordNumber, to_bytes};
use crate::python::follower::Follower;
use crate::python::iterators::{BlockIterator, RecordIterator};
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

    /// The records from `first` to `last`, all of which must be there.
    fn range(&self, py: Python<'_>, first: RecordNumber, last: RecordNumber) -> PyResult<Records> {
        let snapshot = self.snapshot(py)?;
        let (first, last) = self.bounds(py, &snapshot, first, last)?;
        Ok(snapshot.records_between(first, last))
    }

    /// The numbers of these records, all of which must be there; where there are none, `last` is below `first`.
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

    /// The error for a number that no record has, as the caller gave it.
    fn below_the_first(&self, py: Python<'_>, number: RecordNumber) -> PyResult<PyErr> {
        let (name, count) = (self.name()?, self.record_count(py)?);
        let number = number.0;
        Ok(PyIndexError::new_err(format!(
            "record {number} does not exist in {name}, which has {count} records, numbered from 1"
        )))
    }
}

/// How long `seconds` are; `None` where that is for ever.
fn waiting_time(seconds: f64) -> PyResult<Option<Duration>> {
    if seconds.is_nan() || seconds < 0.0 {
        let message = format!("timeout cannot be {seconds}: it must be a number of seconds, from 0 up");
        return Err(PyValueError::new_err(message));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

#[pymethods]
impl CaptureFile {
    /// Record `record_number`, counted from 1; `cf[record_number]` is the same, and also takes negative
    /// numbers, which count from the end, and slices.
    ///
    /// Raises IndexError below 1 and past the end, InvalidCaptureFile if the record is damaged, and
    /// UnicodeDecodeError if it is not text in the file's encoding and `errors` does not say what to do then.
    pub(super) fn record_at<'py>(
        &self,
        py: Python<'py>,
        record_number: RecordNumber,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.record(py, record_number)
    }

    /// A list of the records with the given numbers, in the order asked; each block is inflated once.
    ///
    /// Raises IndexError if a number is below 1 or past the end; otherwise as `record_at`.
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

    /// A list of the records from `first_record_number` to `last_record_number`, both included.
    ///
    /// It is empty if the last number is below the first. Raises IndexError, where there are records asked
    /// for, if one of them is below 1 or past the end; otherwise as `record_at`.
    fn read_range<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<Bound<'py, PyList>> {
        let records = self.range(py, first_record_number, last_record_number)?;
        ranges::list(py, self.encoding()?, records)
    }

    /// The records of `read_range`, not decoded, as two buffers `(offsets, data)` without an object for each.
    ///
    /// `data` is a memoryview of the bytes of all records, one behind the other. `offsets` is a memoryview of
    /// signed 64-bit integers, one more than there are records: record i of the range, counted from 0, is
    /// `data[offsets[i]:offsets[i + 1]]`. NumPy, Arrow and whatever else knows the buffer protocol take both
    /// without copying. Raises what `read_range` raises, but UnicodeDecodeError.
    fn read_range_buffers<'py>(
        &self,
        py: Python<'py>,
        first_record_number: RecordNumber,
        last_record_number: RecordNumber,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyMemoryView>)> {
        ranges::buffers(py, self.range(py, first_record_number, last_record_number)?)
    }

    /// The records from `first_record_number` to `last_record_number`, both included, or to the last there is now,
    /// as a table for whatever takes Arrow data: `pyarrow.table(cf.as_arrow())`; see `ArrowRecords`.
    ///
    /// Nothing is read yet. What it stands for never changes, and it lives on when this object is closed. It is
    /// empty if the last number is below the first, and, where no last number is given, if the first is past the
    /// end. With `text`, the records are strings, and have to be UTF-8; otherwise they are bytes.
    ///
    /// Raises IndexError, where there are records asked for, if one of them is below 1 or past the end, and
    /// ValueError if there is to be text of a file whose encoding is another than UTF-8 or None.
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
        ArrowRecords::new(vec![Run::between(snapshot, first, last)], first, self.name()?, text, is_utf8)
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

    /// Iterates over the records there are now, from `starting_record_number` to the last.
    ///
    /// It continues over these records even while more are added, or while the object is refreshed, rolled
    /// back or closed; there is nothing to give if it starts past the last one. `iter(cf)` starts at record
    /// 1, and `reversed(cf)` goes from the last to the first.
    ///
    /// Raises IndexError if `starting_record_number` is below 1.
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

    /// Iterates over committed records and continues with those that are committed later, by anybody.
    ///
    /// It waits for them without burning the processor: it looks again within a millisecond in the second after
    /// there was something new, and later within 20 or, on Linux, as soon as this library commits something. It never
    /// gives half a commit, and `operator.length_hint` says how many records it has at hand. What this object itself
    /// sees does not change.
    ///
    /// Arguments:
    ///     start: number of the first record; by default the first that this object does not see yet.
    ///     timeout: seconds without news after which it ends; by default it waits for ever. It also ends
    ///         when this object is closed, which it keeps alive, or when it is closed itself.
    ///
    /// Raises IndexError if `start` is below 1, and ValueError if `timeout` is negative or not a number. While
    /// it continues it raises CaptureFileReplaced, once there are no more records, if another file stands under
    /// the name by then, or none; InvalidCaptureFile if the file has been cut short; and what `record_at` and
    /// `refresh` raise.
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

    /// Looks at what has been committed since; returns True if there are more records to see, or other
    /// metadata.
    ///
    /// With `durable`, the disk is synced before it returns, so that what is seen cannot be rolled back by
    /// a power cut. An object that is open for writing sees everything and has nothing to refresh.
    ///
    /// Raises InvalidCaptureFile if the file has been damaged or replaced by something shorter; the object
    /// then continues to show what it showed before.
    #[pyo3(signature = (durable=false))]
    fn refresh(&self, py: Python<'_>, durable: bool) -> PyResult<bool> {
        let file = self.file()?;
        Ok(py.detach(|| file.refresh(durable))?)
    }

    /// The metadata as `bytes`, or None; of the same commit as the records, or as it was set here since.
    pub(super) fn get_metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let file = self.file()?;
        let metadata = py.detach(|| file.snapshot()?.metadata())?;
        metadata.map(|metadata| to_bytes(py, &metadata)).transpose()
    }

    /// The sizes and numbers that describe the file; see `Info`.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static INFO: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let file = self.file()?;
        let snapshot = self.snapshot(py)?;
        let (metadata, file_size) =
            py.detach(|| crate::Result::Ok((snapshot.metadata()?, file.file_size()?)))?;
        let geometry = snapshot.geometry();
        INFO.import(py, "capturefile._info", "Info")?.call1((
            geometry.version,
            geometry.page_size,
            geometry.block_size,
            geometry.fan_out,
            snapshot.serial_number(),
            snapshot.record_count(),
            snapshot.tree_height(),
            snapshot.file_limit(),
            file_size,
            snapshot.pending_bytes(),
            metadata.map(|metadata| metadata.len()),
        ))
    }

    /// Iterates over the blocks that the file consists of now, in the order in which they stand there; see
    /// `BlockInfo`.
    ///
    /// What is inflated for that is not kept. Raises InvalidCaptureFile, while it continues, if a block is damaged.
    fn blocks(&self, py: Python<'_>) -> PyResult<BlockIterator> {
        Ok(BlockIterator::new(self.snapshot(py)?.blocks(), Arc::clone(self.encoding()?.path())))
    }

    /// The records that are committed and seen here, as a sequence counted from 0 whose length never changes;
    /// see `capturefile.RecordSequence`.
    ///
    /// It lives on when this object is closed. Its slices are views of the same kind, and it can be passed to other
    /// processes. Raises what `refresh` raises.
    fn as_sequence(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = slf.py();
        py.import("capturefile.sequence")?.getattr("_sequence_of")?.call1((slf,))
    }

    /// A reading object over the same open file, with its own idea of what is new. It outlives this one.
    fn _observer(&self, py: Python<'_>) -> PyResult<Self> {
        let settings = self.settings()?.clone();
        let file = self.file()?;
        let observer = Self::unopened();
        observer.open.store(Some(Arc::new(py.detach(|| file.reader())?)));
        // A new cell is empty.
        let _ = observer.settings.set(settings);
        Ok(observer)
    }

    /// The numbers of the first and the last record that are compressed together with record `record_number`.
    fn _block_of(&self, py: Python<'_>, record_number: RecordNumber) -> PyResult<(u64, u64)> {
        let Some(number) = record_number.positive() else {
            return Err(self.below_the_first(py, record_number)?);
        };
        let snapshot = self.snapshot(py)?;
        let block = py.detach(|| snapshot.block_of(number))?;
        Ok(block.into_inner())
    }
}
