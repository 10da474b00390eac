//! A file's header, its slots and the way down its index to a record, also where they are damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::either::open::is_version_3;
use crate::error::{Damage, Error, Result};
use crate::format::{Coordinates, Geometry, Header, MasterSlot, Slot};
use crate::read::cache::Cache;
use crate::read::current::read_both;
use crate::read::open_file::{OpenFile, Opened};
use crate::read::snapshot::Snapshot;
use crate::storage::{FileStorage, Storage, open_plain, read_up_to};

/// Slots that a damaged header makes larger than this are not read.
const MAX_SLOT_SIZE: u64 = 64 * 1024 * 1024;
/// Bytes of blocks and nodes kept from one look to the next.
const CACHE_SIZE: u64 = 1024 * 1024;

/// Shows how a file is built at one moment: what stands in its header and in both slots, whether it is sound or not.
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
    /// What the header says; `None` if the file is too short for one.
    pub header: Option<Header>,
    /// Slots A and B; empty if the header does not tell where they are.
    pub slots: Vec<MasterSlot>,
    path: PathBuf,
    /// The current state, or why there is none.
    state: std::result::Result<Snapshot, Damage>,
}

/// The path down the index to a record, as far as the file can be read; see [`Structure::path_to`].
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let found = capturefile::Structure::read(&path)?.path_to(1);
/// assert_eq!((found.steps.len(), found.error.is_none()), (2, true));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct IndexPath {
    /// From the current master node down.
    pub steps: Vec<IndexStep>,
    /// Why the path ends before the record.
    pub error: Option<Error>,
}

/// What is passed on the path to a record.
///
/// ```
/// use capturefile::IndexStep;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// for step in capturefile::Structure::read(&path)?.path_to(1).steps {
///     match step {
///         IndexStep::Node { height, children, .. } => assert_eq!((height, children), (1, 1)),
///         IndexStep::Record { is_pending, .. } => assert!(is_pending),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexStep {
    /// An index node.
    #[non_exhaustive]
    Node {
        /// Its height; the children of a node of height 1 are records.
        height: u32,
        /// How many children it has: as many as the fan-out says, or fewer if it is unfinished.
        children: u64,
        /// How many records are below each child.
        below: u64,
        /// The number of its first record.
        first: u64,
        /// Which child leads to the record, counted from 0; `None` if the record comes after all of them.
        chosen: Option<u64>,
        /// Where it is; `None` if it is unfinished, and so in the master node.
        at: Option<Coordinates>,
    },
    /// The record.
    #[non_exhaustive]
    Record {
        /// Where it is.
        at: Coordinates,
        /// Whether it is in the block that is not compressed yet.
        is_pending: bool,
    },
}

impl Structure {
    /// Reads the header and both slots of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read. Damage is no error.
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
        if is_version_3(&storage).map_err(failed)? {
            return Err(Error::FormatUnsupported {
                path: path.to_owned(),
                what: "show the structure of",
                version: 3,
            });
        }
        let file_size = storage.length().map_err(failed)?;
        let without_slots = |header, damage| {
            let (slots, path, state) = (Vec::new(), path.to_owned(), Err(damage));
            Ok(Self { file_size, header, slots, path, state })
        };
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
        // Once more: a writer may have added what the slots say by now.
        let file_size = file.storage.length().map_err(failed)?;
        let current = both.current.as_ref().map(|master| Slot::of_serial(master.serial));
        let mut slots = Vec::with_capacity(both.slots.len());
        for (slot, bytes) in Slot::BOTH.into_iter().zip(both.slots) {
            let is_current = current == Some(slot);
            slots.push(MasterSlot { is_current, ..MasterSlot::decode(&geometry, slot, bytes) });
        }
        let state = match both.current {
            Some(master) => Ok(Snapshot::cut_short(Arc::new(file), master, file_size)),
            None => Err(Damage::new("no master node that is surely the current one", "one in slot A or B")),
        };
        Ok(Self { file_size, header: Some(header), slots, path: path.to_owned(), state })
    }

    /// Returns why there is no header, or no slots, or no current one among them.
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

    /// Counts the records that the last commit added, if the one before it is still there.
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
        let [a, b] = &self.slots[..] else {
            return None;
        };
        let (now, before) = if a.is_current { (a, b) } else { (b, a) };
        let are_sound = now.is_current && before.problem.is_none();
        let follow = are_sound && now.serial_number.wrapping_sub(before.serial_number) == 1;
        now.record_count.checked_sub(before.record_count).filter(|_| follow)
    }

    /// Goes down the index to record `number`, counted from 1, as far as the file can be read.
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
            Ok(state) => descend(state, number, &mut steps),
            Err(damage) => Err(Error::corrupt(&self.path, damage.clone())),
        };
        IndexPath { steps, error: result.err() }
    }
}

/// Checks that slots of these sizes can be looked at.
fn check_sizes(geometry: &Geometry) -> std::result::Result<(), Damage> {
    geometry.check_sizes().map_err(|damage| damage.at(0))?;
    let size = geometry.slot_size();
    if size <= MAX_SLOT_SIZE {
        return Ok(());
    }
    let expected = format!("at most {MAX_SLOT_SIZE}, which can be looked at");
    Err(Damage::new(format!("a header with master slots of {size} bytes"), expected).at(0))
}

/// Goes from the rightmost path down to a record, and notes each step before the next is read.
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
