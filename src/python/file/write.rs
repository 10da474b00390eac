//! The methods of the Python class `CaptureFile` that write.

#![expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "docstrings are read in Python, without markup"
)]

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::Commit;
use crate::python::convert::{refuse_one_record, with_bytes};
use crate::python::errors::CaptureFileNotOpen;

use super::CaptureFile;
use super::settings::METADATA_EXPECTED;
use super::ticket::CommitTicket;
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

    /// Calls the hook, whose own errors do not affect the commit, which is done.
    fn tell_of_commit(&self, py: Python<'_>, commit: Commit) {
        let hook = self.commit_hook.load();
        if let Some(hook) = hook.as_ref()
            && let Err(error) = hook.call1(py, (commit.records, commit.bytes, commit.time.as_secs_f64()))
        {
            error.write_unraisable(py, Some(hook.bind(py)));
        }
    }

    /// Calls the hook for started commits that are done.
    pub(super) fn tell_of_started_commits(&self, py: Python<'_>) {
        if self.commit_hook.load().is_none() {
            return;
        }
        let Some(file) = self.open.load_full() else { return };
        let commits = py.detach(|| file.started_commits());
        for commit in commits {
            self.tell_of_commit(py, commit);
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
    /// Returns the totals of the commits through this object since it was opened.
    ///
    /// A closed object returns the totals at the time of closing.
    ///
    /// Returns:
    ///     A `Stats` with the number of records, bytes and commits, and the time that the commits took.
    ///
    /// Examples:
    ///     >>> cf.stats().records, cf.stats().bytes, cf.stats().commits
    ///     (3, 16, 1)
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

    /// The garbage collector has to see the hook, which may refer to this object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.commit_hook.load().as_ref() {
            Some(hook) => visit.call(&**hook),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.commit_hook.store(None);
    }

    /// Adds a record, which others see after `commit()`.
    ///
    /// If the call fails, it has no effect, and may be repeated.
    ///
    /// Args:
    ///     record: `str`, or an object with the buffer protocol; with a codec, any object that it encodes.
    ///
    /// Returns:
    ///     The new number of records, which is the number of this record.
    ///
    /// Raises:
    ///     CaptureFileNotOpenForWrite: The object is open for reading.
    ///     CaptureFileNotOpen: The object is closed.
    ///     ValueError: The record is larger than the format can hold.
    ///     OSError: An earlier record could not be written to the disk.
    ///     UnicodeEncodeError: The `str` cannot be encoded, and no `errors` were given.
    ///     TypeError: The record is neither `str` nor bytes-like, or a buffer of objects, pointers, dates or
    ///         characters.
    ///
    /// Examples:
    ///     >>> cf.add_record("fourth")
    ///     4
    fn add_record<'py>(&self, py: Python<'py>, record: &Bound<'py, PyAny>) -> PyResult<u64> {
        let file = self.quick()?;
        match file.as_ref() {
            Some(file) => self.add(py, file, record),
            None => Err(CaptureFileNotOpen::new_err("not open")),
        }
    }

    /// Adds many records.
    ///
    /// If one of them is refused, or the iterable raises, none of this call's records is added. The records
    /// of a call are added together at its end, whatever other threads do meanwhile.
    ///
    /// A call with more than 4 MiB of records adds them as they arrive instead. If it then fails, and this
    /// object was used for other writing meanwhile, by another thread or by the iterable itself, that work
    /// remains, and so do the records of this call before it.
    ///
    /// Args:
    ///     records: Records, each as for `add_record`.
    ///
    /// Returns:
    ///     The new number of records, which is the number of the last one.
    ///
    /// Raises:
    ///     CaptureFileNotOpenForWrite: The object is open for reading.
    ///     CaptureFileNotOpen: The object is closed.
    ///     ValueError: A record is larger than the format can hold.
    ///     OSError: An earlier record could not be written to the disk.
    ///     UnicodeEncodeError: A `str` cannot be encoded, and no `errors` were given.
    ///     TypeError: A record is neither `str` nor bytes-like, as for `add_record`.
    ///
    /// Examples:
    ///     >>> cf.add_records(["fourth", "fifth"])
    ///     5
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

    /// Replaces the metadata, from the next commit on.
    ///
    /// The metadata is one blob of bytes that belongs to the file as a whole. It is committed together with the
    /// records, so it can record, for example, how far their source has been read.
    ///
    /// Args:
    ///     new_metadata: An object with the buffer protocol, or None to remove the metadata.
    ///
    /// Raises:
    ///     CaptureFileNotOpenForWrite: The object is open for reading.
    ///     CaptureFileNotOpen: The object is closed.
    ///     ValueError: The metadata is larger than the format can hold.
    ///     OSError: An earlier record could not be written to the disk.
    ///     TypeError: The metadata is `str`, or not bytes-like.
    ///
    /// Examples:
    ///     >>> cf.set_metadata(b"read up to line 17")
    ///     >>> cf.commit()
    ///     >>> CaptureFile(cf.path).metadata
    ///     b'read up to line 17'
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

    /// Makes everything since the last commit visible to others and durable, all at once.
    ///
    /// The setting `sync` determines how durable it is. With nothing to commit, the call does nothing.
    ///
    /// Records that several threads have added become one commit, whichever of them calls. While a commit
    /// waits for the disk, other threads can add records, and their calls of `commit` share the next commit;
    /// each returns once everything that was added before it is committed, or raises the error of the commit
    /// that contained it.
    ///
    /// If the disk is full, nothing is lost: after making room, the transaction can be committed again or rolled
    /// back. After InvalidCaptureFile, CaptureFileReplaced, or a failed sync, the object refuses further work with
    /// CaptureFileError until it is opened again.
    ///
    /// Raises:
    ///     OSError: The disk is full or fails. Nothing of the transaction is visible to others. Also the
    ///         error of an earlier started commit that no ticket has raised; then nothing is committed.
    ///     CommitUncertain: The commit failed at a point where it may or may not have happened; opening the
    ///         file again shows which.
    ///     InvalidCaptureFile: The file has been truncated.
    ///     CaptureFileReplaced: The file was removed or replaced.
    ///     CaptureFileNotOpenForWrite: The object is open for reading.
    ///     CaptureFileNotOpen: The object is closed.
    ///
    /// Examples:
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> cf.commit()
    ///     >>> CaptureFile(cf.path)[-1]
    ///     'fourth'
    pub(super) fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        let committed = py.detach(|| file.commit());
        self.tell_of_started_commits(py);
        if let Some(commit) = committed? {
            self.tell_of_commit(py, commit);
        }
        Ok(())
    }

    /// Starts a commit of everything since the last one, and returns while it is in progress.
    ///
    /// The commit contains everything that was added before the call. Of what is added later, up to the next
    /// call of this method or of `commit`, it contains all or nothing. Commits happen in the order in which
    /// they are started, on a separate thread; those that are started while one is in progress share the next
    /// one. At most 64 are in progress at a time; beyond that, the call waits.
    ///
    /// If one fails, all others in progress fail too: their tickets raise the error, and their records are
    /// part of the open transaction again. An error that no ticket has raised is raised by the next call of
    /// this method, of `commit` or of `close`.
    ///
    /// `close` and `rollback` wait for started commits. A process that ends without calling one of them may
    /// lose these commits.
    ///
    /// Returns:
    ///     The ticket, by which to wait for the commit.
    ///
    /// Raises:
    ///     OSError: As for `commit`; also the error of an earlier started commit.
    ///     CaptureFileError: As for `commit`; likewise.
    ///
    /// Examples:
    ///     >>> tickets = []
    ///     >>> for record in ("fourth", "fifth"):
    ///     ...     number = cf.add_record(record)
    ///     ...     tickets.append(cf.start_commit())
    ///     >>> [ticket.result() for ticket in tickets]
    ///     [4, 5]
    fn start_commit(&self, py: Python<'_>) -> PyResult<CommitTicket> {
        let file = self.file()?;
        let ticket = py.detach(|| file.start_commit());
        self.tell_of_started_commits(py);
        Ok(CommitTicket { ticket: ticket? })
    }

    /// Discards everything since the last commit.
    ///
    /// Started commits are finished first.
    ///
    /// Raises:
    ///     CaptureFileNotOpenForWrite: The object is open for reading.
    ///     CaptureFileNotOpen: The object is closed.
    ///     CaptureFileError: An earlier commit failed in such a way that the object must be opened again.
    ///
    /// Examples:
    ///     >>> cf.add_record("fourth")
    ///     4
    ///     >>> cf.rollback()
    ///     >>> len(cf)
    ///     3
    pub(super) fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.file()?;
        Ok(py.detach(|| file.rollback())?)
    }

    /// Returns a context manager that commits at the end of its block, and rolls back if the block raises.
    ///
    /// Like `commit()` and `rollback()`, it acts on everything since the last commit. Entering the block raises
    /// CaptureFileNotOpenForWrite if the object is open for reading.
    ///
    /// Returns:
    ///     The context manager; entering it returns this object.
    ///
    /// Examples:
    ///     >>> with cf.transaction():
    ///     ...     cf.add_record("fourth")
    ///     4
    ///     >>> CaptureFile(cf.path)[-1]
    ///     'fourth'
    fn transaction(slf: Py<Self>) -> Transaction {
        Transaction { file: slf }
    }
}
