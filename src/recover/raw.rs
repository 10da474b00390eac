//! The bytes of a damaged file, as far as the disk can read them.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, reserve};
use crate::format::{Geometry, in_memory};
use crate::lock::FileIdentity;
use crate::read::cache::Cache;
use crate::read::open_file::{OpenFile, Opened};
use crate::storage::{Map, Storage, errno, read_up_to};
use crate::sync::progress::Monitor;
use crate::v3::format::Header;
use crate::v3::shared::Shared;

/// A disk that fails does so in units of at least this size.
const SECTOR: usize = 512;

/// A file's bytes, read without trust in the disk.
pub(super) struct Raw<'a> {
    pub(super) path: PathBuf,
    storage: Lenient,
    pub(super) length: u64,
    pub(super) monitor: Monitor<'a>,
}

impl<'a> Raw<'a> {
    pub(super) fn new(path: &Path, storage: Box<dyn Storage>, monitor: Monitor<'a>) -> Result<Self> {
        let length = storage.length().map_err(|error| Error::io(path, "read the length of", error))?;
        monitor.set_total(length);
        Ok(Self {
            path: path.to_owned(),
            storage: Lenient { storage: storage.into(), length },
            length,
            monitor,
        })
    }

    /// Opens the file for reading frames, with these sizes. Blocks are kept by the
    /// [`DamagedFrames`](super::source::DamagedFrames), which knows more about them than a cache.
    pub(super) fn open_file(&self, geometry: Geometry) -> Arc<OpenFile> {
        let opened = Opened::new(&self.path, Box::new(self.storage.clone()), 1);
        Arc::new(OpenFile::new(opened, geometry, Cache::new(0)))
    }

    /// Opens a file of version 3 with this header.
    pub(super) fn open_version_3(&self, header: Header) -> Arc<Shared> {
        let opened = Opened::new(&self.path, Box::new(self.storage.clone()), 1);
        Arc::new(Shared::new(opened, header, 0))
    }

    /// Returns the bytes as a storage, for searching them.
    pub(super) fn storage(&self) -> &dyn Storage {
        &self.storage
    }

    /// Returns the bytes of `range`, if all of them exist; bytes that the disk cannot read are zeros.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        if range.start > range.end || range.end > self.length {
            return Ok(None);
        }
        self.monitor.add_work(range.end - range.start)?;
        let mut bytes = Vec::new();
        reserve(&mut bytes, in_memory(range.end - range.start), "a part of the file")?;
        bytes.resize(in_memory(range.end - range.start), 0);
        let length = read_up_to(&self.storage, &mut bytes, range.start)
            .map_err(|error| Error::io(&self.path, "read", error))?;
        Ok(Some(bytes).filter(|bytes| bytes.len() == length))
    }
}

/// Returns a copy of bytes; `what` describes them in errors.
pub(super) fn copy(bytes: &[u8], what: &'static str) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    reserve(&mut copy, bytes.len(), what)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// The bytes that a file had when it was opened, with zeros for those that the disk cannot read. They are never mapped,
/// because a bad sector under a map terminates the process.
#[derive(Debug, Clone)]
struct Lenient {
    storage: Arc<dyn Storage>,
    length: u64,
}

impl Lenient {
    /// Fills `bytes` with the sectors that can be read, and zeros for the others.
    fn read_sectors(&self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let at = position + done as u64;
            let end = (done + SECTOR - in_memory(at % SECTOR as u64)).min(bytes.len());
            let sector = &mut bytes[done..end];
            match read_up_to(&*self.storage, sector, at) {
                Ok(_) => {}
                Err(error) if errno::is_unreadable(&error) => sector.fill(0),
                Err(error) => return Err(error),
            }
            done = end;
        }
        Ok(())
    }
}

impl Storage for Lenient {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let left = self.length.saturating_sub(position);
        let length = buffer.len().min(in_memory(left));
        let buffer = &mut buffer[..length];
        match self.storage.read_at(buffer, position) {
            Err(error) if errno::is_unreadable(&error) => {
                self.read_sectors(buffer, position)?;
                Ok(length)
            }
            read => read,
        }
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        self.storage.drop_cached(position, length)
    }

    fn map(&self, _: u64) -> io::Result<Option<Map>> {
        Ok(None)
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.storage.identity()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::recover::tests::Disk;
    use crate::sync::progress::Callback;

    fn raw(bad: Range<usize>, callback: Option<Callback<'static>>) -> Raw<'static> {
        let path = Path::new("bad.capture");
        let storage = Box::new(Disk::new(vec![7; 4000], bad));
        Raw::new(path, storage, Monitor::new(path, callback)).unwrap()
    }

    #[test]
    fn sectors_that_cannot_be_read_are_zeros_and_the_others_are_there() {
        let raw = raw(1024..1536, None);
        let bytes = raw.read(100..3900).unwrap().unwrap();
        let expected = |at: usize| if (1024..1536).contains(&at) { 0 } else { 7 };
        assert!(bytes.iter().enumerate().all(|(index, &byte)| byte == expected(100 + index)));
        assert_eq!(raw.read(3000..4000).unwrap(), Some(vec![7; 1000]));
        assert_eq!(raw.read(3000..4001).unwrap(), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn work_stops_when_it_is_told_to() {
        let mut left = 3;
        let stop = move |_| {
            left -= 1;
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let raw = raw(0..0, Some(Box::new(stop)));
        let reads = (0..10_000).take_while(|_| raw.read(0..4000).is_ok()).count();
        assert!((2000..3000).contains(&reads), "{reads}");
    }
}
