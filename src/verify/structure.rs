//! A file's header, its slots and the path through its index to a record, even if they are damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::either::open::is_version_3;
use crate::error::{Damage, Error, Result};
use crate::format::{Geometry, Header, MasterSlot, Slot};
use crate::read::cache::Cache;
use crate::read::current::read_both;
use crate::read::open_file::{OpenFile, Opened};
use crate::read::snapshot::Snapshot;
use crate::storage::{FileStorage, Storage, open_plain, read_up_to};
use crate::v3;

use super::steps::{IndexPath, IndexStep};
use super::structure_3::{self, HeadSlot, LogExtent, StructureParts};

/// Slots that a damaged header makes larger than this are not read.
const MAX_SLOT_SIZE: u64 = 64 * 1024 * 1024;
/// Size of the cache of blocks and nodes, in bytes.
const CACHE_SIZE: u64 = 1024 * 1024;

/// Shows the structure of a file at one moment: the contents of its header and of both slots or heads, sound or not.
///
/// ```
/// use capturefile::{IndexStep, OpenOptions, Structure};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
///
/// let structure = Structure::read(&path)?;
/// let current = structure.slots.iter().find(|slot| slot.is_current).unwrap();
/// assert_eq!(current.record_count, 1);
/// let found = structure.path_to(1);
/// assert!(found.error.is_none());
/// assert!(matches!(found.steps[..], [IndexStep::Node { height: 1, .. }, IndexStep::Record { .. }]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Structure {
    /// Length of the file in bytes.
    pub file_size: u64,
    /// The contents of the header; `None` if the file is too short for one.
    pub header: Option<Header>,
    /// Slots A and B; empty if the header is damaged, and in version 3 of the format.
    pub slots: Vec<MasterSlot>,
    /// Heads A and B of a file in version 3 of the format.
    pub heads: Vec<HeadSlot>,
    /// The log of such a file, if its state can be read.
    pub log: Option<LogExtent>,
    path: PathBuf,
    /// The current state, or the reason why there is none.
    state: std::result::Result<CurrentState, Damage>,
}

/// The state of the current commit.
#[derive(Debug)]
enum CurrentState {
    V2(Snapshot),
    V3(Arc<v3::read::snapshot::Snapshot>),
}

