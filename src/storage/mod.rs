//! Access to the bytes of a file: a trait of a few methods, and the file of the operating system.

pub(crate) mod errno;
mod file;
mod futex;
mod names;
mod object;
mod page_cache;
mod properties;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::lock::FileIdentity;

pub use names::sync_path;
pub use object::{ObjectHead, ObjectSource};

pub(crate) use file::FileStorage;
pub(crate) use names::{
    Existing, already_exists, exists, identity_at, keeps_changing, move_into_place, open_plain, parent,
    resolve_links, resolve_to_replace, sync_folder, temporary_file,
};
pub(crate) use object::ObjectStorage;
pub(crate) use system::{create, sync_at};

/// Maximum number of bytes that are requested ahead of reads, where reads are requests to a store.
pub(crate) const READ_AHEAD: u64 = 16 * 1024 * 1024;

/// The bytes of one open capture file.
///
/// Reads and writes may be partial, like the system calls behind them: [`read_up_to`] and [`write_all`]
/// continue until they are complete.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// Length in bytes now.
    fn length(&self) -> io::Result<u64>;
    /// Reads some bytes at `position`; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes some bytes at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Sets the length of the file; new bytes are zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Returns once everything written before, and the length, would survive a power cut.
    fn sync(&self) -> io::Result<()>;
    /// Makes the name `path` of the file durable as of the next sync.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Drops these bytes, and others around them, from the page cache, so that the next read returns the
    /// content of the disk.
    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()>;
    /// Returns the current length; if the known length is below `needed`, cached attributes are bypassed.
    fn length_for(&self, needed: u64) -> io::Result<u64> {
        let _ = needed;
        self.length()
    }
    /// Returns the current attributes of the file.
    fn standing(&self) -> io::Result<Standing> {
        Ok(Standing { length: self.length()?, has_name: true, identity: None })
    }
    /// Returns a map of at least the first `length` bytes; fails if the file is shorter, and returns `None`
    /// if it has to be read by position.
    fn map(&self, length: u64) -> io::Result<Option<Map>>;
    /// Announces ranges that will be read, for storages that can fetch them in the meantime. May modify `ranges`.
    fn will_read(&self, _ranges: &mut Vec<Range<u64>>) {}
    /// Waits until the announced bytes of `range` have arrived.
    fn await_coming(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }
    /// Returns the storage if it is an object in a store, where each read may be a request.
    fn as_object(&self) -> Option<&ObjectStorage> {
        None
    }
    /// Waits for at most `timeout` until [`tell_change`](Self::tell_change) announces a change of the four
    /// bytes at `position`; does not wait if they are no longer `seen`.
    fn wait_for_change(&self, _position: u64, _seen: [u8; 4], timeout: Duration) {
        std::thread::sleep(timeout);
    }
    /// Wakes all threads, in any process, that wait for a change of the four bytes at `position`.
    fn tell_change(&self, _position: u64) {}
    /// Returns whether any process holds the right to write the file.
    fn is_being_written(&self) -> io::Result<bool> {
        Ok(false)
    }
    /// Returns which file this is.
    fn identity(&self) -> io::Result<FileIdentity>;
}

/// The attributes of an open file that can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Length in bytes.
    pub(crate) length: u64,
    /// Whether the file still has a name.
    pub(crate) has_name: bool,
    /// Which file it is; `None` if it is not one of the operating system.
    pub(crate) identity: Option<FileIdentity>,
}

/// Bytes of a file, shared with all processes that map it.
#[derive(Clone)]
pub(crate) struct Map(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Map {
    pub(crate) fn new(bytes: Arc<impl AsRef<[u8]> + Send + Sync + 'static>) -> Self {
        Self(bytes)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Fills `buffer` from `position` on, up to the end of the file; returns the number of bytes read.
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
pub(crate) fn write_all(storage: &dyn Storage, bytes: &[u8], position: u64) -> io::Result<()> {
    write_up_to(storage, bytes, position).1
}

/// Writes `bytes` at `position` until an error occurs; also returns the number of bytes written.
pub(crate) fn write_up_to(storage: &dyn Storage, bytes: &[u8], position: u64) -> (usize, io::Result<()>) {
    let mut done = 0;
    while done < bytes.len() {
        match storage.write_at(&bytes[done..], position + done as u64) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// The error for a file that ends before `needed` bytes.
pub(crate) fn too_short(length: u64, needed: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("a file of {length} bytes, where {needed} bytes were committed"),
    )
}
