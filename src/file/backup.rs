//! Copies of files that others may be writing: blocks as they are, up to one commit.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use crate::either::snapshot::AnyState;
use crate::error::{Error, Result, reserve};
use crate::format::{Slot, in_memory};
use crate::read::open_file::{Opened, cut_short};
use crate::read::snapshot::Snapshot as V2;
use crate::storage::{FileStorage, Storage, open_plain, read_up_to, write_all};
use crate::sync::progress::{Callback, Monitor, Progress};
use crate::v3::log::Ring;
use crate::v3::read::snapshot::Snapshot as V3;

use super::capture_file::CaptureFile;
use super::replacement::Replacement;

/// Number of bytes copied in one step.
const CHUNK: u64 = 1024 * 1024;

/// Copies one commit of a file, which others may be writing in the meantime.
///
/// Compressed blocks are copied as they are, so this takes about as long as reading and writing the bytes.
/// The copy appears under its name once it is complete and on the disk. It has the records, the metadata and
/// the sizes of the last commit that was visible at the start, and can be written like any other file.
///
/// ```
/// use capturefile::{BackupOptions, CaptureFile, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (path, copy) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
/// let log = OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// log.add_record(b"two")?;
/// assert_eq!(BackupOptions::new().backup(&path, &copy)?, 1);
/// assert_eq!(CaptureFile::open(&copy)?.record_count()?, 1);
/// # log.rollback()?;
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use]
pub struct BackupOptions<'a> {
    overwrite: bool,
    progress: Option<Callback<'a>>,
}

impl fmt::Debug for BackupOptions<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BackupOptions").field("overwrite", &self.overwrite).finish_non_exhaustive()
    }
}

impl<'a> BackupOptions<'a> {
    /// Creates options that refuse an existing target.
    ///
    /// ```
    /// use capturefile::BackupOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, copy) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// BackupOptions::new().backup(&path, &copy)?;
    /// assert!(BackupOptions::new().backup(&path, &copy).is_err());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces an existing target once the copy is complete.
    ///
    /// ```
    /// use capturefile::BackupOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, copy) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// for _ in 0..2 {
    ///     BackupOptions::new().overwrite(true).backup(&path, &copy)?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Calls `callback` from time to time with the number of bytes copied, from 0 to all of them. If it
    /// returns [`ControlFlow::Break`], the error is an [`Error::Io`] of the kind `Interrupted`, and there is
    /// no copy.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use capturefile::BackupOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, copy) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut done = 0;
    /// let report = |progress: capturefile::Progress| {
    ///     done = progress.done;
    ///     ControlFlow::Continue(())
    /// };
    /// BackupOptions::new().progress(report).backup(&path, &copy)?;
    /// assert!(done > 0);
    /// # Ok(()) }
    /// ```
    pub fn progress(mut self, callback: impl FnMut(Progress) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(callback));
        self
    }

    /// Copies the file at `source` to `target`, and returns how many records the copy has.
    ///
    /// # Errors
    ///
    /// - [`Error::Io`] if a file cannot be read or written, or the target exists and is not to be replaced.
    /// - [`Error::Corrupt`] if the source is not a capture file, or was truncated.
    /// - [`Error::Locked`] if the target is being written.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::BackupOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, copy) = (folder.path().join("log.capture"), folder.path().join("copy.capture"));
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(BackupOptions::new().backup(&path, &copy)?, 0);
    /// # Ok(()) }
    /// ```
    pub fn backup(self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<u64> {
        let source = CaptureFile::open(source)?;
        let target = target.as_ref();
        let snapshot = source.snapshot()?;
        let place = Replacement::new(target, self.overwrite)?;
        let to = FileStorage::new(open_plain(place.temporary(), true)?.0);
        let copy = |file| Copy { file, to: &to, target, monitor: Monitor::new(target, self.progress) };
        match snapshot.state() {
            AnyState::V2(state) => copy(state.file()).version_2(state)?,
            AnyState::V3(state) => copy(&state.frames.file).version_3(state)?,
        }
        place.finish(true)?;
        Ok(snapshot.record_count())
    }
}

/// An unfinished copy.
struct Copy<'a> {
    file: &'a Opened,
    to: &'a dyn Storage,
    target: &'a Path,
    monitor: Monitor<'a>,
}

impl Copy<'_> {
    fn version_2(&self, from: &V2) -> Result<()> {
        let geometry = from.geometry();
        let data = geometry.data_start()..geometry.whole_pages(from.file_limit());
        self.begin(data.end)?;
        self.copy(data)?;
        // The commit goes into its slot, and into the other one as the commit before, as in a new file.
        let node = from.master_node();
        let mut image = Vec::new();
        for serial in [node.serial.wrapping_sub(1), node.serial] {
            node.encode(serial, &geometry, &mut image);
            self.put(&image, geometry.slot_position(Slot::of_serial(serial)))?;
        }
        // Written last, because a file without a header is not a capture file.
        self.copy(0..geometry.slot_position(Slot::A))?;
        self.monitor.finish()
    }

    /// The entries of the log have the same positions, and both heads begin with the first of them.
    fn version_3(&self, from: &V3) -> Result<()> {
        let (state, header) = (&from.state, &from.frames.file.header);
        let data = header.data_start()..from.frames.limit;
        self.begin(data.end)?;
        let failed = |error| Error::io(self.target, "write", error);
        self.to.set_length(header.initial_length().max(data.end)).map_err(failed)?;
        self.copy(data)?;
        self.put(&header.encode(), header.log_end())?;
        // The log of a new file has its first page, so that there is room on the disk for what opening writes.
        self.put(&vec![0; header.page as usize], header.log_start())?;
        let ring = Ring::new(self.to, header);
        if state.begin > header.first_position() {
            ring.write(state.begin - 8, &state.seed.to_be_bytes()).map_err(failed)?;
        }
        for entry in state.entries.iter() {
            ring.write(entry.header.position, entry.bytes()).map_err(failed)?;
            self.monitor.add_work(entry.header.total.into())?;
        }
        for head in state.heads_of_copy() {
            self.put(&head.encode(header), header.head_position(head.serial))?;
        }
        self.copy(0..header.page.into())?;
        self.monitor.finish()
    }

    fn begin(&self, total: u64) -> Result<()> {
        self.monitor.set_total(total);
        self.monitor.report()
    }

    /// Copies bytes that no commit changes any more.
    fn copy(&self, range: Range<u64>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut position = range.start;
        while position < range.end {
            let length = CHUNK.min(range.end - position);
            bytes.clear();
            reserve(&mut bytes, in_memory(length), "a part of a copy")?;
            bytes.resize(in_memory(length), 0);
            let read = read_up_to(&*self.file.storage, &mut bytes, position);
            let read = read.map_err(self.file.failed("read"))?;
            if read < bytes.len() {
                return Err(cut_short(self.file, position + read as u64, range.end));
            }
            self.put(&bytes, position)?;
            position += length;
            self.monitor.advance_to(position);
            self.monitor.add_work(length)?;
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], position: u64) -> Result<()> {
        write_all(self.to, bytes, position).map_err(|error| Error::io(self.target, "write", error))
    }
}
