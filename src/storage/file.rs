//! Where the bytes of a capture file are: a trait of a few methods, and the real file behind it.

#![expect(unsafe_code, reason = "mapping a file has no safe form")]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use memmap2::Mmap;
use nix::libc;

use crate::format::in_memory;
use crate::storage::futex;

/// The bytes of one open capture file.
///
/// Reads and writes may do less than asked, like the system calls they stand for: [`read_up_to`] and
/// [`write_all`] go on until they are done.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// Length in bytes now.
    fn length(&self) -> io::Result<u64>;
    /// Reads some bytes at `position`; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes some bytes at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Makes the file this long; new bytes are zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Returns once everything written before, and the length, would survive a power cut.
    fn sync(&self) -> io::Result<()>;
    /// Makes the name `path` of the file survive a power cut, as of the next sync.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Forgets what memory holds of these bytes, so that the next read sees the disk.
    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()>;
    /// Whether the file called `path` is still this one; false where there is no such file any more.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
    /// The file's bytes, at least the first `length` of them; an error if it is shorter.
    fn map(&self, length: u64) -> io::Result<Map>;
    /// Waits until somebody tells, by [`tell_change`](Self::tell_change), that the four bytes at `position` have
    /// changed; not at all if they are not `seen` any more, and for `most` at most.
    fn wait_for_change(&self, _position: u64, _seen: [u8; 4], most: Duration) {
        std::thread::sleep(most);
    }
    /// Ends the waiting of all who wait, in whatever process, for a change of the four bytes at `position`.
    fn tell_change(&self, _position: u64) {}
    /// Which file this is; `None` where the bytes are in no file.
    fn identity(&self) -> io::Result<Option<FileIdentity>> {
        Ok(None)
    }
}

/// Which file something is, among all that one machine has ever had at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// The device that it is on.
    pub device: u64,
    /// Its number there, which is used again once the file is gone.
    pub inode: u64,
    /// Nanoseconds from the epoch to its creation, where the file system knows.
    pub birth: Option<u64>,
}

impl FileIdentity {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        let since = |birth: SystemTime| birth.duration_since(UNIX_EPOCH).ok();
        let nanoseconds = metadata.created().ok().and_then(since).map(|birth| birth.as_nanos());
        let birth = nanoseconds.and_then(|birth| u64::try_from(birth).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), birth }
    }
}

/// Bytes of a file, shared with whoever else maps it.
#[derive(Debug, Clone)]
pub(crate) enum Map {
    File(Arc<Mmap>),
    #[cfg(test)]
    Memory(Arc<[u8]>),
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::File(map) => map,
            #[cfg(test)]
            Self::Memory(bytes) => bytes,
        }
    }
}

/// Fills `buffer` from `position` on, as far as the file goes; returns how far that was.
pub(crate) fn read_up_to(storage: &dyn Storage, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match storage.read_at(&mut buffer[done..], position + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `position`.
pub(crate) fn write_all(storage: &dyn Storage, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match storage.write_at(bytes, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                position += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The error for a file that ends before `needed` bytes.
pub(crate) fn too_short(length: u64, needed: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("a file of {length} bytes, where {needed} bytes were committed"),
    )
}

/// Makes a new file, with the usual permissions less the process's umask.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path)
}

/// The folder that a file is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(parent(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, and say so in this way.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        // Who may write into a folder but not look into it cannot sync it; the sync of the file has to do.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Opens what is called `path`, without waiting for the other end of a pipe.
pub(crate) fn open(path: &Path, write: bool) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(write).custom_flags(libc::O_NONBLOCK).open(path)
}

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
            return Ok(Map::File(Arc::clone(map)));
        }
        let map = self.map_anew(length)?;
        self.map.store(Some(Arc::clone(&map)));
        Ok(Map::File(map))
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

    fn identity(&self) -> io::Result<Option<FileIdentity>> {
        Ok(Some(FileIdentity::of(&self.file.metadata()?)))
    }
}
