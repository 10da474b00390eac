//! The records of a table: runs of record numbers in files, which are opened when a stream reaches them.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::python::errors::quoted;
use crate::python::file::CaptureFile;
use crate::python::object::Remote;
use crate::{FileIdentity, OpenOptions, Record, RecordRun, Records, Snapshot};

use super::failure::Failure;

/// Records of one file, whose numbers increase by `step`.
pub(in crate::python) struct Run {
    source: RunSource,
    first: u64,
    step: i64,
    count: u64,
}

enum RunSource {
    Open(Arc<Snapshot>),
    Named(Box<Named>),
}

/// A file as it was when its records were selected.
struct Named {
    path: PathBuf,
    /// The reader of a file in a store.
    remote: Option<Remote>,
    options: OpenOptions,
    identity: FileIdentity,
    /// The number of records in it at that time.
    records: u64,
}

impl Named {
    /// Opens the file, and returns a snapshot of its last commit.
    fn open(&self) -> Result<Arc<Snapshot>, Failure> {
        let file = Remote::open(self.remote.as_ref(), &self.path, &self.options)?;
        let name = quoted(file.path());
        if file.identity()? != self.identity {
            return Err(Failure::invalid(&format!(
                "{name} is not the file that this table was created from; create a new table"
            )));
        }
        let snapshot = file.snapshot()?;
        let (found, expected) = (snapshot.record_count(), self.records);
        if found < expected {
            let message =
                format!("{name} has {found} records, but this table was created when it had {expected}");
            return Err(Failure::invalid(&message));
        }
        Ok(snapshot)
    }
}

impl Run {
    /// Creates a run of the records from `first` to `last` of a snapshot.
    pub(in crate::python) fn between(snapshot: Arc<Snapshot>, first: u64, last: u64) -> Self {
        let count = (last + 1).saturating_sub(first);
        Self { source: RunSource::Open(snapshot), first, step: 1, count }
    }

    /// Creates a run from one of a `RecordSequence`.
    pub(super) fn given(py: Python<'_>, run: GivenRun<'_>) -> PyResult<Self> {
        let source = if let Some(file) = &run.open {
            RunSource::Open(file.get().snapshot(py)?)
        } else {
            let store = run.options.get_item("store")?.filter(|store| !store.is_none());
            let (path, remote) = Remote::find(py, run.path, store.as_ref())?;
            let (device, inode, birth) = run.identity;
            RunSource::Named(Box::new(Named {
                path,
                remote,
                options: options_in(&run.options)?,
                identity: FileIdentity { device, inode, birth },
                records: run.records,
            }))
        };
        Ok(Self { source, first: run.first, step: run.step, count: run.length })
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the snapshot and the first number if the run is one of a snapshot and without gaps.
    pub(super) fn snapshot(&self) -> Option<(&Snapshot, u64)> {
        match &self.source {
            RunSource::Open(snapshot) if self.step == 1 => Some((snapshot, self.first)),
            _ => None,
        }
    }

    pub(super) fn open(&self) -> Result<OpenRun, Failure> {
        let snapshot = match &self.source {
            RunSource::Open(snapshot) => Arc::clone(snapshot),
            RunSource::Named(named) => named.open()?,
        };
        let last = self.first + self.count.saturating_sub(1);
        let in_order = (self.step == 1).then(|| snapshot.records_between(self.first, last));
        Ok(OpenRun { snapshot, in_order, next: self.first, step: self.step, left: self.count })
    }
}

/// Returns the options for the cache and the threads of a file that is reopened.
fn options_in(options: &Bound<'_, PyDict>) -> PyResult<OpenOptions> {
    let part = |name| options.get_item(name).map(|found| found.filter(|value| !value.is_none()));
    let mut found = OpenOptions::new();
    if let Some(cache_size) = part("cache_size")? {
        found = found.cache_size(cache_size.extract()?);
    }
    if let Some(threads) = part("threads")? {
        found = found.threads(threads.extract()?);
    }
    Ok(found)
}

/// A run as described by `RecordSequence`.
#[derive(FromPyObject)]
pub(in crate::python) struct GivenRun<'py> {
    /// The file, if it is already open.
    open: Option<Bound<'py, CaptureFile>>,
    path: PathBuf,
    options: Bound<'py, PyDict>,
    identity: (u64, u64, Option<u64>),
    /// The number of records in the file at that time.
    records: u64,
    first: u64,
    step: i64,
    length: u64,
}

/// The remaining records of a run, while its file is open.
pub(super) struct OpenRun {
    snapshot: Arc<Snapshot>,
    /// The iterator over records without gaps.
    in_order: Option<Records>,
    next: u64,
    step: i64,
    left: u64,
}

impl OpenRun {
    /// Returns the next record, or the reason why it cannot be read.
    pub(super) fn next(&mut self) -> Option<crate::Result<Record>> {
        self.left = self.left.checked_sub(1)?;
        let number = self.next;
        self.next = number.saturating_add_signed(self.step);
        match &mut self.in_order {
            Some(records) => records.next(),
            None => Some(self.snapshot.record(number)),
        }
    }

    /// Returns the next adjacent records in memory, if they have at least `min_bytes` bytes.
    pub(super) fn next_run(&mut self, min_bytes: usize, max_records: usize) -> Option<RecordRun> {
        // An unreadable record is reported when it is taken.
        let run = self.in_order.as_mut()?.next_run(min_bytes, max_records)?.ok()?;
        let count = run.ends().len() as u64;
        (self.next, self.left) = (self.next + count, self.left - count);
        Some(run)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Describes the record that was taken last, or one this many before.
    pub(super) fn last_taken(&self, before: u64) -> String {
        let number = self.next.saturating_add_signed(-self.step) - before;
        format!("record {number} of {}", quoted(self.snapshot.path()))
    }
}
