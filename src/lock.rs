//! Who may write: the advisory byte-range lock, the registry of this process's writers, and forks.
//!
//! The lock belongs to the open file description (an OFD lock of Linux or macOS), not to the process, so closing another
//! handle of the same file does not drop it. It conflicts with the POSIX locks that the pure-Python
//! package takes on the same bytes. The registry keeps a second writer out of this process even where
//! locks are switched off; it goes by device and inode, so links and spellings of a path are one file.

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
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use crate::error::{Error, Result as CrateResult};
use crate::format::{Geometry, Slot};
use crate::sync::forks::{count_fork, forks};

/// The byte that a writer holds for as long as it has the file open.
const WRITER_BYTE: i64 = 0x7FFF_FFFF_FFFF_FFFE;
/// How long a commit waits for readers of the pure-Python package to release the slots.
const SLOT_LOCK_WAIT: Duration = Duration::from_millis(100);

/// A file's identity: device and inode.
pub(crate) type FileId = (u64, u64);

/// Writers of this process, with the descriptor that holds the lock, if one does.
type Registry = HashMap<FileId, Option<RawFd>>;

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    // SAFETY: the handlers are functions of this program that take and give nothing. They run in the
    // thread that forks; the child's closes descriptors and counts, which is allowed in a child.
    unsafe {
        libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
    }
    Mutex::default()
});

thread_local! {
    /// The registry, held over a fork so that the child gets it whole.
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

/// A child shares its parent's open file descriptions, and with them the locks: it releases them, so
/// that they end with the parent's own descriptors.
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

/// Which file this is.
pub(crate) fn file_id(file: &File) -> io::Result<FileId> {
    file.metadata().map(|metadata| id_of(&metadata))
}

/// Which file this is the metadata of.
pub(crate) fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Why a lock was not given.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A writer of this process has the file.
    ThisProcess,
    /// Another process has it.
    OtherProcess,
    /// The file system has no such locks, or the system failed.
    Unavailable(io::Error),
    /// The file could not be opened.
    NotOpened(Error),
}

/// The right to write one file, for as long as this lives.
pub(crate) trait WriteRight: Send + Sync + fmt::Debug {
    /// Keeps readers of the pure-Python package away from the slots while the guard lives, waiting a short time for
    /// those who are reading. Nothing of ours depends on it.
    fn lock_slots(&self, geometry: &Geometry) -> Option<SlotLock<'_>>;

    /// Whether this process was forked off after the right was taken.
    fn is_forked(&self) -> bool;
}

/// The right to write a file of the operating system.
#[derive(Debug)]
pub(crate) struct WriterLock {
    id: FileId,
    forks: u64,
    /// The description that holds the lock, apart from the one that is read and written; `None` where
    /// locking is switched off.
    file: Option<File>,
}

impl WriterLock {
    /// Takes the right to write the file that `open` opens, which is the same file as the one that the
    /// caller writes through but opened by itself. With `os_lock` off only this process's writers are
    /// kept out.
    ///
    /// The file is opened while the registry is held: a child that is forked off between opening and
    /// locking would keep a descriptor, and so the lock, for as long as it lives.
    pub(crate) fn take(open: impl FnOnce() -> CrateResult<File>, os_lock: bool) -> Result<Self, Refusal> {
        let mut registry = registry();
        let file = open().map_err(Refusal::NotOpened)?;
        let id = file_id(&file).map_err(Refusal::Unavailable)?;
        if registry.contains_key(&id) {
            return Err(Refusal::ThisProcess);
        }
        let file = os_lock.then_some(file);
        if let Some(file) = &file {
            lock_range(file, true, WRITER_BYTE, 1).map_err(|errno| match errno {
                Errno::EAGAIN | Errno::EACCES => Refusal::OtherProcess,
                other => Refusal::Unavailable(other.into()),
            })?;
        }
        registry.insert(id, file.as_ref().map(AsRawFd::as_raw_fd));
        Ok(Self { id, forks: forks(), file })
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
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
            // The fork handler has closed the descriptor; its number may be somebody else's by now.
            std::mem::forget(self.file.take());
            return;
        }
        let mut registry = registry();
        registry.remove(&self.id);
        if let Some(file) = &self.file {
            // Closing is not enough where a child that is about to start another program has a copy of
            // the descriptor for a moment. If this fails, closing will do.
            let _ = lock_range(file, false, WRITER_BYTE, 1);
        }
        // Closed while the registry is held, so that no fork falls between the two.
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
        // Releasing a lock that is held does not fail; if it did, the file's close would end it.
        let _ = lock_range(self.file, false, self.start, self.length);
    }
}

/// Takes or releases a lock, at once or not at all. Called by the system's own name for it, since that is
/// the same on Linux and macOS.
#[expect(clippy::cast_possible_truncation, reason = "these constants are all below 4")]
fn lock_range(file: &File, locked: bool, start: i64, length: i64) -> Result<(), Errno> {
    let range = libc::flock {
        l_type: if locked { libc::F_WRLCK } else { libc::F_UNLCK } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    // SAFETY: `file` keeps the descriptor open, and the call only reads `range`, which outlives it.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no such files")]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = file.reopen().unwrap();
        let copy = held.try_clone().unwrap();
        let lock = WriterLock::take(|| Ok(held), true).unwrap();
        assert!(matches!(WriterLock::take(|| Ok(file.reopen().unwrap()), true), Err(Refusal::ThisProcess)));
        drop(lock);
        assert!(WriterLock::take(|| Ok(file.reopen().unwrap()), true).is_ok());
        drop(copy);
    }
}
