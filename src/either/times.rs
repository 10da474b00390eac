//! Commit times of records, which files in version 3 of the format contain.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::{Error, Result};

impl Snapshot {
    /// Returns when a record was committed; `None` if it is not committed yet. Only files in version 3 of the
    /// format contain these times.
    ///
    /// Times never decrease: after the clock was set back, commits keep the latest time until the clock has
    /// caught up.
    ///
    /// # Errors
    ///
    /// [`Error::FormatUnsupported`] for a file in version 2 of the format, [`Error::NoSuchRecord`] for a
    /// number that is 0 or more than the count, [`Error::Corrupt`] if a part of the file that this requires
    /// is damaged, and [`Error::Io`] if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let time = log.snapshot()?.commit_time(1)?.expect("it is committed");
    /// assert!(time <= std::time::SystemTime::now());
    /// # Ok(()) }
    /// ```
    pub fn commit_time(&self, number: u64) -> Result<Option<SystemTime>> {
        match self.state() {
            AnyState::V2(_) => Err(self.no_times()),
            AnyState::V3(state) => Ok(state.commit_time(number)?.map(time_of)),
        }
    }

    /// Finds the number of the first record that was committed at `time` or later; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::FormatUnsupported`] for a file in version 2 of the format, [`Error::Corrupt`] if a part of
    /// the file that this requires is damaged, and [`Error::Io`] if the file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// log.commit()?;
    /// log.add_record(b"three")?;
    /// log.commit()?;
    /// let snapshot = log.snapshot()?;
    /// let time = snapshot.commit_time(3)?.expect("it is committed");
    /// assert_eq!(snapshot.record_number_at(time)?, Some(3));
    /// # Ok(()) }
    /// ```
    pub fn record_number_at(&self, time: SystemTime) -> Result<Option<u64>> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        match self.state() {
            AnyState::V2(_) => Err(self.no_times()),
            AnyState::V3(state) => state.number_at(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    fn no_times(&self) -> Error {
        let version = self.geometry().version;
        Error::FormatUnsupported { path: self.path().to_owned(), what: "read commit times of", version }
    }
}

fn time_of(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}
