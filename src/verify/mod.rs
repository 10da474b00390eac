//! Reading a whole file to find all damage in it.

mod lists;
mod order;
mod report;
mod slots;
mod steps;
mod structure;
mod structure_3;
mod version_3;
mod walk;

pub(crate) use lists::{Run, list_problem, list_run};
pub use report::Report;
pub use steps::{IndexPath, IndexStep};
pub use structure::Structure;
pub use structure_3::{HeadSlot, LogExtent};

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use crate::either::snapshot::AnyState;
use crate::error::Result;
use crate::file::CaptureFile;
use crate::sync::progress::{Callback, Monitor, Progress};

use order::{Order, Walked};
use walk::VerifyWalk;

/// Verifies files, with options; see [`verify`].
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # capturefile::OpenOptions::new().write(true).open(&path)?;
/// let report = capturefile::VerifyOptions::new().quick(true).verify(&path)?;
/// assert!(report.is_sound());
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use]
pub struct VerifyOptions<'a> {
    quick: bool,
    progress: Option<Callback<'a>>,
}

impl fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("VerifyOptions").field("quick", &self.quick).finish_non_exhaustive()
    }
}

impl<'a> VerifyOptions<'a> {
    /// Creates options for reading everything, without progress reports.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let options = capturefile::VerifyOptions::new();
    /// assert_eq!(options.verify(&path)?, capturefile::verify(&path)?);
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks only what is cheap in a file of any size: the header, the master nodes, the edges of the index tree with
    /// the records there, the last frames, and the metadata.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(capturefile::VerifyOptions::new().quick(true).verify(&path)?.is_sound());
    /// # Ok(()) }
    /// ```
    pub fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// Calls `callback` from time to time with the number of bytes that are done: first zero, last all of them. If it
    /// returns [`ControlFlow::Break`], the error is an [`Error::Io`](crate::Error::Io) of the kind `Interrupted`. A
    /// [`quick`](Self::quick) check does not call it.
    ///
    /// Each byte counts as half done when its block has been inflated, and as done when the index has led there.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut share = 0.0;
    /// let callback = |progress: capturefile::Progress| {
    ///     share = progress.done as f64 / progress.total as f64;
    ///     ControlFlow::Continue(())
    /// };
    /// capturefile::VerifyOptions::new().progress(callback).verify(&path)?;
    /// assert_eq!(share, 1.0);
    /// # Ok(()) }
    /// ```
    pub fn progress(mut self, callback: impl FnMut(Progress) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(callback));
        self
    }

    /// Verifies the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the file cannot be opened as a capture file at all;
    /// [`Error::Io`](crate::Error::Io) if it cannot be read, or the callback ends the work. Damage is
    /// reported, not an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let report = capturefile::VerifyOptions::new().verify(&path)?;
    /// for damage in &report.problems {
    ///     println!("{damage}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn verify(self, path: impl AsRef<Path>) -> Result<Report> {
        self.verify_file(&CaptureFile::open(path)?)
    }

    /// Verifies the state that an open file shows.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let file = capturefile::CaptureFile::open(&path)?;
    /// assert!(capturefile::VerifyOptions::new().verify_file(&file)?.is_sound());
    /// # Ok(()) }
    /// ```
    pub fn verify_file(self, file: &CaptureFile) -> Result<Report> {
        if self.quick { look_at_edges(file) } else { read_all(file, self.progress) }
    }
}

/// Reads everything in the file at `path`: the header, both master nodes, every frame from the start of the
/// data to the file limit, every index node, every record's bounds, and the metadata. Data after the file
/// limit, which an unfinished transaction leaves, is not part of the file.
///
/// # Errors
///
/// [`Error::Corrupt`](crate::Error::Corrupt) if the file cannot be opened as a capture file at all, and
/// [`Error::Io`](crate::Error::Io) if it cannot be read. Damage is reported, not an error.
///
/// # Examples
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # capturefile::OpenOptions::new().write(true).open(&path)?;
/// assert!(capturefile::verify(&path)?.is_sound());
/// # Ok(()) }
/// ```
pub fn verify(path: impl AsRef<Path>) -> Result<Report> {
    VerifyOptions::new().verify(path)
}

/// Verifies an open file.
#[cfg(test)]
pub(crate) fn verify_open(file: &CaptureFile) -> Result<Report> {
    read_all(file, None)
}

fn look_at_edges(file: &CaptureFile) -> Result<Report> {
    let snapshot = file.snapshot()?;
    let snapshot = match snapshot.state() {
        AnyState::V2(snapshot) => snapshot,
        AnyState::V3(snapshot) => return version_3::look_at_edges(snapshot),
    };
    let mut walk = VerifyWalk::new(snapshot, Monitor::new(file.path(), None));
    walk.header_and_slots()?;
    walk.edges()?;
    walk.last_frames()?;
    walk.keep(snapshot.metadata().map(drop))?;
    Ok(walk.report)
}

fn read_all(file: &CaptureFile, progress: Option<Callback<'_>>) -> Result<Report> {
    let snapshot = file.snapshot()?;
    let monitor = Monitor::new(file.path(), progress);
    let snapshot = match snapshot.state() {
        AnyState::V2(snapshot) => snapshot,
        AnyState::V3(snapshot) => return version_3::read_all(snapshot, &monitor),
    };
    monitor.set_total(snapshot.file_limit());
    monitor.report()?;
    let mut walk = VerifyWalk::new(snapshot, monitor.clone());
    walk.header_and_slots()?;
    walk.inflate_budget = Some(walk.frames()?);
    let before = (walk.report.clone(), walk.broken.clone(), walk.inflate_budget);
    if walk.tree()? == Walked::InDisorder {
        // Damaged frames have to be reported again.
        (walk.report, walk.broken, walk.inflate_budget) = before;
        walk.order = Order::Any(HashSet::new());
        walk.tree()?;
        walk.overlaps();
    }
    walk.keep(snapshot.metadata().map(drop))?;
    monitor.finish()?;
    Ok(walk.report)
}
