//! The right to write: the advisory byte-range lock, and the registry of this process's writers.
//!
//! The lock belongs to the open file description (an OFD lock of Linux or macOS, or one of a handle of
//! Windows), not to the process, so closing another handle of the same file does not drop it. It conflicts
//! with the locks that the pure-Python package takes on the same bytes. The registry excludes a second
//! writer in this process even if locks are disabled; it uses the file's identity, so that links and
//! spellings of a path count as one file.

mod identity;
mod registry;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use crate::error::{Error, LockHolder, Result as CrateResult};
use crate::format::{Geometry, Slot};
use crate::sync::forks::forks;

pub(crate) use identity::Attributes;
pub use identity::FileIdentity;
use registry::registry;
pub(crate) use registry::watch_forks;

/// The byte that a writer holds for as long as it has the file open.
const WRITER_BYTE: u64 = 0x7FFF_FFFF_FFFF_FFFE;
/// Time for which a commit waits for readers of the pure-Python package to release the slots.
const SLOT_LOCK_WAIT: Duration = Duration::from_millis(100);

/// Returns whether any writer has the right to write the file: one of this process, or one that holds the lock.
pub(crate) fn is_being_written(file: &File) -> io::Result<bool> {
    let identity = FileIdentity::of_file(file)?;
    if registry().contains_key(&identity.while_it_exists()) {
        return Ok(true);
    }
    system::is_locked(file, WRITER_BYTE, 1)
}

/// Why a lock was refused.
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

    /// Returns whether this process is a child that was forked after the right was taken.
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
        open: impl FnOnce() -> CrateResult<(File, Attributes)>,
        os_lock: bool,
    ) -> Result<Self, Refusal> {
        let mut registry = registry();
        let (file, Attributes { identity, .. }) = open().map_err(Refusal::NotOpened)?;
        if registry.contains_key(&identity.while_it_exists()) {
            return Err(Refusal::Held(LockHolder::ThisProcess));
        }
        let file = os_lock.then_some(file);
        if let Some(file) = &file {
            lock_to_write(file)?;
        }
        registry.insert(identity.while_it_exists(), file.as_ref().map(system::descriptor));
        Ok(Self { identity, forks: forks(), file })
    }

    /// Returns which file may be written.
    pub(crate) fn identity(&self) -> FileIdentity {
        self.identity
    }
}

impl WriteRight for WriterLock {
    fn lock_slots(&self, geometry: &Geometry) -> Option<SlotLock<'_>> {
        if !system::LOCKS_ARE_ADVISORY {
            return None;
        }
        let file = self.file.as_ref()?;
        let (start, length) = (geometry.slot_position(Slot::A), 2 * geometry.slot_size());
        let deadline = Instant::now() + SLOT_LOCK_WAIT;
        let mut pause = Duration::from_micros(20);
        while system::lock_range(file, true, start, length).is_err() {
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
            let _ = system::lock_range(file, false, WRITER_BYTE, 1);
        }
        // Closed while the registry is locked, so that no fork happens in between.
        self.file = None;
    }
}

/// The slots, locked against readers that ask for a lock.
#[derive(Debug)]
pub(crate) struct SlotLock<'a> {
    file: &'a File,
    start: u64,
    length: u64,
}

impl Drop for SlotLock<'_> {
    fn drop(&mut self) {
        // Releasing a held lock does not fail; if it did, closing the file would end it.
        let _ = system::lock_range(self.file, false, self.start, self.length);
    }
}

/// Locks the writer's byte, or returns why that failed.
fn lock_to_write(file: &File) -> Result<(), Refusal> {
    let deadline = Instant::now() + system::INQUIRY;
    loop {
        match system::lock_range(file, true, WRITER_BYTE, 1) {
            Ok(()) => return Ok(()),
            Err(error) if !system::is_held(&error) => return Err(Refusal::Unavailable(error)),
            Err(_) if Instant::now() >= deadline => return Err(Refusal::Held(LockHolder::OtherProcess)),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no such files")]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let known = |file: File| {
            let attributes = Attributes::of_file(&file).unwrap();
            Ok((file, attributes))
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
