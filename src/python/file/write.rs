//! The methods of the Python class `CaptureFile` that write.

#![expect(clippy::doc_markdown, reason = "docstrings are read in Python, without markup")]

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::Commit;
use crate::python::convert::{refuse_one_record, with_bytes};
use crate::python::errors::CaptureFileNotOpen;

use super::CaptureFile;
use super::settings::METADATA_EXPECTED;
use super::transaction::Transaction;

impl CaptureFile {
    fn fill(&self, py: Python<'_>, batch: &mut crate::Batch<'_>, records: &Bound<'_, PyAny>) -> PyResult<()> {
        refuse_one_record(records)?;
        let encoding = self.encoding()?;
        for record in records.try_iter()? {
            encoding.with_record(&record?, |bytes| {
                if batch.try_add(bytes)? {
                    return Ok(());
                }
                Ok(py.detach(|| batch.add(bytes))?)
            })?;
        }
        Ok(())
    }

    /// Calls the hook, whose own errors take nothing from a commit that is done.
    fn tell_of_commit(&self, py: Python<'_>, commit: Commit) {
        let hook = self.commit_hook.load();
        if let Some(hook) = hook.as_ref()
            && let Err(error) = hook.call1(py, (commit.records, commit.bytes, commit.time.as_secs_f64()))
        {
            error.write_unraisable(py, Some(hook.bind(py)));
        }
    }

    fn add<'py>(
        &self,
        py: Python<'py>,
        file: &crate::CaptureFile,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<u64> {
        self.encoding()?.with_record(record, |bytes| match file.try_add_record(bytes)? {
            Some(count) => Ok(count),
            None => Ok(py.detach(|| file.add_record(bytes))?),
        })
    }
}

#[pymethods]
impl CaptureFile {
    /// What was committed through this object since it was opened, or while it was open; see `Stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static STATS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        self.settings()?;
        let stats = match self.open.load_full() {
            Some(file) => py.detach(|| file.stats()),
            None => **self.last_stats.load(),
        };
        STATS.import(py, "capturefile._info", "Stats")?.call1((
            stats.records,
            stats.bytes,
            stats.commits,
            stats.commit_time.as_secs_f64(),
        ))
    }

    /// Has `hook` called after each commit with its records, their bytes, and the seconds that it took; None ends
    /// that.
    #[pyo3(signature = (hook))]
    fn _on_commit(&self, hook: Option<Py<PyAny>>) {
        self.commit_hook.store(hook.map(Arc::new));
    }

    /// The garbage collector has to see a hook, which may hold this object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.commit_hook.load().as_ref() {
            Some(hook) => visit.call(&**hook),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.commit_hook.store(None);
    }

    /// Adds a record; returns the new record count.
    ///
    /// Others see it after `commit()`. `record` is `str`, or anything with the buffer protocol.
    ///
    /// Raises CaptureFileNotOpenForWrite on an object that reads, ValueError if the record is larger than
    /// the format can hold, and OSError if an earlier record could not be written to the disk; nothing of
    /// the failed call remains, and the call may be repeated. A `str` that cannot be encoded raises
    /// UnicodeEncodeError. Anything else than `str` or bytes is a TypeError, also a buffer of objects, pointers,
    /// dates or characters.
    fn add_record<'py>(&self, py: Python<'py>, record: &Bound<'py, PyAny>) -> PyResult<u64> {
        let file = self.quick()?;
        match file.as_ref() {
            Some(file) => self.add(py, file, record),
            None => Err(CaptureFileNotOpen::new_err("not open")),
        }
    }

    /// Adds many records; returns the new record count.
    ///
    /// If one is refused, or the iterable raises, none of this call's records stay. Raises what `add_record`
    /// and the iterable raise.
    ///
    /// The records of a call are added together at its end, whatever other threads do meanwhile. A call with
    /// more than 4 MiB of records adds them as they come instead. If it then fails, and this object was used for
    /// other writing meanwhile (by another thread, or by the iterable itself), that work stays, and so do the
    /// records of this call before it.
    fn add_records<'py>(&self, py: Python<'py>, records: &Bound<'py, PyAny>) -> PyResult<u64> {
        let file = self.file()?;
        let mut batch = py.detach(|| file.batch())?;
        match self.fill(py, &mut batch, records) {
            Ok(()) => Ok(py.detach(|| batch.finish())?),
            Err(error) => {
                py.detach(|| drop(batch));
                Err(error)
            }
        }
    }

    /// Replaces the metadata, from the next commit on; None removes it.
    ///
    /// The metadata is one blob of bytes (anything with the buffer protocol) that belongs to the file as a
    /// whole. It is committed together with the records, so it can say how far their source has been read.
    ///
    /// Raises what `add_record` raises; `str` is a TypeError.
    #[pyo3(signature = (new_metadata))]
    pub(super) fn set_metadata(
        &self,
        py: Python<'_>,
        new_metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let file = self.file()?;
        let Some(metadata) = new_metadata else {
            return Ok(py.detach(|| file.set_metadata(None))?);
        };
        with_bytes(metadata, METADATA_EXPECTED, |bytes| Ok(py.detach(|| file.set_metadata(Some(bytes)))?))
    }

    /// Makes everything since the last commit visible to others and durable, together.
    ///
    /// How durable is up to the setting `sync`. Without anything to commit it does nothing.
    ///
    /// Raises OSError if the disk is full or fails; then nothing of the transaction is visible to others.
    /// With a full disk nothing of it is lost either, and after making room it can be committed again or
    /// rolled back. Raises CommitUncertain, also an OSError, if it failed at a point where the commit may
    /// or may not have happened; opening the file again tells. Raises InvalidCaptureFile if somebody has cut
    /// the file short, and CaptureFileReplaced if it was removed or replaced. After these, and after a sync that
    /// failed, the object refuses further work with CaptureFileError until it is opened again.
    pub(super) fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        if let Some(commit) = py.detach(|| file.commit())? {
            self.tell_of_commit(py, commit);
        }
        Ok(())
    }

    /// Forgets everything since the last commit.
    ///
    /// Raises CaptureFileNotOpenForWrite on an object that reads, and CaptureFileError after a commit that
    /// failed in a way that the object must be opened again.
    pub(super) fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        Ok(py.detach(|| file.rollback())?)
    }

    /// A context manager that commits at the end of its block, and rolls back if the block raises.
    ///
    /// Like `commit()` and `rollback()`, it does so with everything since the last commit. Raises
    /// CaptureFileNotOpenForWrite at the beginning of the block on an object that reads.
    fn transaction(slf: Py<Self>) -> Transaction {
        Transaction { file: slf }
    }
}
