//! The methods of the Python class `CaptureFile` about the file as a whole.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::sync::Arc;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use crate::python::convert::{AwareTime, RecordNumber, to_bytes};
use crate::python::iterators::BlockIterator;

use super::CaptureFile;

#[pymethods]
impl CaptureFile {
    /// Shows what has been committed since the object was opened or last refreshed.
    ///
    /// An object that is open for writing sees everything and has nothing to refresh. A reader of an object
    /// store checks whether the file there has been replaced by a longer one.
    ///
    /// Args:
    ///     durable: Sync the disk before returning, so that a power cut cannot roll back the visible state.
    ///
    /// Returns:
    ///     True if there are more records, or different metadata.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The file has been damaged or truncated, or replaced by a different file in an
    ///         object store. The object continues to show the previous state.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> reader = CaptureFile(cf.path)
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> cf.commit()
    ///     >>> reader.refresh(), len(reader)
    ///     (True, 4)
    #[pyo3(signature = (durable=false))]
    fn refresh(&self, py: Python<'_>, durable: bool) -> PyResult<bool> {
        let file = self.file()?;
        let settings = self.settings()?;
        if settings.remote.is_none() {
            return Ok(py.detach(|| file.refresh(durable))?);
        }
        let options = settings.options();
        let (newer, is_news) = py.detach(|| {
            let Some(newer) = file.newer_version(&options)? else {
                return crate::Result::Ok((None, false));
            };
            let (before, after) = (file.snapshot()?, newer.snapshot()?);
            // The metadata of the previous version may be gone with it.
            let is_same = before.record_count() == after.record_count()
                && before.metadata().is_ok_and(|before| {
                    after.metadata().is_ok_and(|after| before.as_deref() == after.as_deref())
                });
            Ok((Some(newer), !is_same))
        })?;
        if let Some(newer) = newer {
            self.open.compare_and_swap(&Some(file), Some(Arc::new(newer)));
        }
        Ok(is_news)
    }

