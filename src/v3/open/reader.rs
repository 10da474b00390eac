//! The state that a reader sees: a head and the chain after it, or an earlier state and the entries since.

use std::time::Instant;

use super::heads::{TIMEOUT, read_head};
use crate::error::{Damage, Result};
use crate::v3::log::{LogState, Ring, WINDOW, find_lost_entry, follow, is_begun};
use crate::v3::shared::Shared;
use crate::v3::write::broken_log;

/// The result of a refresh.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) state: LogState,
    /// Whether the earlier state was rolled back, after a failed sync: frames may have replaced others.
    pub(crate) taken_back: bool,
}

/// Returns the current state of the file.
pub(crate) fn open(file: &Shared) -> Result<LogState> {
    open_anew(file, None)
}

/// Returns the current state of the file, unless it is older than `known`.
fn open_anew(file: &Shared, known: Option<&LogState>) -> Result<LogState> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let head = read_head(file)?;
        // Checked before memory is allocated according to the log.
        file.check_length(head.frames.limit)?;
        let mut state = LogState::of(&head);
        announce_log(file, &state);
        follow(file, &mut state, WINDOW).map_err(file.failed("read the log of"))?;
        let again = read_head(file)?;
        // If the ring was reused in the meantime, the end of the chain is not the end of the log.
        let lapped = again.begin > state.end;
        let broken = state.end < state.sure;
        if broken && again.serial == head.serial {
            return Err(broken_log(file, &state));
        }
        let older = known.is_some_and(|known| state.total < known.total || state.end < known.end);
        if !lapped && !broken && !older && ends_there(file, &state)? {
            file.check_length(state.frames.limit)?;
            return Ok(state);
        }
        if Instant::now() >= deadline {
            let damage =
                Damage::new("a commit that is older than the one read before", "a file that only grows");
            return Err(file.corrupt(damage));
        }
    }
}

/// Returns an error if an entry after the state's end shows that the log was on the disk beyond it; false if it is
/// unknown because the ring was used again meanwhile.
fn ends_there(file: &Shared, state: &LogState) -> Result<bool> {
    let failed = || file.failed("read the log of");
    if !is_begun(file, state).map_err(failed())? {
        return Ok(true);
    }
    let Some(damage) = find_lost_entry(file, state).map_err(failed())? else {
        return Ok(true);
    };
    // A writer may have completed the entry at the end, and added that other one, since the chain was followed.
    let mut later = state.clone();
    follow(file, &mut later, WINDOW).map_err(failed())?;
    if later.end > state.end {
        return Ok(true);
    }
    if read_head(file)?.begin > state.end {
        return Ok(false);
    }
    Err(file.corrupt(damage))
}

/// Announces the log from its beginning to a storage that fetches it.
fn announce_log(file: &Shared, state: &LogState) {
    /// The usual size of a log.
    const MOST: u64 = 1 << 20;
    if file.storage.as_object().is_none() {
        return;
    }
    let (start, size) = (file.header.log_start(), u64::from(file.header.log));
    let begin = Ring::new(&*file.storage, &file.header).place(state.end);
    // The whole ring takes one request; the parts at its end and its start would take two.
    let range = if size <= MOST { start..start + size } else { begin..(begin + MOST).min(start + size) };
    file.storage.will_read(&mut vec![range]);
}

/// Returns the current state of the file, starting from an earlier one.
pub(crate) fn refresh(file: &Shared, known: &LogState) -> Result<Look> {
    if !ends_as_before(file, known)? {
        let state = open_anew(file, None)?;
        // There are later entries, or the earlier state was rolled back.
        let taken_back = state.total < known.total || state.end < known.end;
        return Ok(Look { state, taken_back });
    }
    let mut state = known.clone();
    loop {
        let end = state.end;
        let window = u64::from(file.header.page);
        follow(file, &mut state, window).map_err(file.failed("read the log of"))?;
        let head = read_head(file)?;
        if head.begin > state.end {
            return Ok(Look { state: open_anew(file, Some(known))?, taken_back: false });
        }
        let before = state.origin;
        if head.serial > state.serial {
            state.take_head(&head);
        }
        // The chain is followed for at most one ring from its beginning, which a newer head has advanced.
        if state.origin > before {
            continue;
        }
        if state.end >= head.sure {
            file.check_length(state.frames.limit)?;
            return Ok(Look { state, taken_back: false });
        }
        // Entries were added before the head was written, unless the next one is damaged.
        if state.end == end {
            return Ok(Look { state: open_anew(file, Some(known))?, taken_back: false });
        }
    }
}

/// Returns whether the last entry of a state is still in the file, and not overwritten by later ones.
fn ends_as_before(file: &Shared, known: &LogState) -> Result<bool> {
    if known.entries.is_empty() {
        return Ok(true);
    }
    let ring = Ring::new(&*file.storage, &file.header);
    let mut check = [0; 8];
    ring.read(known.end - 8, &mut check).map_err(file.failed("read the log of"))?;
    Ok(u64::from_be_bytes(check) == known.check)
}
