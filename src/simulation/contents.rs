//! The expected and the actual contents of a file.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::Error;
use crate::file::CaptureFile;

/// The outcome of a check; an error describes the problem.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// Records and metadata, as a file should show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) records: Vec<Arc<[u8]>>,
    pub(super) metadata: Option<Arc<[u8]>>,
}

/// The path that messages name.
pub(super) fn path() -> &'static Path {
    Path::new("simulated.capture")
}

pub(super) fn read_all(file: &CaptureFile) -> Result<State, Error> {
    read_snapshot(&file.snapshot()?)
}

/// Reads everything that a snapshot shows; also checks that its times, if it has any, ascend and lead to
/// their records.
pub(super) fn read_snapshot(snapshot: &Arc<Snapshot>) -> Result<State, Error> {
    let records =
        snapshot.records(1).map(|record| Ok((*record?).into())).collect::<Result<Vec<_>, Error>>()?;
    if matches!(snapshot.state(), AnyState::V3(_)) {
        check_times(snapshot)?;
    }
    Ok(State { records, metadata: snapshot.metadata()?.map(|metadata| (*metadata).into()) })
}

fn check_times(snapshot: &Snapshot) -> Result<(), Error> {
    let wrong = |found: String| Error::InvalidOption { name: "time", got: found, expected: "one that fits" };
    let (count, mut last) = (snapshot.record_count(), UNIX_EPOCH);
    // A sample suffices: if a record is right, so are its neighbours.
    let step = 1 + usize::try_from(count).unwrap_or(usize::MAX) / 16;
    for number in (1..=count).step_by(step) {
        let Some(time) = snapshot.commit_time(number)? else {
            break;
        };
        if time < last {
            return Err(wrong(format!("{time:?} of record {number} after {last:?}")));
        }
        if time > last {
            let found = snapshot.record_number_at(time)?;
            let first = found.unwrap_or_default();
            if first > number || snapshot.commit_time(first)? != Some(time) {
                return Err(wrong(format!("record {found:?} instead of {number} for {time:?}")));
            }
        }
        last = time;
    }
    Ok(())
}

pub(super) fn expect(sound: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if sound { Ok(()) } else { Err(otherwise()) }
}

#[expect(clippy::needless_pass_by_value, reason = "for use with `map_err`")]
pub(super) fn text(error: Error) -> String {
    error.to_string()
}