    /// Returns the metadata.
    ///
    /// Returns:
    ///     The metadata, from the same commit as the records or as it was set through this object since; None if
    ///     there is none.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The metadata is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.set_metadata(b"read up to line 17")
    ///     >>> cf.get_metadata()
    ///     b'read up to line 17'
    pub(super) fn get_metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let file = self.file()?;
        let metadata = py.detach(|| file.snapshot()?.metadata())?;
        metadata.map(|metadata| to_bytes(py, &metadata)).transpose()
    }

    /// Returns the sizes and numbers that describe the file.
    ///
    /// Returns:
    ///     An `Info` with the format version, geometry, sizes and counts.
    ///
    /// Raises:
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.info().record_count, cf.info().block_size
    ///     (3, 32768)
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
            snapshot.compression().as_str(),
        ))
    }

    /// Iterates over the blocks that the file consists of now, in file order.
    ///
    /// Blocks that are inflated for this purpose are not cached.
    ///
    /// Returns:
    ///     An iterator over `BlockInfo` objects. Its steps raise InvalidCaptureFile for a damaged block, and for
    ///     damage of the index, which is followed by the blocks whose records are unknown.
    ///
    /// Raises:
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> for block in cf.blocks():
    ///     ...     print(block.records, block.size)
    ///     records 1 to 3 28
    fn blocks(&self, py: Python<'_>) -> PyResult<BlockIterator> {
        Ok(BlockIterator::new(self.snapshot(py)?.blocks(), Arc::clone(self.encoding()?.path())))
    }

    /// Returns the committed records that this object sees as a sequence of fixed length, counted from 0.
    ///
    /// The sequence remains usable when this object is closed. Its slices are views of the same kind, and it can be
    /// sent to other processes.
    ///
    /// Returns:
    ///     A `RecordSequence`; its item 0 is record 1.
    ///
    /// Raises:
    ///     InvalidCaptureFile: The file is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> records = cf.as_sequence()
    ///     >>> records[0], records[-1], len(records[1:])
    ///     ('first', 'third', 2)
    fn as_sequence(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = slf.py();
        py.import("capturefile.sequence")?.getattr("sequence_of")?.call1((slf,))
    }

    /// Finds the first record whose key is not below a value, by bisection; returns its number.
    ///
    /// The keys must ascend from record to record, as times and sequence numbers do, or nearly so.
    ///
    /// Args:
    ///     value: The least key to find.
    ///     key: Called with a record, returns its key; by default the record itself. A record for which it
    ///         returns None has no key, and counts like the next one that has.
    ///     slack: By how much a key may be below an earlier one; by default, not at all. It is subtracted
    ///         from the value, so it is a number if the keys are numbers, or a `timedelta` if they are
    ///         `datetime`s.
    ///
    /// Returns:
    ///     The number of the record, or one more than the record count if every key is below the value.
    ///
    /// Raises:
    ///     InvalidCaptureFile: A record that is needed is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.find("second")
    ///     2
    #[pyo3(signature = (value, /, key=None, *, slack=None))]
    fn find<'py>(
        slf: Bound<'py, Self>,
        value: Bound<'py, PyAny>,
        key: Option<Bound<'py, PyAny>>,
        slack: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("capturefile._bisect")?.getattr("find_in_file")?.call1((slf, value, key, slack))
    }

    /// Iterates over the JSON records in which a field has a value, with their numbers.
    ///
    /// If the file has an index of the field, only blocks that may have the value are read; see `capturefile.index`.
    /// Without one, all records are searched. An outdated index is updated first, if that is possible.
    ///
    /// Args:
    ///     key: Name of the field; `a.b` is field `b` in `a`, or else the field `a.b`.
    ///     value: The value, compared with Python's `==`: 1 equals 1.0 and true.
    ///
    /// Returns:
    ///     An iterator over pairs of record number and record, in order, of the current records.
    ///
    /// Raises:
    ///     InvalidCaptureFile: A record that is needed is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> for number, record in cf.find_all("order", "A17"):
    ///     ...     print(number, record)
    #[pyo3(signature = (key, value))]
    fn find_all<'py>(
        slf: Bound<'py, Self>,
        key: &str,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("capturefile._index.find")?.getattr("find_all")?.call1((slf, key, value))
    }

    /// Returns when a record was committed.
    ///
    /// Times never decrease: after the clock was set back, commits keep the latest time until the clock has
    /// caught up. Only files in format 3 have times.
    ///
    /// Args:
    ///     record_number: Number of the record, from 1.
    ///
    /// Returns:
    ///     The time as an aware `datetime` in UTC, without the fraction of a microsecond; None if the record is not
    ///     committed yet.
    ///
    /// Raises:
    ///     IndexError: There is no such record.
    ///     CaptureFileError: The file is in format 2.
    ///     InvalidCaptureFile: The file is damaged where the record is.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> with CaptureFile("timed.capture", to_write=True, format=3) as timed:
    ///     ...     timed.add_record("first")
    ///     ...     timed.commit()
    ///     ...     timed.commit_time(1).tzinfo
    ///     1
    ///     datetime.timezone.utc
    fn commit_time(&self, py: Python<'_>, record_number: RecordNumber) -> PyResult<Option<SystemTime>> {
        let Some(number) = record_number.positive() else {
            return Err(self.below_the_first(py, record_number)?);
        };
        let snapshot = self.snapshot(py)?;
        Ok(py.detach(|| snapshot.commit_time(number))?)
    }

    /// Returns the number of the first record that was committed at a time or later.
    ///
    /// Args:
    ///     time: The time, as an aware `datetime`.
    ///
    /// Returns:
    ///     The number of the record; None if everything was committed before.
    ///
    /// Raises:
    ///     TypeError: `time` is not an aware `datetime`.
    ///     CaptureFileError: The file is in format 2, which has no times.
    ///     InvalidCaptureFile: The index of the file is damaged.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> with CaptureFile("moments.capture", to_write=True, format=3) as moments:
    ///     ...     moments.add_record("first")
    ///     ...     moments.commit()
    ///     ...     moments.record_number_at(moments.commit_time(1))
    ///     1
    ///     1
    fn record_number_at(&self, py: Python<'_>, time: AwareTime) -> PyResult<Option<u64>> {
        let (snapshot, AwareTime(time)) = (self.snapshot(py)?, time);
        Ok(py.detach(|| snapshot.record_number_at(time))?)
    }
}
