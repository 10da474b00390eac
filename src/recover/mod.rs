//! Recovering all readable records of a damaged file into a new one.
//!
//! The index leads to every record as long as it can be read. Where it cannot, three properties of the
//! format help: frames follow each other without gaps, so that a lost one ends where the next one starts;
//! a block can be parsed entry by entry; and each full index node repeats the places of its records, shortly
//! after them, so that records can be distinguished from metadata and counted without the tree above.

mod block;
mod entries;
mod fan_out;
mod raw;
mod report;
mod sink;
mod sizes;
mod slots;
mod source;
mod survey;
mod tally;
mod target;
mod v3;
mod walk;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::{fmt, io};

use crate::error::{Error, Result};
use crate::file::Replacement;
use crate::format::Coordinates;
use crate::format::master::MasterNode;
use crate::lock::{Attributes, FileIdentity};
use crate::storage::{FileStorage, Storage, already_exists, open_plain};
use crate::sync::progress::{Callback, Monitor, Progress};

use raw::{Raw, copy};
pub use report::{LostRange, MetadataOutcome, Recovery};
use sink::Sink;
use sizes::Sizes;
use slots::SlotState;
use source::DamagedFrames;
use survey::Region;
use target::Target;
use walk::RecoverWalk;

/// Recovers damaged files, with options; see [`recover`].
///
/// ```
/// use capturefile::{OpenOptions, RecoverOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
/// # let log = OpenOptions::new().write(true).open(&path)?;
/// # log.add_record(b"one")?;
/// # log.commit()?;
/// let recovery = RecoverOptions::new().keep_numbers(true).overwrite(true).recover(&path, &target)?;
/// assert!(recovery.is_complete());
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use]
pub struct RecoverOptions<'a> {
    overwrite: bool,
    keep_numbers: bool,
    progress: Option<Callback<'a>>,
}

impl fmt::Debug for RecoverOptions<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("RecoverOptions");
        out.field("overwrite", &self.overwrite)
            .field("keep_numbers", &self.keep_numbers)
            .finish_non_exhaustive()
    }
}

impl<'a> RecoverOptions<'a> {
    /// Creates options that refuse an existing target and leave out lost records.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// std::fs::write(&target, "in use").unwrap();
    /// assert!(capturefile::RecoverOptions::new().recover(&path, &target).is_err());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces an existing target, once recovery is complete.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// std::fs::write(&target, "an earlier attempt").unwrap();
    /// capturefile::RecoverOptions::new().overwrite(true).recover(&path, &target)?;
    /// assert_eq!(capturefile::CaptureFile::open(&target)?.record_count()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Replaces each lost record by an empty one, so that the others keep their numbers.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let recovery = capturefile::RecoverOptions::new().keep_numbers(true).recover(&path, &target)?;
    /// assert_eq!(Some(recovery.record_count), recovery.expected);
    /// # Ok(()) }
    /// ```
    pub fn keep_numbers(mut self, keep_numbers: bool) -> Self {
        self.keep_numbers = keep_numbers;
        self
    }

    /// Calls `callback` from time to time with the number of bytes of the source that are done: first zero, last all of
    /// them. If it returns [`ControlFlow::Break`], no file remains, and the error is an [`Error::Io`] of the kind
    /// `Interrupted`.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let stop = |_| ControlFlow::Break(());
    /// assert!(capturefile::RecoverOptions::new().progress(stop).recover(&path, &target).is_err());
    /// assert!(!target.exists());
    /// # Ok(()) }
    /// ```
    pub fn progress(mut self, callback: impl FnMut(Progress) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(callback));
        self
    }

    /// Recovers `source` into the new file `target`; see [`recover`].
    ///
    /// # Errors
    ///
    /// The errors of [`recover`], and [`Error::Io`] of the kind `Interrupted` if the callback ends the work.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// log.commit()?;
    /// let recovery = capturefile::RecoverOptions::new().recover(&path, &target)?;
    /// assert_eq!((recovery.recovered, recovery.expected), (2, Some(2)));
    /// # Ok(()) }
    /// ```
    pub fn recover(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<Recovery> {
        let (source, target) = (source.as_ref(), target.as_ref());
        let file = open_plain(source, false)?.0;
        check_target(&file, target, self.overwrite)?;
        let place = Replacement::new(target, self.overwrite)?;
        let found = Damaged::look(source, FileStorage::new(file), Monitor::new(target, self.progress))?;
        let target = found.create_target(target, place)?;
        let recovery = found.recover_into(Some(&target), self.keep_numbers)?;
        target.finish()?;
        Ok(recovery)
    }

    /// Returns what [`recover`](Self::recover) would do with `source`, without creating a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the source cannot be read, or if the callback ends the work; [`Error::Corrupt`] if the source
    /// is not a regular file, keeps being written, has a circular index, or has neither a header nor anything to recover.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// # log.add_record(b"one")?;
    /// # log.commit()?;
    /// let recovery = capturefile::RecoverOptions::new().survey(&path)?;
    /// println!("{} records can be recovered", recovery.recovered);
    /// # Ok(()) }
    /// ```
    pub fn survey(self, source: impl AsRef<Path>) -> Result<Recovery> {
        let source = source.as_ref();
        let file = open_plain(source, false)?.0;
        let storage = FileStorage::new(file);
        Damaged::look(source, storage, Monitor::new(source, self.progress))?
            .recover_into(None, self.keep_numbers)
    }
}

