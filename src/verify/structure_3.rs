//! The contents of the heads and the log of a file of version 3, and the path down its index to a record.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Damage, Error, Result};
use crate::format::{self, HeaderChecksum};
use crate::read::open_file::Opened;
use crate::storage::{Storage, read_up_to};
use crate::v3::format::Header;
use crate::v3::format::head::Head;
use crate::v3::format::index::Child;
use crate::v3::log::LogState;
use crate::v3::open::heads::read_slot;
use crate::v3::open::reader;
use crate::v3::open::repeated::find_repeated;
use crate::v3::read::frames::FrameSource;
use crate::v3::read::snapshot::Snapshot;
use crate::v3::shared::Shared;

use super::steps::IndexStep;

/// Holds the content of a head of a file in version 3 of the format, or why it is invalid; see
/// [`Structure`](crate::Structure).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
/// let heads = capturefile::Structure::read(&path)?.heads;
/// assert!(heads.iter().all(|head| head.problem.is_none() && head.record_count == 0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HeadSlot {
    /// Where it is in the file.
    pub position: u64,
    /// Its serial number; the head with the greater one is newer.
    pub serial_number: u64,
    /// Where the log begins according to it, as a position in the log.
    pub begin: u64,
    /// The log position up to which a sync had covered the log when the head was written.
    pub sure: u64,
    /// Where the next frame would start.
    pub file_limit: u64,
    /// Number of records in frames.
    pub record_count: u64,
    /// Where the frame of the metadata is, if there is one.
    pub metadata: Option<u64>,
    /// Number of children of the unfinished node of each height, from height 1 on.
    pub levels: Vec<u32>,
    /// Why it is invalid, if it is; then all numbers are 0.
    pub problem: Option<Damage>,
    /// Whether it is the newest one.
    pub is_current: bool,
}

/// Describes the log of a file in version 3 of the format; see [`Structure`](crate::Structure).
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = capturefile::OpenOptions::new().write(true).format(3).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// let extent = capturefile::Structure::read(&path)?.log.expect("the file is sound");
/// assert_eq!((extent.record_count, extent.end - extent.begin < extent.size), (1, true));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogExtent {
    /// Size of the ring in bytes.
    pub size: u64,
    /// The position in the log of the first entry that readers need.
    pub begin: u64,
    /// The position after the last entry.
    pub end: u64,
    /// Number of entries in between.
    pub entries: u64,
    /// Number of records that are not in a frame yet.
    pub record_count: u64,
}

/// The parts of a file of version 3 for display.
pub(super) struct StructureParts {
    pub(super) header: format::Header,
    pub(super) heads: Vec<HeadSlot>,
    pub(super) state: std::result::Result<Arc<Snapshot>, Damage>,
}

/// Reads the parts of a file of version 3.
pub(super) fn read_parts(path: &Path, storage: Box<dyn Storage>, cache: u64) -> Result<StructureParts> {
    let failed = |error| Error::io(path, "read", error);
    let mut start = [0; Header::SIZE];
    let length = read_up_to(&*storage, &mut start, 0).map_err(failed)?;
    let (header, damage) = match Header::decode(&start[..length]) {
        Ok(header) => (header, None),
        Err(damage) => match find_repeated(&*storage).map_err(failed)? {
            Some(header) => (header, Some(damage)),
            None => return Err(Error::corrupt(path, damage)),
        },
    };
    let file = Arc::new(Shared::new(Opened::new(path, storage, 1), header, cache));
    let said = format::Header {
        magic: "MioCapture".to_owned(),
        geometry: header.geometry(),
        checksum: if damage.is_none() { HeaderChecksum::Right } else { HeaderChecksum::Wrong },
    };
    let state = match (damage, reader::open(&file)) {
        // Readers refuse the file.
        (Some(damage), _) | (None, Err(Error::Corrupt { damage, .. })) => Err(damage),
        (None, Err(error)) => return Err(error),
        (None, Ok(state)) => {
            let frames = FrameSource { file: Arc::clone(&file), limit: state.frames.limit, open: None };
            Ok(Arc::new(Snapshot::committed(frames, state)))
        }
    };
    Ok(StructureParts { header: said, heads: heads(&file)?, state })
}

