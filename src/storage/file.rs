//! A file of the operating system: positioned reads and writes, and one shared map of it.

#![expect(unsafe_code, reason = "mapping a file has no safe form")]

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use memmap2::Mmap;

use crate::format::in_memory;
use crate::storage::names::sync_folder;
use crate::storage::{FileIdentity, Map, Storage, futex, too_short};

#[cfg(target_os = "linux")]
fn drop_cached(file: &File, position: u64, length: u64) -> io::Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    let (Ok(position), Ok(length)) = (position.try_into(), length.try_into()) else {
        return Ok(());
    };
    posix_fadvise(file, position, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(io::Error::from)
}

/// macOS has no such call. What memory holds there after a sync that failed is taken for what is on the disk.
#[cfg(not(target_os = "linux"))]
fn drop_cached(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// A real file: positioned reads and writes, and one shared map of it that grows with the file.
#[derive(Debug)]
pub(crate) struct FileStorage {
    file: File,
    map: ArcSwapOption<Mmap>,
}

impl FileStorage {
    pub(crate) fn new(file: File) -> Self {
        Self { file, map: ArcSwapOption::empty() }
    }

    fn map_anew(&self, length: u64) -> io::Result<Arc<Mmap>> {
        let length = usize::try_from(length).map_err(|_| {
            io::Error::new(io::ErrorKind::Unsupported, "the file is larger than memory addresses")
        })?;
        // SAFETY: a map is read as plain bytes. Whole pages below a committed file limit, the only ones
        // that are looked at, never change, by the format; a foreign process that changes them anyway
        // gives damaged data, which every reader of the map checks for. Nobody reads past the length
        // that `map` has just checked; a file that is cut short in the moment between the check and
        // the read is the one case in which the system sends a signal.
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(&self.file)? };
        Ok(Arc::new(map))
    }
}

impl FileStorage {
    /// Calls `work` with the place of the four bytes at `position`, if the file can be mapped.
    fn with_word<T>(&self, position: u64, work: impl FnOnce(*const u8) -> T) -> Option<T> {
        let map = self.map(position + size_of::<u32>() as u64).ok()?;
        Some(work(map[in_memory(position)..].as_ptr()))
    }
}

impl Storage for FileStorage {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.file.write_at(bytes, position)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sync_folder(path)
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        drop_cached(&self.file, position, length)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let there = match std::fs::metadata(path) {
            Ok(there) => there,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let here = self.file.metadata()?;
        Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
    }

    fn map(&self, needed: u64) -> io::Result<Map> {
        let length = self.length()?;
        if length < needed {
            return Err(too_short(length, needed));
        }
        let current = self.map.load();
        if let Some(map) = current.as_ref().filter(|map| map.len() as u64 >= needed) {
            return Ok(Map::new(Arc::clone(map)));
        }
        let map = self.map_anew(length)?;
        self.map.store(Some(Arc::clone(&map)));
        Ok(Map::new(map))
    }

    fn wait_for_change(&self, position: u64, seen: [u8; 4], most: Duration) {
        let waited = self.with_word(position, |word| futex::wait(word, seen, most));
        if waited != Some(true) {
            std::thread::sleep(most);
        }
    }

    fn tell_change(&self, position: u64) {
        self.with_word(position, futex::wake);
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Ok(FileIdentity::of(&self.file.metadata()?))
    }
}
