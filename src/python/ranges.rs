//! Many records at once as Python objects: lists, and pairs of buffers.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::exceptions::{PyBufferError, PyMemoryError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMemoryView, PySlice};

use super::convert::{Encoding, RecordNumber};
use super::iterators::next_record;
use super::progress::{RECORDS_PER_CHECK, watched};
use crate::{RecordBuffer, Records, Snapshot};

/// Number of records that do not become Python objects between two checks for Ctrl-C.
const MANY_RECORDS_PER_CHECK: usize = 1 << 20;
/// Number of bytes between two such checks.
const BYTES_PER_CHECK: usize = 16 * 1024 * 1024;

/// A slice in record numbers: `start` up to, and without, `stop` in steps of `step`.
pub(super) struct SliceOfRecords {
    start: u64,
    stop: u64,
    step: i64,
}

impl SliceOfRecords {
    pub(super) fn new(slice: &Bound<'_, PySlice>, count: u64) -> PyResult<Self> {
        let part = |name| slice.getattr(name)?.extract::<Option<RecordNumber>>();
        let step = part("step")?.map_or(1, |step| step.0);
        if step == 0 {
            return Err(PyValueError::new_err("slice step cannot be zero"));
        }
        let (first, end) = if step > 0 { (1, count + 1) } else { (count, 0) };
        let (low, high) = (first.min(end), first.max(end));
        let cut = |number: Option<RecordNumber>, default| {
            number.map_or(default, |number| number.in_file_of(count).clamp(low, high))
        };
        Ok(Self { start: cut(part("start")?, first), stop: cut(part("stop")?, end), step })
    }

    /// Returns the first and the last number, if the slice contains all numbers between them.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        (self.step == 1).then(|| (self.start, self.stop.saturating_sub(1)))
    }

    pub(super) fn numbers(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        let stride = usize::try_from(self.step.unsigned_abs()).unwrap_or(usize::MAX);
        let (low, high) =
            if self.step > 0 { (self.start, self.stop) } else { (self.stop + 1, self.start + 1) };
        let count = high.saturating_sub(low).div_ceil(stride as u64);
        if self.step > 0 {
            list_of(py, (low..high).step_by(stride), count)
        } else {
            list_of(py, (low..high).rev().step_by(stride), count)
        }
    }
}

/// Returns `numbers`, of which there are `count`, as a list.
fn list_of(py: Python<'_>, mut numbers: impl Iterator<Item = u64>, count: u64) -> PyResult<Vec<u64>> {
    let mut list = list_for(count)?;
    while list.len() as u64 != count {
        list.extend(numbers.by_ref().take(MANY_RECORDS_PER_CHECK));
        py.check_signals()?;
    }
    Ok(list)
}

/// Appends a number from an iterable, which may be endless.
pub(super) fn push(py: Python<'_>, numbers: &mut Vec<u64>, number: u64) -> PyResult<()> {
    if numbers.len() == numbers.capacity() {
        let held = numbers.len();
        let message =
            || PyMemoryError::new_err(format!("not enough memory for more than {held} record numbers"));
        let more = held.max(RECORDS_PER_CHECK);
        numbers.try_reserve(more).map_err(|_| message())?;
    }
    if numbers.len().is_multiple_of(RECORDS_PER_CHECK) {
        py.check_signals()?;
    }
    numbers.push(number);
    Ok(())
}

/// Allocates a list of this length; fails if there is no memory for it.
fn list_for<T>(count: u64) -> PyResult<Vec<T>> {
    let mut list = Vec::new();
    let room = usize::try_from(count).ok().and_then(|count| list.try_reserve_exact(count).ok());
    let message = || PyMemoryError::new_err(format!("not enough memory for a list of {count} records"));
    room.map(|()| list).ok_or_else(message)
}

/// Returns all of `records` as a list.
pub(super) fn list<'py>(
    py: Python<'py>,
    encoding: &Encoding,
    mut records: Records,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    while let Some(record) = next_record(py, encoding, &mut records, false)? {
        list.append(encoding.finish(record, records.numbers().start - 1)?)?;
        if list.len() % RECORDS_PER_CHECK == 0 {
            py.check_signals()?;
        }
    }
    Ok(list)
}

/// Returns the records with these numbers as a list, in the requested order.
pub(super) fn gathered<'py>(
    py: Python<'py>,
    encoding: &Encoding,
    snapshot: &Arc<Snapshot>,
    numbers: &[u64],
) -> PyResult<Bound<'py, PyList>> {
    let mut batches = watched(py, None, |callback| snapshot.records_at_with_progress(numbers, callback))?;
    let mut found: Vec<Option<Bound<'py, PyAny>>> = list_for(numbers.len() as u64)?;
    found.resize(numbers.len(), None);
    while let Some(batch) = py.detach(|| batches.next()).transpose()? {
        py.check_signals()?;
        for (index, record) in batch {
            found[index] = Some(encoding.decode(py, &record, numbers[index])?);
        }
    }
    PyList::new(py, found)
}

/// Returns all of `records` as two memory views: where each record starts in the bytes, and finally where the
/// last one ends, as integers of 64 bits; and the bytes.
pub(super) fn buffers(
    py: Python<'_>,
    mut records: Records,
) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyMemoryView>)> {
    let mut packed = RecordBuffer::default();
    while py.detach(|| {
        let enough = packed.record_count() + MANY_RECORDS_PER_CHECK;
        let enough_bytes = packed.bytes().len().saturating_add(BYTES_PER_CHECK);
        records.pack(&mut packed, enough, enough_bytes)
    })? {
        py.check_signals()?;
    }
    let (bytes, offsets) = packed.into_parts();
    let offsets = Buffer(Content::Numbers(offsets)).view(py)?.call_method1("cast", ("q",))?;
    Ok((offsets, Buffer(Content::Bytes(bytes)).view(py)?))
}

/// Memory that Python reads in place.
#[pyclass(frozen)]
struct Buffer(Content);

enum Content {
    Bytes(Vec<u8>),
    Numbers(Vec<i64>),
}

impl Buffer {
    fn view(self, py: Python<'_>) -> PyResult<Bound<'_, PyMemoryView>> {
        PyMemoryView::from(Bound::new(py, self)?.as_any())
    }
}

#[pymethods]
impl Buffer {
    #[expect(unsafe_code, reason = "Python's buffer protocol uses pointers")]
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let (start, size) = match &slf.get().0 {
            Content::Bytes(bytes) => (bytes.as_ptr().cast_mut().cast(), size_of_val(bytes.as_slice())),
            Content::Numbers(numbers) => {
                (numbers.as_ptr().cast_mut().cast(), size_of_val(numbers.as_slice()))
            }
        };
        let size = isize::try_from(size).map_err(|_| PyBufferError::new_err("too large a buffer"))?;
        // SAFETY: the view comes from Python, which fills it by this call, and keeps this object alive for as
        // long as there are views of it. The memory is not changed or moved while the object lives, since it
        // is frozen and exported as read-only.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, size, 1, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}
