//! The writer of a file of either format.

use std::path::Path;

use crate::either::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::sync::group_commit::{self, CommitSteps};
use crate::v3::write as v3;
use crate::write::options::{Commit, Stats};
use crate::write::{draft, flight, writer as v2};

/// The one writer of a file.
#[derive(Debug)]
pub(crate) enum AnyWriter {
    V2(Box<v2::Writer>),
    V3(Box<v3::Writer>),
}

/// A state of the open transaction to return to.
#[derive(Debug)]
pub(crate) enum Savepoint {
    V2(draft::Savepoint),
    V3(v3::Savepoint),
}

/// Calls the writer of either format.
macro_rules! both {
    ($writer:expr, $inner:ident => $call:expr) => {
        match $writer {
            AnyWriter::V2($inner) => $call,
            AnyWriter::V3($inner) => $call,
        }
    };
}

/// A commit in progress.
#[derive(Debug)]
pub(crate) enum Flight {
    V2(Box<flight::Flight>),
    V3(Box<v3::Flight>),
}

impl Flight {
    fn path(&self) -> &Path {
        match self {
            Self::V2(flight) => flight.path(),
            Self::V3(flight) => flight.path(),
        }
    }
}

impl group_commit::Flight for Flight {
    fn changes(&self) -> u64 {
        match self {
            Self::V2(flight) => flight.changes(),
            Self::V3(flight) => flight.changes(),
        }
    }

    fn write(&mut self) {
        match self {
            Self::V2(flight) => flight.write(),
            Self::V3(flight) => flight.write(),
        }
    }
}

impl CommitSteps for AnyWriter {
    type Flight = Flight;
    type Committed = Commit;

    #[inline]
    fn changes(&self) -> u64 {
        both!(self, writer => writer.changes())
    }

    fn begin_commit(&mut self) -> Result<Option<Flight>> {
        match self {
            Self::V2(writer) => Ok(writer.begin_commit()?.map(|flight| Flight::V2(Box::new(flight)))),
            Self::V3(writer) => Ok(writer.begin_commit()?.map(|flight| Flight::V3(Box::new(flight)))),
        }
    }

    fn mark(&mut self) -> Result<Option<u64>> {
        both!(self, writer => writer.mark())
    }

    fn begin_marked(&mut self) -> Result<Option<Flight>> {
        match self {
            Self::V2(writer) => Ok(writer.begin_marked()?.map(|flight| Flight::V2(Box::new(flight)))),
            Self::V3(writer) => Ok(writer.begin_marked()?.map(|flight| Flight::V3(Box::new(flight)))),
        }
    }

    fn forget_mark(&mut self) {
        both!(self, writer => writer.forget_mark());
    }

    fn finish_commit(&mut self, flight: Flight) -> Result<Commit> {
        match (self, flight) {
            (Self::V2(writer), Flight::V2(flight)) => writer.finish_commit(*flight),
            (Self::V3(writer), Flight::V3(flight)) => writer.finish_commit(*flight),
            // It began with another writer, which no longer exists.
            (_, flight) => Err(Error::Closed { path: flight.path().to_owned() }),
        }
    }

    fn lost_commit(&self, changes: u64) -> Option<Error> {
        both!(self, writer => writer.lost_commit(changes))
    }
}

impl AnyWriter {
    pub(crate) fn record_count(&self) -> u64 {
        both!(self, writer => writer.record_count())
    }

    /// Returns whether a close would lose anything.
    pub(crate) fn has_uncommitted(&self) -> bool {
        both!(self, writer => writer.has_uncommitted())
    }

    /// Counts the records that a close would lose.
    pub(crate) fn uncommitted_records(&self) -> u64 {
        both!(self, writer => writer.uncommitted_records())
    }

    pub(crate) fn stats(&self) -> Stats {
        both!(self, writer => writer.stats())
    }

    pub(crate) fn check_health(&self) -> Result<()> {
        both!(self, writer => writer.check_health())
    }

    /// Returns whether this many bytes should be added only once the commit in progress is done.
    pub(crate) fn waits_for_commit(&self, bytes: usize) -> bool {
        match self {
            Self::V2(_) => false,
            Self::V3(writer) => writer.waits_for_commit(bytes),
        }
    }

    /// Adds a record if that takes no more than copying it; returns the new count, or `None` if it requires more.
    #[inline]
    pub(crate) fn try_add(&mut self, record: &[u8]) -> Result<Option<u64>> {
        both!(self, writer => writer.try_add(record))
    }

    /// Adds a record; returns the new count. An error leaves everything unchanged.
    pub(crate) fn add_record(&mut self, record: &[u8]) -> Result<u64> {
        both!(self, writer => writer.add_record(record))
    }

    /// Adds all or none of the records that end at `ends`; returns the new count.
    pub(crate) fn add_records(&mut self, records: &[u8], ends: &[usize]) -> Result<u64> {
        both!(self, writer => writer.add_records(records, ends))
    }

    /// Replaces the metadata, from the next commit on.
    pub(crate) fn set_metadata(&mut self, metadata: Option<&[u8]>) -> Result<()> {
        both!(self, writer => writer.set_metadata(metadata))
    }

    /// Returns the current state, which remains readable whatever happens to the transaction.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        both!(self, writer => writer.snapshot().map(Snapshot::from))
    }

    /// Returns the last commit.
    pub(crate) fn committed_snapshot(&self) -> Snapshot {
        both!(self, writer => writer.committed_snapshot().into())
    }

    /// Discards everything since the last commit.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        both!(self, writer => writer.rollback())
    }

    /// Saves the current state for [`restore`](Self::restore) in this transaction.
    pub(crate) fn savepoint(&mut self) -> Result<Savepoint> {
        Ok(match self {
            Self::V2(writer) => Savepoint::V2(writer.savepoint()?),
            Self::V3(writer) => Savepoint::V3(writer.savepoint()?),
        })
    }

    /// Discards everything since the savepoint, which is one of this writer's.
    pub(crate) fn restore(&mut self, savepoint: Savepoint) {
        match (self, savepoint) {
            (Self::V2(writer), Savepoint::V2(savepoint)) => writer.restore(savepoint),
            (Self::V3(writer), Savepoint::V3(savepoint)) => writer.restore(savepoint),
            (Self::V2(_), Savepoint::V3(_)) | (Self::V3(_), Savepoint::V2(_)) => {}
        }
    }
}