/// A damaged file, once its sizes are known.
enum Damaged<'a> {
    V2 { source: Box<DamagedFrames<'a>>, sizes: Box<Sizes> },
    V3 { raw: Raw<'a>, file: Box<v3::DamagedFile> },
}

impl<'a> Damaged<'a> {
    fn look(source: &Path, storage: impl Storage + 'static, monitor: Monitor<'a>) -> Result<Self> {
        let raw = Raw::new(source, Box::new(storage), monitor)?;
        raw.monitor.report()?;
        if let Some(found) = v3::DamagedFile::find(&raw)? {
            return Ok(Self::V3 { raw, file: Box::new(found) });
        }
        let (sizes, source) = sizes::find(raw)?;
        if source.guessed
            && let Some(found) = v3::DamagedFile::find_by_frames(&source.raw)?
        {
            return Ok(Self::V3 { raw: source.raw, file: Box::new(found) });
        }
        Ok(Self::V2 { source: Box::new(source), sizes: Box::new(sizes) })
    }

    /// Makes a new file of the same kind.
    fn create_target(&self, path: &Path, place: Replacement) -> Result<Target> {
        match self {
            Self::V2 { sizes, .. } => Target::create(path, place, sizes.geometry),
            Self::V3 { file, .. } => Target::create_version_3(path, place, &file.header),
        }
    }

    /// Copies everything readable to `target`, if there is one, and returns the report.
    fn recover_into(self, target: Option<&Target>, keep_numbers: bool) -> Result<Recovery> {
        let mut recovery = Recovery::default();
        let (metadata, monitor) = match self {
            Self::V2 { mut source, sizes } => {
                let header_damage = sizes.damage.clone();
                let mut sink = Sink::new(target, &mut recovery, keep_numbers, &source.raw);
                let metadata = recover_records(&mut source, *sizes, &mut sink)?;
                if let Some(damage) = header_damage
                    && found_nothing(sink.recovery)
                {
                    return Err(Error::corrupt(&source.raw.path, damage));
                }
                (metadata, source.raw.monitor.clone())
            }
            Self::V3 { raw, file } => {
                let mut sink = Sink::new(target, &mut recovery, keep_numbers, &raw);
                (v3::recover_records(&raw, *file, &mut sink)?, raw.monitor.clone())
            }
        };
        if let Some(target) = target {
            target.set_metadata(metadata.as_deref())?;
        }
        monitor.finish()?;
        Ok(recovery)
    }
}

/// Returns whether there is neither a commit nor a record nor metadata, as in a file that never was a capture file.
fn found_nothing(recovery: &Recovery) -> bool {
    recovery.expected.is_none() && recovery.record_count == 0 && recovery.last_metadata.is_none()
}

/// Writes everything that can be read of the damaged file at `source` to a new, intact file at `target`. The
/// source is not changed. Frames, index nodes, master nodes or the header may be destroyed, and the file may
/// be truncated.
///
/// All records outside of destroyed frames are found, in order. Lost records are left out, so that records
/// after them get lower numbers; the report lists them, and [`RecoverOptions::keep_numbers`] replaces them by
/// empty records. An existing target is refused. The new file appears under its name only when it is complete
/// and on the disk.
///
/// # Errors
///
/// [`Error::Io`] if the target exists, or a file cannot be read or written; [`Error::InvalidOption`] if the target is
/// the source; [`Error::Locked`] if the target is being written; [`Error::Corrupt`] if the source is not a regular
/// file, keeps being written, has a circular index, or has neither a header nor anything to recover.
///
/// # Examples
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (path, target) = (folder.path().join("log.capture"), folder.path().join("new.capture"));
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// # log.add_record(b"one")?;
/// # log.commit()?;
/// let recovery = capturefile::recover(&path, &target)?;
/// for lost in &recovery.lost {
///     println!("records {} to {} are lost", lost.first, lost.last);
/// }
/// # Ok(()) }
/// ```
pub fn recover(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<Recovery> {
    RecoverOptions::new().recover(source, target)
}

/// Refuses a target that is the source, or exists, before any work is done. It is not opened, because opening a pipe
/// would wait.
fn check_target(source: &File, target: &Path, overwrite: bool) -> Result<()> {
    let failed = |error| Error::io(target, "create", error);
    let existing = match Attributes::at(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if FileIdentity::of_file(source).map_err(failed)?.is_same_file(existing.identity) {
        let got = target.display().to_string();
        return Err(Error::InvalidOption {
            name: "target",
            got,
            expected: "it must be another file than the source",
        });
    }
    if overwrite { Ok(()) } else { Err(already_exists(target)) }
}

/// Finds all records and passes them to `sink`. Returns the metadata.
fn recover_records(source: &mut DamagedFrames, sizes: Sizes, sink: &mut Sink<'_>) -> Result<Option<Vec<u8>>> {
    if let Some(damage) = sizes.damage {
        source.note(damage);
    }
    for slot in &sizes.slots {
        if let SlotState::Bad { damage, .. } = slot {
            source.note(damage.clone());
        }
    }
    let metadata: Vec<Coordinates> = sizes.slots.iter().filter_map(SlotState::metadata).collect();
    let (current, later_commit_lost) = slots::current(sizes.slots);
    sink.recovery.later_commit_lost = later_commit_lost;
    sink.counts_known =
        sizes.fan_out_known || current.as_ref().is_none_or(|master| master.path.height() <= 1);
    let metadata = match current {
        None => recover_all(source, sink)?,
        Some(current) => recover_commit(source, sink, &current, &metadata)?,
    };
    sink.recovery.problems = source.take_problems();
    Ok(metadata)
}

/// Recovers everything in the frames, without a commit.
fn recover_all(source: &mut DamagedFrames, sink: &mut Sink<'_>) -> Result<Option<Vec<u8>>> {
    let mut walk = RecoverWalk::new(source, sink, Some(&[]));
    walk.rest(Region { after: None, before: None, start: walk.data_start() }, &[])?;
    let last_metadata = walk.metadata;
    sink.recovery.metadata = MetadataOutcome::Lost;
    note_last_metadata(source, sink, last_metadata)?;
    Ok(None)
}

/// Recovers all records of a commit, and those after it if the other slot may have held a later one.
fn recover_commit(
    source: &mut DamagedFrames,
    sink: &mut Sink<'_>,
    master: &MasterNode,
    known_metadata: &[Coordinates],
) -> Result<Option<Vec<u8>>> {
    source.end_with(master);
    sink.recovery.expected = master.path.record_count().filter(|_| sink.counts_known);
    let had_metadata = Some(known_metadata).filter(|known| !known.is_empty());
    RecoverWalk::new(source, sink, had_metadata).commit(master)?;
    let metadata = recover_metadata(source, sink, master)?;
    if sink.recovery.later_commit_lost {
        recover_later(source, sink, master, known_metadata)?;
    }
    Ok(metadata)
}

fn recover_metadata(
    source: &mut DamagedFrames,
    sink: &mut Sink<'_>,
    master: &MasterNode,
) -> Result<Option<Vec<u8>>> {
    if master.metadata.is_none() {
        return Ok(None);
    }
    let found = source.with_entry(master.metadata, |bytes, _| copy(bytes, "metadata"))?;
    sink.recovery.metadata = if found.is_some() { MetadataOutcome::Recovered } else { MetadataOutcome::Lost };
    Ok(found)
}

/// Recovers what was written after a commit whose successor is lost: in the file, it starts with the pending block of
/// the commit, if that can be read.
fn recover_later(
    source: &mut DamagedFrames,
    sink: &mut Sink<'_>,
    master: &MasterNode,
    known_metadata: &[Coordinates],
) -> Result<()> {
    source.open_end();
    if source.block(master.file_limit)?.is_some_and(|block| !block.head().starts_with(&master.pending)) {
        return Ok(());
    }
    sink.doubt = true;
    let offset = u32::try_from(master.pending.len()).unwrap_or(u32::MAX);
    let end = Coordinates { frame: master.file_limit, offset };
    // The last place before what follows: the byte before, or, without a pending block, the last frame.
    let after = match offset.checked_sub(1) {
        Some(offset) => Coordinates { offset, ..end },
        None => Coordinates { frame: master.file_limit - 1, offset: u32::MAX },
    };
    let region = Region { after: Some(after), before: None, start: master.file_limit };
    RecoverWalk::new(source, sink, Some(known_metadata)).rest(region, master.path.children(1))
}

fn note_last_metadata(
    source: &mut DamagedFrames,
    sink: &mut Sink<'_>,
    at: Option<Coordinates>,
) -> Result<()> {
    if let Some(at) = at {
        sink.recovery.last_metadata = source.with_entry(at, |bytes, _| copy(bytes, "metadata"))?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
