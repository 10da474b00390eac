//! Opening, creating, refreshing and closing capture files.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use arc_swap::{ArcSwap, Guard};

use super::role::{Role, WriterRole};
use crate::either::file::AnyFile;
use crate::either::snapshot::Snapshot;
use crate::either::writer::AnyWriter;
use crate::error::Result;
use crate::lock::FileIdentity;
use crate::sync::forks::forks;
use crate::sync::group_commit::{CommitSteps, GroupCommit};
use crate::sync::published::Published;

/// An open capture file, for reading or for writing. All methods may be called from many threads.
///
/// ```
/// use capturefile::{CaptureFile, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).open(&path)?;
/// let reader = CaptureFile::open(&path)?;
/// log.add_record(b"one")?;
/// log.commit()?;
/// assert!(reader.refresh(false)?);
/// assert_eq!(reader.snapshot()?.record(1)?, *b"one");
/// # Ok(()) }
/// ```
pub struct CaptureFile {
    pub(super) file: Arc<AnyFile>,
    /// Shared with the thread that performs started commits.
    pub(super) published: Arc<Published<Snapshot>>,
    pub(super) role: Role,
}

/// Borrows a snapshot for a short time, which is cheaper than sharing it; see [`CaptureFile::try_snapshot`].
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let guard = log.try_snapshot().expect("nothing has been written");
/// assert_eq!(guard.record_count(), 0);
/// let kept = std::sync::Arc::clone(&guard);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SnapshotGuard(Guard<Arc<Snapshot>>);

impl Deref for SnapshotGuard {
    type Target = Arc<Snapshot>;

