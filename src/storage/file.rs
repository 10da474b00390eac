//! A file of the operating system: positioned reads and writes, and one shared map of it.

#![expect(unsafe_code, reason = "mapping a file has no safe form")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use memmap2::Mmap;

use crate::format::in_memory;
use crate::lock::{self, FileIdentity};
use crate::storage::names::sync_folder;
use crate::storage::{Map, Standing, Storage, errno, futex, page_cache, properties, system, too_short};

/// A real file: positioned reads and writes, and one shared map of it that grows with the file.
#[derive(Debug)]
pub(crate) struct FileStorage {
    file: File,
    map: ArcSwapOption<Mmap>,
    /// Whether the map shows the same bytes as reads by position.
    is_mapped_right: OnceLock<bool>,
    /// Whether the system has refused a map.
    refuses_maps: AtomicBool,
}

impl FileStorage {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            map: ArcSwapOption::empty(),
            is_mapped_right: OnceLock::new(),
            refuses_maps: AtomicBool::new(false),
        }
    }

    /// Returns whether reads use a map.
    fn reads_by_map(&self) -> bool {
        !self.refuses_maps.load(Ordering::Relaxed)
            && *self.is_mapped_right.get_or_init(|| !properties::may_be_copied_up(&self.file))
    }

    /// Returns a map of at least the first `needed` bytes, which must exist.
    fn mapped(&self, needed: u64) -> io::Result<Arc<Mmap>> {
        let length = self.length_for(needed)?;
        if length < needed {
            return Err(too_short(length, needed));
        }
        let current = self.map.load();
        if let Some(map) = current.as_ref().filter(|map| map.len() as u64 >= needed) {
            return Ok(Arc::clone(map));
        }
        let map = self.map_anew(length)?;
        self.map.store(Some(Arc::clone(&map)));
        Ok(map)
    }

    fn map_anew(&self, length: u64) -> io::Result<Arc<Mmap>> {
        let length = usize::try_from(length).map_err(|_| {
            io::Error::new(io::ErrorKind::Unsupported, "the file is larger than memory addresses")
        })?;
        // SAFETY: a map is read as plain bytes. Whole pages below a committed file limit, the only ones
        // that are read, never change, by the format; a foreign process that changes them anyway causes
        // damaged data, for which every reader of the map checks. No code reads past the length that `map`
        // has just checked; a file that is truncated between the check and the read is the only case in
        // which the system sends a signal.
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(&self.file)? };
        Ok(Arc::new(map))
    }
}

impl FileStorage {
    /// Calls `work` with the address of the four bytes at `position`, if the file can be mapped. The file
    /// may have been truncated meanwhile.
    fn with_word<T>(&self, position: u64, work: impl FnOnce(*const u8) -> T) -> Option<T> {
        let end = position + size_of::<u32>() as u64;
        let current = self.map.load_full().filter(|map| map.len() as u64 >= end);
        let map = current.map_or_else(|| self.mapped(end), Ok).ok()?;
        Some(work(map[in_memory(position)..].as_ptr()))
    }

    /// Reads some bytes at `position` from a map; 0 only at the end.
    fn copy_mapped(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let end = self.length()?.min(position + buffer.len() as u64);
        if end <= position {
            return Ok(0);
        }
        let map = self.mapped(end)?;
        let bytes = &map[in_memory(position)..in_memory(end)];
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Storage for FileStorage {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        match system::read_at(&self.file, buffer, position) {
            // Locks do not prevent reading a map.
            Err(error) if errno::is_locked(&error) => self.copy_mapped(buffer, position),
            done => done,
        }
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        system::write_at(&self.file, bytes, position)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        if cfg!(windows) {
            // On that system a mapped file can be extended, but not truncated.
            self.map.store(None);
        }
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        system::sync(&self.file)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sync_folder(path)
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        // Mapped pages stay in memory.
        self.map.store(None);
        page_cache::drop_cached(&self.file, position, length)
    }

    fn length_for(&self, needed: u64) -> io::Result<u64> {
        let length = self.length()?;
        if length >= needed { Ok(length) } else { properties::length_anew(&self.file) }
    }

    fn standing(&self) -> io::Result<Standing> {
        system::standing(&self.file)
    }

    fn map(&self, needed: u64) -> io::Result<Option<Map>> {
        if !self.reads_by_map() {
            return Ok(None);
        }
        match self.mapped(needed) {
            Ok(map) => Ok(Some(Map::new(map))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            // The file system has no shared maps, or the address space is exhausted: the file is read by
            // position from now on.
            Err(_) => {
                self.refuses_maps.store(true, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    fn wait_for_change(&self, position: u64, seen: [u8; 4], timeout: Duration) {
        let waited = self.with_word(position, |word| futex::wait(word, seen, timeout));
        if waited != Some(true) {
            std::thread::sleep(timeout);
        }
    }

    fn tell_change(&self, position: u64) {
        self.with_word(position, futex::wake);
    }

    fn is_being_written(&self) -> io::Result<bool> {
        lock::is_being_written(&self.file)
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        FileIdentity::of_file(&self.file)
    }
}
