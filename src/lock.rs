//! Who may write: the advisory byte-range lock, the registry of this process's writers, and forks.
//!
//! The lock belongs to the open file description (an OFD lock of Linux or macOS), not to the process, so
//! closing another handle of the same file does not drop it. It conflicts with the POSIX locks that the
//! pure-Python package takes on the same bytes. The registry excludes a second writer in this process even
//! if locks are disabled; it uses device and inode, so that links and spellings of a path count as one
//! file.

#![expect(
    unsafe_code,
    reason = "fork handlers, closing by number and locks outside of Linux have no safe form"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::libc;

use crate::error::{Error, LockHolder, Result as CrateResult};
use crate::format::{Geometry, Slot};
use crate::sync::forks::{count_fork, forks};

/// The byte that a writer holds for as long as it has the file open.
const WRITER_BYTE: i64 = 0x7FFF_FFFF_FFFF_FFFE;
/// Time for which a commit waits for readers of the pure-Python package to release the slots.
const SLOT_LOCK_WAIT: Duration = Duration::from_millis(100);

/// Tells a file apart from all others that one machine has ever had, also at the same place.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let before = log.identity()?;
/// let new = capturefile::OpenOptions::new().write(true).open(folder.path().join("new.capture"))?;
/// assert_ne!(before, new.identity()?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileIdentity {
    /// The device that it is on.
    pub device: u64,
    /// Its number on the device, which is reused after the file is deleted.
    pub inode: u64,
    /// Creation time in nanoseconds since the epoch, if the file system records it.
    pub birth: Option<u64>,
}

impl FileIdentity {
    /// Identifies an open file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    /// Identifies the file that this is the metadata of.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let since = |birth: SystemTime| birth.duration_since(UNIX_EPOCH).ok();
        let nanoseconds = metadata.created().ok().and_then(since).map(|birth| birth.as_nanos());
        let birth = nanoseconds.and_then(|birth| u64::try_from(birth).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), birth }
    }

    /// Distinguishes files that exist at the same time. The birth of a file can change: after a file of a
    /// container's image has been copied up, it is that of the copy.
    fn while_it_exists(self) -> Self {
        Self { birth: None, ..self }
    }

    /// Whether both are the same file, if both were looked at while it existed.
    pub(crate) fn is_same_file(self, other: Self) -> bool {
        self.while_it_exists() == other.while_it_exists()
    }
}

/// Writers of this process, by their files while these exist, with the descriptor that holds the lock, if one does.
type Registry = HashMap<FileIdentity, Option<RawFd>>;

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    // SAFETY: the handlers are functions of this program without arguments or results. They run in the
    // forking thread; the child's handler closes descriptors and counts, which is permitted in a child.
    unsafe {
        libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
    }
    Mutex::default()
});

thread_local! {
    /// The registry, locked during a fork so that the child gets a consistent copy.
    static HELD: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
}

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn before_fork() {
    HELD.with_borrow_mut(|held| *held = Some(registry()));
}

extern "C" fn after_fork_in_parent() {
    HELD.with_borrow_mut(|held| *held = None);
}

/// A child shares its parent's open file descriptions, and with them the locks. It closes its descriptors,
/// so that the locks end with the parent's.
extern "C" fn after_fork_in_child() {
    count_fork();
    HELD.with_borrow_mut(|held| {
        if let Some(registry) = held.as_mut() {
            for descriptor in registry.drain().filter_map(|(_, descriptor)| descriptor) {
                // SAFETY: the descriptor belongs to a `WriterLock` of the parent, whose copy in this
                // process does not close it again because it sees the fork.
                unsafe { libc::close(descriptor) };
            }
        }
        *held = None;
    });
}

/// Makes sure that forks are counted from now on.
pub(crate) fn watch_forks() {
    LazyLock::force(&REGISTRY);
}

/// Whether somebody has the right to write the file: a writer of this process, or one that holds the lock.
pub(crate) fn is_being_written(file: &File) -> io::Result<bool> {
    let identity = FileIdentity::of_file(file)?;
    if registry().contains_key(&identity.while_it_exists()) {
        return Ok(true);
    }
    let mut range = flock(true, WRITER_BYTE, 1);
    // SAFETY: `file` keeps the descriptor open, and the call reads and writes only `range`, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) };
    Errno::result(done)?;
    Ok(range.l_type != flock(false, WRITER_BYTE, 1).l_type)
}

/// The reason why a lock was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another writer holds it.
    Held(LockHolder),
    /// The file system has no such locks, or the system failed.
    Unavailable(io::Error),
    /// The file could not be opened.
    NotOpened(Error),
}

/// The right to write one file, for as long as this lives.
pub(crate) trait WriteRight: Send + Sync + fmt::Debug {
    /// Locks out readers of the pure-Python package from the slots while the guard lives, after waiting
    /// briefly for active readers. This library does not depend on it.
    fn lock_slots(&self, geometry: &Geometry) -> Option<SlotLock<'_>>;

    /// Whether this process is a child that was forked after the right was taken.
    fn is_forked(&self) -> bool;
}

