//! `OpenOptions`: how a capture file is opened.

use std::sync::{Arc, LazyLock};

use crate::codec::level::CompressionLevel;
use crate::either::open::Settings;
use crate::format::Geometry;
use crate::v3::shared::{Environment, System};
use crate::write::options::{Compression, SyncMode};

/// Maximum number of threads by default; more rarely make one writer faster.
const MAX_DEFAULT_THREADS: usize = 4;

/// Opens capture files: for reading, unless other options are set.
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
    pub(super) create: bool,
    pub(super) create_new: bool,
    pub(super) replace: bool,
    pub(super) initial_metadata: Option<Vec<u8>>,
    pub(super) os_lock: bool,
    pub(super) threads: Option<usize>,
    pub(crate) settings: Settings,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            write: false,
            create: true,
            create_new: false,
            replace: false,
            initial_metadata: None,
            os_lock: true,
            threads: None,
            settings: Settings {
                geometry: Geometry::default(),
                log_size: None,
                compression: None,
                level: None,
                sync: SyncMode::default(),
                cache_size: Self::DEFAULT_CACHE_SIZE,
                environment: Arc::new(System),
            },
        }
    }
}

impl OpenOptions {
    /// Default capacity of the cache of inflated blocks and index nodes, in bytes.
    /// A hostile file may take 64 MiB and sixteen times its length; the difference is for data that is being read.
    ///
    /// ```
    /// assert_eq!(capturefile::OpenOptions::DEFAULT_CACHE_SIZE >> 20, 48);
    /// ```
    pub const DEFAULT_CACHE_SIZE: u64 = 48 * 1024 * 1024;

    /// Creates options for reading an existing file. A writer takes the operating system's lock, and its
    /// commits are durable.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// OpenOptions::new().write(true).open(&path)?;
    /// let reader = OpenOptions::new().open(&path)?;
    /// assert!(!reader.is_writer());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens for writing, and creates the file if it does not exist.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// # Ok(()) }
    /// ```
    pub fn write(mut self, write: bool) -> Self {
        self.write = write;
        self
    }

    /// Creates the file if it does not exist or is empty. Only for writing, where this is the default.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// assert!(OpenOptions::new().write(true).create(false).open(&path).is_err());
    /// assert!(!path.exists());
    /// # Ok(()) }
    /// ```
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Creates the file, and fails if it exists. Implies [`write`](Self::write).
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// OpenOptions::new().create_new(true).open(&path)?;
    /// assert!(OpenOptions::new().create_new(true).open(&path).is_err());
    /// # Ok(()) }
    /// ```
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.create_new = create_new;
        self
    }

    /// Replaces any existing file with a new, empty one, atomically.
    ///
    /// Unlike `truncate` of [`std::fs::OpenOptions`], this preserves the old file for those who have it
    /// open, and keeps it if the new one cannot be created. The new file has its mode and owner. Without
    /// [`write`](Self::write) it is open for reading.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// OpenOptions::new().write(true).open(&path)?.add_record(b"never committed")?;
    /// let log = OpenOptions::new().write(true).replace(true).open(&path)?;
    /// assert_eq!(log.record_count()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Sets the metadata of a file that this call creates; that of an existing file is unchanged.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let made_by = Some(b"made by an example".to_vec());
    /// let log = OpenOptions::new().write(true).initial_metadata(made_by).open(&path)?;
    /// assert_eq!(log.snapshot()?.metadata()?.expect("some")[..7], *b"made by");
    /// # Ok(()) }
    /// ```
    pub fn initial_metadata(mut self, metadata: Option<Vec<u8>>) -> Self {
        self.initial_metadata = metadata;
        self
    }

    /// Takes the operating system's lock for a writer, which is the default. `false` is for file systems
    /// without locks, where only the program itself prevents a second writer.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).os_lock(false).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn os_lock(mut self, os_lock: bool) -> Self {
        self.os_lock = os_lock;
        self
    }

    /// Sets the format version of a file that this call creates, with the default sizes of that version: 2,
    /// or 3, which only this package reads. The version of an existing file is detected.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).format(3).open(&path)?;
    /// assert_eq!(log.snapshot()?.geometry().version, 3);
    /// # Ok(()) }
    /// ```
    pub fn format(self, version: u32) -> Self {
        self.geometry(Geometry::of_version(version))
    }

    /// Sets the size in bytes of the log in a file that this call creates in format 3: by default 1 MiB, and
    /// at least eight blocks. A commit of more than a quarter of it takes an additional sync, and readers
    /// hold its content in memory.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).format(3).log_size(4 << 20).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn log_size(mut self, bytes: u32) -> Self {
        self.settings.log_size = Some(bytes);
        self
    }

    /// Sets the compression of a file that this call creates: by default zlib in format 2, which supports
    /// nothing else, and Zstandard in format 3.
    ///
    /// ```
    /// use capturefile::{Compression, OpenOptions};
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).format(3).compression(Compression::Lz4).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = Some(compression);
        self
    }

    /// Sets the format version, page size, block size and fan-out of a file that this call creates.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let larger = capturefile::Geometry::new().with_block_size(1 << 20);
    /// let log = OpenOptions::new().write(true).geometry(larger).open(&path)?;
    /// assert_eq!(log.snapshot()?.geometry().block_size, 1 << 20);
    /// # Ok(()) }
    /// ```
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.settings.geometry = geometry;
        self
    }

    /// Sets when commits wait for the disk.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).sync(capturefile::SyncMode::None).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn sync(mut self, sync: SyncMode) -> Self {
        self.settings.sync = sync;
        self
    }

    /// Sets the compression level of blocks. By default it is 6 with zlib, and 1 with Zstandard; LZ4 has no levels.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let small = capturefile::CompressionLevel::new(12)?;
    /// let log = OpenOptions::new().write(true).compression_level(small).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn compression_level(mut self, level: CompressionLevel) -> Self {
        self.settings.level = Some(level);
        self
    }

    /// Sets the number of threads, including the calling one, that compress blocks and inflate them ahead
    /// of sequential reads. The default is the number of cores, up to four.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// let log = OpenOptions::new().write(true).threads(1).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets the capacity of the cache of inflated blocks and index nodes, in bytes.
    ///
    /// ```
    /// use capturefile::OpenOptions;
    ///
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// OpenOptions::new().write(true).open(&path)?;
    /// let reader = OpenOptions::new().cache_size(256 << 20).open(&path)?;
    /// # Ok(()) }
    /// ```
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.settings.cache_size = bytes;
        self
    }

    /// Sets the source of the time and of random bits.
    pub(crate) fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.settings.environment = environment;
        self
    }

    pub(super) fn thread_count(&self) -> usize {
        // Determined once, because the call takes longer than opening a file.
        static CORES: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        self.threads.unwrap_or_else(|| MAX_DEFAULT_THREADS.min(*CORES)).max(1)
    }
}