impl Structure {
    /// Reads the header and both slots of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read. Damage is not an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let structure = capturefile::Structure::read(&path)?;
    /// assert_eq!((structure.file_size, structure.slots.len()), (log.file_size()?, 2));
    /// # Ok(()) }
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |error| Error::io(path, "read", error);
        let storage = FileStorage::new(open_plain(path, false)?.0);
        let mut start = [0; Geometry::HEADER_SIZE];
        let length = read_up_to(&storage, &mut start, 0).map_err(failed)?;
        let file_size = storage.length().map_err(failed)?;
        let none = |header, state| {
            let (slots, heads, path) = (Vec::new(), Vec::new(), path.to_owned());
            Self { file_size, header, slots, heads, log: None, path, state }
        };
        if is_version_3(&storage).map_err(failed)? {
            let StructureParts { header, heads, state } =
                structure_3::read_parts(path, Box::new(storage), CACHE_SIZE)?;
            let log = state.as_ref().ok().map(|state| LogExtent::of(state));
            return Ok(Self { heads, log, ..none(Some(header), state.map(CurrentState::V3)) });
        }
        let without_slots = |header, damage| Ok(none(header, Err(damage)));
        let header = match Header::decode(&start[..length]) {
            Ok(header) => header,
            Err(damage) => return without_slots(None, damage),
        };
        let geometry = header.geometry;
        if let Err(damage) = check_sizes(&geometry) {
            return without_slots(Some(header), damage);
        }
        let opened = Opened::new(path, Box::new(storage), 1);
        let file = OpenFile::new(opened, geometry, Cache::new(CACHE_SIZE));
        let both = read_both(&file)?;
        // Try again: a writer may have extended the file in the meantime.
        let file_size = file.storage.length().map_err(failed)?;
        let current = both.current.as_ref().map(|master| Slot::of_serial(master.serial));
        let mut slots = Vec::with_capacity(both.slots.len());
        for (slot, bytes) in Slot::BOTH.into_iter().zip(both.slots) {
            let is_current = current == Some(slot);
            slots.push(MasterSlot { is_current, ..MasterSlot::decode(&geometry, slot, bytes) });
        }
        let state = match both.current {
            Some(master) => Ok(CurrentState::V2(Snapshot::cut_short(Arc::new(file), master, file_size))),
            None => {
                Err(Damage::new("no master node that is certainly the current one", "one in slot A or B"))
            }
        };
        Ok(Self { file_size, slots, ..none(Some(header), state) })
    }

    /// Returns why there is no header, or no slots or heads, or no current one among them.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(capturefile::Structure::read(&path)?.damage().is_none());
    /// # Ok(()) }
    /// ```
    pub fn damage(&self) -> Option<&Damage> {
        self.state.as_ref().err()
    }

    /// Returns the number of records that the last commit added, if the previous commit is still in the file.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// assert_eq!(capturefile::Structure::read(&path)?.last_commit(), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn last_commit(&self) -> Option<u64> {
        if let Ok(CurrentState::V3(snapshot)) = &self.state {
            return structure_3::last_commit(&snapshot.state);
        }
        let [a, b] = &self.slots[..] else {
            return None;
        };
        let (now, before) = if a.is_current { (a, b) } else { (b, a) };
        let are_sound = now.is_current && before.problem.is_none();
        let follow = are_sound && now.serial_number.wrapping_sub(before.serial_number) == 1;
        now.record_count.checked_sub(before.record_count).filter(|_| follow)
    }

    /// Descends the index to record `number`, counted from 1, as far as the file can be read.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.commit()?;
    /// let structure = capturefile::Structure::read(&path)?;
    /// assert!(structure.path_to(1).error.is_none());
    /// assert!(structure.path_to(2).error.is_some());
    /// # Ok(()) }
    /// ```
    pub fn path_to(&self, number: u64) -> IndexPath {
        let mut steps = Vec::new();
        let result = match &self.state {
            Ok(CurrentState::V2(state)) => descend(state, number, &mut steps),
            Ok(CurrentState::V3(state)) => structure_3::descend(state, number, &mut steps),
            Err(damage) => Err(Error::corrupt(&self.path, damage.clone())),
        };
        IndexPath { steps, error: result.err() }
    }
}

/// Checks that slots of these sizes can be read.
fn check_sizes(geometry: &Geometry) -> std::result::Result<(), Damage> {
    geometry.check_sizes().map_err(|damage| damage.at(0))?;
    let size = geometry.slot_size();
    if size <= MAX_SLOT_SIZE {
        return Ok(());
    }
    let expected = format!("at most {MAX_SLOT_SIZE}, the maximum that can be displayed");
    Err(Damage::new(format!("a header with master slots of {size} bytes"), expected).at(0))
}

/// Descends from the rightmost path to a record, and notes each step before the next one is read.
fn descend(state: &Snapshot, number: u64, steps: &mut Vec<IndexStep>) -> Result<()> {
    let (path, fan_out) = (&state.index().path, state.geometry().fan_out);
    let records_below = |height: u32| u64::from(fan_out).saturating_pow(height);
    let no_such_record = || state.index().no_such_record(number);
    let found = path.descend(number.checked_sub(1).ok_or_else(no_such_record)?);
    let lowest = found.map_or(1, |descent| descent.height + 1);
    let mut first = 1;
    for level in (1..=path.height()).rev().take_while(|level| u32::from(*level) >= lowest) {
        let (height, children) = (u32::from(level), path.children(level).len() as u64);
        let below = records_below(height - 1);
        let chosen = found.filter(|_| height == lowest).map(|_| (number - first) / below);
        steps.push(IndexStep::Node { height, children, below, first, chosen, at: None });
        first += chosen.unwrap_or(children) * below;
    }
    let mut descent = found.ok_or_else(no_such_record)?;
    while descent.height > 0 {
        let (height, children, at) = (descent.height, fan_out.into(), Some(descent.root));
        let below = records_below(height - 1);
        let child = descent.index / below;
        steps.push(IndexStep::Node { height, children, below, first, chosen: Some(child), at });
        first += child * below;
        descent = state.index().step_down(descent)?;
    }
    steps.push(IndexStep::Record { at: descent.root, is_pending: descent.root.frame == state.file_limit() });
    Ok(())
}
