//! An open file of either format, and detecting commits to it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::either::snapshot::{AnyState, Snapshot};
use crate::error::{Damage, Result};
use crate::format::master::MasterNode;
use crate::format::{Slot, image_index};
use crate::read::current::{self, SlotVersions};
use crate::read::open_file::{OpenFile, Opened, check_length};
use crate::read::snapshot::Snapshot as V2;
use crate::v3::log::{LogState, Ring};
use crate::v3::open::reader;
use crate::v3::read::frames::FrameSource;
use crate::v3::read::snapshot::Snapshot as V3;
use crate::v3::shared::Shared;

/// An open file.
#[derive(Debug)]
pub(crate) enum AnyFile {
    V2(Arc<OpenFile>),
    V3(Arc<Shared>),
}

/// The versions of the slots, with which a reader of version 2 cheaply detects that nothing has been committed since.
pub(crate) type Seen = Option<SlotVersions>;

/// The result of a refresh.
pub(crate) struct Look {
    pub(crate) snapshot: Snapshot,
    pub(crate) seen: Seen,
    /// Whether there are more records than before, or different metadata.
    pub(crate) is_news: bool,
    /// Whether the earlier state was rolled back, after a failed sync.
    pub(crate) is_rolled_back: bool,
}

impl Deref for AnyFile {
    type Target = Opened;

    #[inline]
    fn deref(&self) -> &Opened {
        match self {
            Self::V2(file) => file,
            Self::V3(file) => file,
        }
    }
}

impl AnyFile {
    /// Returns the last commit.
    pub(crate) fn current(&self) -> Result<(Snapshot, Seen)> {
        match self {
            Self::V2(file) => current_v2(file, |_| Ok(())),
            Self::V3(file) => Ok((committed_v3(file, reader::open(file)?).into(), None)),
        }
    }

    /// Returns what has been committed since `held`, or `None` if there is nothing new. With `durable`, it is on the
    /// disk.
    pub(crate) fn refreshed(&self, held: &Snapshot, seen: &Seen, durable: bool) -> Result<Option<Look>> {
        match (self, held.state()) {
            (Self::V2(file), AnyState::V2(held)) => refreshed_v2(file, held, seen, durable),
            (Self::V3(file), AnyState::V3(held)) => refreshed_v3(file, held, durable),
            _ => Ok(None),
        }
    }

    /// Returns whether `newer` begins with the immutable part of this object, as far as it is in memory.
    /// `shown` is the snapshot of this object.
    pub(crate) fn begins_like(&self, shown: &Snapshot, newer: &Self) -> bool {
        match (self, shown.state(), newer) {
            (Self::V2(file), AnyState::V2(shown), Self::V2(newer)) => {
                let data = file.geometry.data_start()..file.geometry.whole_pages(shown.file_limit());
                let start = |file: &OpenFile| {
                    let start = file.storage.as_object().map(|object| object.start_of(data.start, data.end));
                    start.map(<[u8]>::to_vec)
                };
                file.geometry == newer.geometry && start(file) == start(newer)
            }
            // Its header has random bytes that no other file has.
            (Self::V3(file), _, Self::V3(newer)) => file.header == newer.header,
            _ => false,
        }
    }

    /// Waits for a commit after the one that `shown` shows, for at most `timeout`.
    pub(crate) fn wait_for_commit(&self, shown: &Snapshot, seen: &Seen, timeout: Duration) {
        match (self, shown.state(), seen) {
            (Self::V2(file), AnyState::V2(shown), Some(slot_versions)) => {
                let next = shown.serial_number().wrapping_add(1);
                let [a, b, c, d, ..] = slot_versions[image_index(next)];
                let position = file.geometry.slot_position(Slot::of_serial(next));
                file.storage.wait_for_change(position, [a, b, c, d], timeout);
            }
            (Self::V3(file), AnyState::V3(shown), _) => wait_for_entry(file, shown.state.end, timeout),
            _ => std::thread::sleep(timeout),
        }
    }
}

fn current_v2(
    file: &Arc<OpenFile>,
    acceptable: impl Fn(&MasterNode) -> std::result::Result<(), Damage>,
) -> Result<(Snapshot, Seen)> {
    let current = current::read_current(file, acceptable)?;
    check_length(file, current.master.file_limit)?;
    Ok((V2::committed(Arc::clone(file), current.master).into(), current.slot_versions))
}

fn refreshed_v2(file: &Arc<OpenFile>, held: &V2, seen: &Seen, durable: bool) -> Result<Option<Look>> {
    let now = current::read_slot_versions(&*file.storage, &file.geometry)
        .map_err(file.failed("read the master nodes of"))?;
    let unchanged = now.is_some() && now == *seen;
    if unchanged && !durable {
        return Ok(None);
    }
    let (snapshot, seen) = current_v2(file, |master| {
        if !master.extent().is_before(held.extent()) {
            return Ok(());
        }
        let found = "a commit that is older than the one read before";
        Err(Damage::new(found, "a file that only grows"))
    })?;
    if durable {
        file.storage.sync().map_err(file.failed("sync"))?;
    }
    let is_news = !matches!(snapshot.state(), AnyState::V2(fresh) if fresh.shows_the_same_as(held));
    Ok(Some(Look { snapshot, seen, is_news, is_rolled_back: false }))
}

fn committed_v3(file: &Arc<Shared>, state: LogState) -> V3 {
    V3::committed(FrameSource { file: Arc::clone(file), limit: state.frames.limit, open: None }, state)
}

fn refreshed_v3(file: &Arc<Shared>, held: &V3, durable: bool) -> Result<Option<Look>> {
    let look = reader::refresh(file, &held.state)?;
    if durable {
        file.storage.sync().map_err(file.failed("sync"))?;
    }
    let is_rolled_back = look.taken_back;
    let fresh = committed_v3(file, look.state);
    if !is_rolled_back && !fresh.is_newer_than(held) {
        return Ok(None);
    }
    let is_news = is_rolled_back || !fresh.shows_the_same_as(held)?;
    Ok(Some(Look { snapshot: fresh.into(), seen: None, is_news, is_rolled_back }))
}

/// Waits until an entry is written at the log position `end`.
fn wait_for_entry(file: &Shared, end: u64, timeout: Duration) {
    /// Delay if there are already bytes of an entry that is not complete, or was not a moment ago.
    const SOON: Duration = Duration::from_millis(1);
    let ring = Ring::new(&*file.storage, &file.header);
    let (place, expected) = ring.mark_of(end);
    let mut mark = [0; 4];
    if ring.read(end + Ring::MARK, &mut mark).is_ok() && mark != expected {
        file.storage.wait_for_change(place, mark, timeout);
    } else {
        std::thread::sleep(timeout.min(SOON));
    }
}
