//! Objects in stores, for reading only.

mod pages;
mod source;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use xxhash_rust::xxh3::xxh3_64;

use crate::format::in_memory;
use crate::lock::FileIdentity;
use crate::storage::{Map, Storage};
use crate::sync::forks::forks;

use pages::Pages;
use source::wrong_length;

pub use source::{ObjectHead, ObjectSource};

/// Number of bytes that the first request fetches: the header and slots of a file of common sizes, and its
/// first blocks.
const START: u64 = 256 * 1024;
/// The device number of objects in stores, which no file has.
const DEVICE: u64 = u64::MAX;

/// One version of an object. Reads fetch pages that are not in memory; they never see another version.
#[derive(Debug)]
pub(crate) struct ObjectStorage {
    source: Arc<dyn ObjectSource>,
    identity: FileIdentity,
    head: ObjectHead,
    /// The first bytes.
    start: Vec<u8>,
    /// The other bytes that are in memory. A forked child starts without any, and without its parent's threads.
    pages: ArcSwap<Pages>,
}

impl ObjectStorage {
    /// Opens the object as it is now; `name` identifies it.
    pub(crate) fn open(name: &Path, source: Arc<dyn ObjectSource>) -> io::Result<Self> {
        let (head, start) = source.start(START)?;
        let expected = head.size.min(START);
        if start.len() as u64 != expected {
            return Err(wrong_length(start.len(), expected));
        }
        let pages = Pages::new(Arc::clone(&source), head.clone(), forks());
        let inode = xxh3_64(name.as_os_str().as_encoded_bytes());
        let identity = FileIdentity { device: DEVICE, inode, birth: None };
        Ok(Self { source, identity, head, start, pages: ArcSwap::from_pointee(pages) })
    }

    /// Opens the current version of the object; `None` if it is this one.
    pub(crate) fn newer(&self, name: &Path) -> io::Result<Option<Self>> {
        if self.head.version.is_some() && self.source.head()? == self.head {
            return Ok(None);
        }
        let now = Self::open(name, Arc::clone(&self.source))?;
        Ok((now.head != self.head || now.start != self.start).then_some(now))
    }

    /// Returns the bytes from `from` up to `to`, or those of them that are among the first bytes of the object.
    pub(crate) fn start_of(&self, from: u64, to: u64) -> &[u8] {
        let end = in_memory(to).min(self.start.len());
        self.start.get(in_memory(from)..end).unwrap_or_default()
    }

    fn pages(&self) -> Arc<Pages> {
        let pages = self.pages.load_full();
        if pages.forks() == forks() {
            return pages;
        }
        let fresh = Arc::new(Pages::new(Arc::clone(&self.source), self.head.clone(), forks()));
        self.pages.store(Arc::clone(&fresh));
        fresh
    }
}

impl Drop for ObjectStorage {
    fn drop(&mut self) {
        let pages = self.pages.load();
        if pages.forks() == forks() {
            pages.cancel();
        }
    }
}

impl Storage for ObjectStorage {
    fn length(&self) -> io::Result<u64> {
        Ok(self.head.size)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let at_hand = self.start_of(position, position.saturating_add(buffer.len() as u64));
        if !at_hand.is_empty() {
            buffer[..at_hand.len()].copy_from_slice(at_hand);
            return Ok(at_hand.len());
        }
        if position >= self.head.size || buffer.is_empty() {
            return Ok(0);
        }
        self.pages().read(buffer, position)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(read_only())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    /// Does nothing: an object that a store returns is durable.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Err(read_only())
    }

    /// Does nothing: the bytes of one version never change.
    fn drop_cached(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        if self.head.size < length {
            return Err(super::too_short(self.head.size, length));
        }
        Ok(None)
    }

    fn will_read(&self, ranges: &mut Vec<Range<u64>>) {
        for range in ranges.iter_mut() {
            range.start = range.start.max(self.start.len() as u64);
            range.end = range.end.min(self.head.size);
        }
        self.pages().fetch_all(ranges);
    }

    fn await_coming(&self, range: Range<u64>) -> io::Result<()> {
        self.pages().await_coming(range)
    }

    fn as_object(&self) -> Option<&ObjectStorage> {
        Some(self)
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Ok(self.identity)
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "objects in stores can only be read")
}
