//! `OpenOptions`: how a capture file is opened.

use std::sync::LazyLock;

use crate::codec::level::CompressionLevel;
use crate::format::Geometry;
use crate::write::options::{SyncMode, WriterOptions};

/// More threads than this do not make one writer faster unless they are asked for.
const MAX_DEFAULT_THREADS: usize = 4;

/// How a capture file is opened.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let file = capturefile::OpenOptions::new().write(true).open(&path)?;
/// file.add_record(b"first")?;
/// file.commit()?;
/// assert_eq!(&*file.snapshot()?.record(1)?, b"first");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use]
#[expect(clippy::struct_excessive_bools, reason = "like std::fs::OpenOptions: one switch a question")]
pub struct OpenOptions {
    pub(super) write: bool,
    pub(super) existing_only: bool,
    pub(super) create_new: bool,
    pub(super) replace: bool,
    pub(super) initial_metadata: Option<Vec<u8>>,
    pub(super) os_lock: bool,
    pub(super) geometry: Geometry,
    pub(super) sync: SyncMode,
    pub(super) level: CompressionLevel,
    pub(super) threads: Option<usize>,
    pub(super) cache_size: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            write: false,
            existing_only: false,
            create_new: false,
            replace: false,
            initial_metadata: None,
            os_lock: true,
            geometry: Geometry::default(),
            sync: SyncMode::default(),
            level: CompressionLevel::default(),
            threads: None,
            cache_size: Self::DEFAULT_CACHE_SIZE,
        }
    }
}

impl OpenOptions {
    /// Bytes of inflated blocks and index nodes kept, unless asked otherwise.
    /// What a hostile file may cost is 64 MiB and sixteen times its length; the rest is for what is being read.
    pub const DEFAULT_CACHE_SIZE: u64 = 48 * 1024 * 1024;

    /// Reading an existing file, with the operating system's locks and full durability for writers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens for writing, creating the file if there is none.
    pub fn write(mut self, write: bool) -> Self {
        self.write = write;
        self
    }

    /// Refuses to create a file where there is none.
    pub fn existing_only(mut self, existing_only: bool) -> Self {
        self.existing_only = existing_only;
        self
    }

    /// Refuses a file that exists already; meant for writing.
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.create_new = create_new;
        self
    }

    /// Replaces whatever stands there by a new empty file, in one step for everybody who looks.
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Metadata of a file that this call creates; no matter for one that exists.
    pub fn initial_metadata(mut self, metadata: Option<Vec<u8>>) -> Self {
        self.initial_metadata = metadata;
        self
    }

    /// Whether a writer holds the operating system's lock. Off is for file systems without locks.
    pub fn os_lock(mut self, os_lock: bool) -> Self {
        self.os_lock = os_lock;
        self
    }

    /// Page size, block size and fan-out of a file that this call creates.
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = geometry;
        self
    }

    /// When commits wait for the disk.
    pub fn sync(mut self, sync: SyncMode) -> Self {
        self.sync = sync;
        self
    }

    /// How hard blocks are compressed.
    pub fn compression_level(mut self, level: CompressionLevel) -> Self {
        self.level = level;
        self
    }

    /// On how many threads blocks are compressed, and inflated ahead of whoever reads many records, the
    /// calling one included. By default as many as the machine has cores, up to four.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Bytes of inflated blocks and index nodes that are kept at most.
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.cache_size = bytes;
        self
    }

    pub(super) fn thread_count(&self) -> usize {
        // Asked once, since the answer takes longer than opening a file.
        static CORES: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        self.threads.unwrap_or_else(|| MAX_DEFAULT_THREADS.min(*CORES)).max(1)
    }

    pub(super) fn writer_options(&self) -> WriterOptions {
        WriterOptions { sync: self.sync, level: self.level }
    }
}