/// The right to write a file of the operating system.
#[derive(Debug)]
pub(crate) struct WriterLock {
    identity: FileIdentity,
    forks: u64,
    /// The description that holds the lock, separate from the one for reading and writing; `None` if
    /// locking is disabled.
    file: Option<File>,
}

impl WriterLock {
    /// Takes the right to write the file that `open` opens: the file that the caller writes, opened
    /// separately, with its attributes. Without `os_lock`, only writers of this process are excluded.
    ///
    /// The file is opened while the registry is locked: a child forked between opening and locking would
    /// keep a descriptor, and so the lock, as long as it lives.
    pub(crate) fn take(
        open: impl FnOnce() -> CrateResult<(File, Metadata)>,
        os_lock: bool,
    ) -> Result<Self, Refusal> {
        let mut registry = registry();
        let (file, metadata) = open().map_err(Refusal::NotOpened)?;
        let identity = FileIdentity::of(&metadata);
        if registry.contains_key(&identity.while_it_exists()) {
            return Err(Refusal::Held(LockHolder::ThisProcess));
        }
        let file = os_lock.then_some(file);
        if let Some(file) = &file {
            lock_range(file, true, WRITER_BYTE, 1).map_err(|errno| match errno {
                Errno::EAGAIN | Errno::EACCES => Refusal::Held(LockHolder::OtherProcess),
                other => Refusal::Unavailable(other.into()),
            })?;
        }
        registry.insert(identity.while_it_exists(), file.as_ref().map(AsRawFd::as_raw_fd));
        Ok(Self { identity, forks: forks(), file })
    }

    /// Returns which file may be written.
    pub(crate) fn identity(&self) -> FileIdentity {
        self.identity
    }
}

impl WriteRight for WriterLock {
    fn lock_slots(&self, geometry: &Geometry) -> Option<SlotLock<'_>> {
        let file = self.file.as_ref()?;
        let start = i64::try_from(geometry.slot_position(Slot::A)).ok()?;
        let length = i64::try_from(2 * geometry.slot_size()).ok()?;
        let deadline = Instant::now() + SLOT_LOCK_WAIT;
        let mut pause = Duration::from_micros(20);
        while lock_range(file, true, start, length).is_err() {
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Some(SlotLock { file, start, length })
    }

    fn is_forked(&self) -> bool {
        self.forks != forks()
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        if self.is_forked() {
            // The fork handler has closed the descriptor; its number may have been reused.
            std::mem::forget(self.file.take());
            return;
        }
        let mut registry = registry();
        registry.remove(&self.identity.while_it_exists());
        if let Some(file) = &self.file {
            // Closing is not enough while a child that is about to start another program has a copy of the
            // descriptor. If unlocking fails, closing has to suffice.
            let _ = lock_range(file, false, WRITER_BYTE, 1);
        }
        // Closed while the registry is locked, so that no fork happens in between.
        self.file = None;
    }
}

/// The slots, locked against readers that ask for a lock.
#[derive(Debug)]
pub(crate) struct SlotLock<'a> {
    file: &'a File,
    start: i64,
    length: i64,
}

impl Drop for SlotLock<'_> {
    fn drop(&mut self) {
        // Releasing a held lock does not fail; if it did, closing the file would end it.
        let _ = lock_range(self.file, false, self.start, self.length);
    }
}

/// Takes or releases a lock without waiting. It uses the system's name for the call, which is the same on
/// Linux and macOS.
fn lock_range(file: &File, locked: bool, start: i64, length: i64) -> Result<(), Errno> {
    let range = flock(locked, start, length);
    // SAFETY: `file` keeps the descriptor open, and the call only reads `range`, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    Errno::result(done).map(drop)
}

/// Returns a range to lock or release, as the system represents it.
#[expect(clippy::cast_possible_truncation, reason = "these constants are all below 4")]
fn flock(locked: bool, start: i64, length: i64) -> libc::flock {
    libc::flock {
        l_type: if locked { libc::F_WRLCK } else { libc::F_UNLCK } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_copied_up_is_the_same_file_and_one_that_took_its_number_is_another() {
        let image = FileIdentity { device: 1, inode: 2, birth: Some(3) };
        for copy in [FileIdentity { birth: Some(4), ..image }, FileIdentity { birth: None, ..image }] {
            assert!(image.is_same_file(copy));
            assert_ne!(image, copy);
        }
        assert!(!image.is_same_file(FileIdentity { inode: 3, ..image }));
        assert!(!image.is_same_file(FileIdentity { device: 2, ..image }));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no such files")]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let known = |file: File| {
            let metadata = file.metadata().unwrap();
            Ok((file, metadata))
        };
        let held = file.reopen().unwrap();
        let copy = held.try_clone().unwrap();
        let lock = WriterLock::take(|| known(held), true).unwrap();
        assert!(matches!(
            WriterLock::take(|| known(file.reopen().unwrap()), true),
            Err(Refusal::Held(LockHolder::ThisProcess))
        ));
        drop(lock);
        assert!(WriterLock::take(|| known(file.reopen().unwrap()), true).is_ok());
        drop(copy);
    }
}
