//! What a file should show, and what it does.

use std::sync::Arc;

use crate::error::Error;
use crate::v3::log::LogState;
use crate::v3::read::frames::FrameSource;
use crate::v3::read::snapshot::Snapshot;
use crate::v3::shared::Shared;

/// What a check found to be wrong, in words.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// Records and metadata, as a file should show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) records: Vec<Arc<[u8]>>,
    pub(super) metadata: Option<Arc<[u8]>>,
}

pub(super) fn snapshot_of(file: &Arc<Shared>, state: &LogState) -> Snapshot {
    let frames = FrameSource { file: Arc::clone(file), limit: state.frames.limit, open: None };
    Snapshot::committed(frames, state.clone())
}

/// All that a snapshot shows; also that its times rise and lead to the records that have them.
pub(super) fn contents(snapshot: &Snapshot) -> Result<State, Error> {
    let wrong = |found: String| Error::InvalidOption { name: "time", got: found, expected: "one that fits" };
    let all = Arc::new(crate::either::snapshot::Snapshot::from(snapshot.clone()));
    let records = all.records(1).map(|record| Ok((*record?).into())).collect::<Result<Vec<_>, Error>>()?;
    let mut last = 0;
    // Some are enough: what is right for one is right for its neighbours.
    let step = 1 + records.len() / 16;
    for number in (1..=snapshot.state.total.min(records.len() as u64)).step_by(step) {
        let time = snapshot.commit_time(number)?.unwrap_or_default();
        if time < last {
            return Err(wrong(format!("{time} of record {number} after {last}")));
        }
        if time > last && snapshot.draft.is_empty() {
            let found = snapshot.number_at(time)?;
            let first = found.unwrap_or_default();
            if first > number || snapshot.commit_time(first)? != Some(time) {
                return Err(wrong(format!("record {found:?} instead of {number} for {time}")));
            }
        }
        last = time;
    }
    Ok(State { records, metadata: snapshot.metadata()?.map(|metadata| (*metadata).into()) })
}

pub(super) fn expect(sound: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if sound { Ok(()) } else { Err(otherwise()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it goes where an error is to become something else")]
pub(super) fn text(error: Error) -> String {
    error.to_string()
}