    fn deref(&self) -> &Arc<Snapshot> {
        &self.0
    }
}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("CaptureFile");
        out.field("path", &self.path()).field("is_writer", &self.is_writer()).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Creates a reader of a file, which shows the last commit.
    pub(super) fn new_reader(file: Arc<AnyFile>) -> Result<Self> {
        let (snapshot, seen) = file.current()?;
        let role = Role::Reader(ArcSwap::from_pointee(seen));
        Ok(Self { file, published: Arc::new(Published::new(snapshot, 0)), role })
    }

    pub(super) fn new_writer(file: AnyFile, mut writer: AnyWriter) -> Result<Self> {
        let snapshot = writer.snapshot()?;
        Ok(Self {
            file: Arc::new(file),
            published: Arc::new(Published::new(snapshot, writer.changes())),
            role: Role::Writer(Box::new(WriterRole {
                group: Arc::new(GroupCommit::new(Some(writer))),
                final_stats: OnceLock::new(),
                forks: forks(),
            })),
        })
    }

    /// Makes the name `target` of the file durable. The file is synced last: XFS reports no error for a
    /// folder whose disk has disappeared, but does for a file.
    pub(crate) fn sync_name(&self, target: &Path) -> io::Result<()> {
        self.file.storage.sync_folder(target)?;
        self.file.storage.sync()
    }

    /// Returns the file's path, as it was opened.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.path(), path);
    /// # Ok(()) }
    /// ```
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Returns the state that this object sees: as of the last refresh or, for a writer, including everything
    /// it has added. In a forked child process a writer shows what its parent has committed.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) or [`Error::Io`](crate::Error::Io) if a writer cannot read
    /// back its own frames, or a child process the last commit.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let before = log.snapshot()?;
    /// log.add_record(b"two")?;
    /// assert_eq!((before.record_count(), log.snapshot()?.record_count()), (1, 2));
    /// # Ok(()) }
    /// ```
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let (current, is_latest) = self.published.load();
        match self.writer_here().filter(|_| !is_latest) {
            Some(role) => self.bring_up_to_date(role),
            None if self.is_forked(&current) => self.show_committed(),
            None => Ok(current),
        }
    }

    /// Borrows the current snapshot if that requires no waiting. For short reads; this is cheaper than
    /// sharing it with [`snapshot`](Self::snapshot).
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert!(log.try_snapshot().is_none());
    /// assert_eq!(log.snapshot()?.record_count(), 1);
    /// assert_eq!(log.try_snapshot().map(|snapshot| snapshot.record_count()), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn try_snapshot(&self) -> Option<SnapshotGuard> {
        let (current, is_latest) = self.published.load_guard();
        let is_usable = is_latest || self.writer_here().is_none();
        (is_usable && !self.is_forked(&current)).then(|| SnapshotGuard(current))
    }

    /// Returns whether a forked child would see a transaction of its parent, which may have rolled it back.
    fn is_forked(&self, current: &Snapshot) -> bool {
        matches!(&self.role, Role::Writer(role) if role.forks != forks()) && current.is_uncommitted()
    }

    fn show_committed(&self) -> Result<Arc<Snapshot>> {
        Ok(self.published.publish(self.file.current()?.0))
    }

    /// Returns the writer; `None` in a forked child, which must not use it.
    fn writer_here(&self) -> Option<&WriterRole> {
        match &self.role {
            Role::Writer(role) => Some(&**role).filter(|role| role.forks == forks()),
            Role::Reader(_) => None,
        }
    }

    fn bring_up_to_date(&self, role: &WriterRole) -> Result<Arc<Snapshot>> {
        match role.group.lock().writer.as_mut() {
            Some(writer) => Ok(self.published.publish(writer.snapshot()?)),
            None => Ok(self.published.load().0),
        }
    }

    /// Counts the records that this object sees.
    ///
    /// # Errors
    ///
    /// The errors of [`snapshot`](Self::snapshot), in a forked child process.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.record_count()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn record_count(&self) -> Result<u64> {
        let (current, is_latest) = self.published.load_guard();
        if let Some(role) = self.writer_here().filter(|_| !is_latest) {
            let shared = role.group.lock();
            // A writer that was closed meanwhile has left the published state current.
            let shown = || self.published.load_guard().0.record_count();
            return Ok(shared.writer.as_ref().map_or_else(shown, AnyWriter::record_count));
        }
        if self.is_forked(&current) {
            return Ok(self.snapshot()?.record_count());
        }
        Ok(current.record_count())
    }

    /// Returns the current length of the file in bytes, including preallocated space.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if the system call fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert_eq!(log.file_size()?, std::fs::metadata(&path).unwrap().len());
    /// # Ok(()) }
    /// ```
    pub fn file_size(&self) -> Result<u64> {
        let length = self.file.storage.length();
        length.map_err(self.file.failed("read the length of"))
    }

    /// Identifies the open file, whatever is at its path.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if the system call fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let reader = capturefile::CaptureFile::open(&path)?;
    /// assert_eq!(log.identity()?, reader.identity()?);
    /// # Ok(()) }
    /// ```
    pub fn identity(&self) -> Result<FileIdentity> {
        self.file.storage.identity().map_err(self.file.failed("identify"))
    }

    /// Returns whether the file, not this object, is open for writing in any process.
    ///
    /// A writer of another process is recognized by its lock, so one that was opened with
    /// [`os_lock(false)`](crate::OpenOptions::os_lock) goes unnoticed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if the file system has no locks.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let writer = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let reader = capturefile::CaptureFile::open(&path)?;
    /// assert!(reader.is_being_written()?);
    /// writer.close();
    /// assert!(!reader.is_being_written()?);
    /// # Ok(()) }
    /// ```
    pub fn is_being_written(&self) -> Result<bool> {
        self.file.storage.is_being_written().map_err(self.file.failed("look for a writer of"))
    }

    /// Returns whether this object is open for writing.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// assert!(log.is_writer() && !log.reader()?.is_writer());
    /// # Ok(()) }
    /// ```
    pub fn is_writer(&self) -> bool {
        matches!(self.role, Role::Writer(_))
    }

    /// Returns whether closing would lose records or metadata that are not committed.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.set_metadata(Some(b"new"))?;
    /// assert!(log.has_uncommitted());
    /// log.commit()?;
    /// assert!(!log.has_uncommitted());
    /// # Ok(()) }
    /// ```
    pub fn has_uncommitted(&self) -> bool {
        match &self.role {
            Role::Writer(role) if role.forks == forks() => {
                role.group.lock().writer.as_ref().is_some_and(AnyWriter::has_uncommitted)
            }
            _ => false,
        }
    }
}