fn heads(file: &Shared) -> Result<Vec<HeadSlot>> {
    let found = [read_slot(file, 0)?, read_slot(file, 1)?];
    let newest = found.iter().flatten().map(|head| head.serial).max();
    let slots = (0..).zip(found).map(|(slot, found)| {
        let position = file.header.head_position(slot);
        match found {
            Ok(head) => HeadSlot { position, is_current: newest == Some(head.serial), ..HeadSlot::of(&head) },
            Err(bad) => HeadSlot { position, problem: Some(bad.damage), ..HeadSlot::default() },
        }
    });
    Ok(slots.collect())
}

impl HeadSlot {
    fn of(head: &Head) -> Self {
        let frames = &head.frames;
        let level = |height| frames.path.level(height).len().try_into().unwrap_or(u32::MAX);
        Self {
            serial_number: head.serial,
            begin: head.begin,
            sure: head.sure,
            file_limit: frames.limit,
            record_count: frames.count(),
            metadata: Some(frames.metadata).filter(|position| *position > 0),
            levels: (1..=frames.path.height()).map(level).collect(),
            ..Self::default()
        }
    }
}

impl LogExtent {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let state = &snapshot.state;
        Self {
            size: snapshot.frames.file.header.log.into(),
            begin: state.begin,
            end: state.end,
            entries: state.entries.len() as u64,
            record_count: state.total - state.frames.count(),
        }
    }
}

/// Returns how many records the last commit added, if the entry before it is still available.
pub(super) fn last_commit(state: &LogState) -> Option<u64> {
    let last = (0..state.entries.len())
        .rev()
        .find(|&index| state.entries.get(index).is_some_and(|entry| !entry.header.is_opening()))?;
    let entry = &state.entries.get(last)?.header;
    match last.checked_sub(1).and_then(|before| state.entries.get(before)) {
        Some(before) => entry.last().checked_sub(before.header.last()),
        None => (!entry.has_base()).then_some(entry.records.into()),
    }
}

/// Descends from the rightmost path to a record, and notes each step before the next one is read.
pub(super) fn descend(snapshot: &Snapshot, number: u64, steps: &mut Vec<IndexStep>) -> Result<()> {
    let (state, path) = (&snapshot.state, &snapshot.state.frames.path);
    let found = (number > 0).then(|| path.find(number)).flatten();
    let lowest = found.map_or(0, |(height, ..)| height);
    let mut first = 1;
    for height in (lowest..path.height().into()).rev() {
        let children = path.level(u8::try_from(height + 1).unwrap_or(u8::MAX));
        let chosen = found.filter(|_| height == lowest).and_then(|_| index_of(children, first, number));
        steps.push(step(height + 1, children, first, chosen, None));
        first += children.iter().map(|child| child.records).sum::<u64>();
    }
    let Some((mut height, child, before)) = found else {
        let list = &state.entries;
        let entry = list.find(number).and_then(|index| list.get(index));
        let entry = entry.ok_or_else(|| snapshot.no_such_record(number))?;
        steps.push(IndexStep::Entry { position: entry.header.position, first: entry.header.first });
        return Ok(());
    };
    let (mut child, mut first) = (*child, before + 1);
    while height > 0 {
        let children = snapshot.frames.node(&child, first)?;
        let chosen = index_of(&children, first, number);
        steps.push(step(height, &children, first, chosen, Some(child.position)));
        let index = chosen.unwrap_or_default();
        first += children[..index].iter().map(|child| child.records).sum::<u64>();
        (height, child) = (height - 1, children[index]);
    }
    steps.push(IndexStep::Block { position: child.position, first });
    Ok(())
}

fn step(height: usize, children: &[Child], first: u64, chosen: Option<usize>, at: Option<u64>) -> IndexStep {
    let ends = children.iter().scan(first - 1, |last, child| {
        *last += child.records;
        Some(*last)
    });
    IndexStep::BlockNode {
        height: u32::try_from(height).unwrap_or(u32::MAX),
        first,
        lasts: ends.collect(),
        chosen,
        position: at,
    }
}

/// Returns the index of the child that leads to a record, in a node whose first record has the number `first`.
fn index_of(children: &[Child], first: u64, number: u64) -> Option<usize> {
    let mut last = first - 1;
    children.iter().position(|child| {
        last += child.records;
        number <= last
    })
}
