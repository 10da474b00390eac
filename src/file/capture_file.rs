//! Opening, creating, refreshing and closing capture files.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use nix::libc;
use tempfile::NamedTempFile;

use crate::codec::level::CompressionLevel;
use crate::error::{Damage, Error, Result};
use crate::format::{Geometry, Slot, has_checksum, image_index};
use crate::lock::{self, Refusal, WriterLock};
use crate::mutants::{self, Mutant};
use crate::read::cache::Cache;
use crate::read::current::{self, Current, Stamps};
use crate::read::fan_out::check_fan_out;
use crate::read::open_file::{OpenFile, check_length};
use crate::read::snapshot::Snapshot;
use crate::storage::{self, FileIdentity, FileStorage, Storage, parent, read_up_to};
use crate::sync::published::Shown;
use crate::write::options::{SyncMode, Totals, WriterOptions};
use crate::write::writer::{Savepoint, Writer};

/// Bytes of inflated blocks and index nodes kept, unless asked otherwise.
/// What a hostile file may cost is 64 MiB and sixteen times its length; the rest is for what is being read.
pub(crate) const DEFAULT_CACHE_SIZE: u64 = 48 * 1024 * 1024;
/// More threads than this do not make one writer faster unless they are asked for.
const MOST_DEFAULT_THREADS: usize = 4;
/// How often opening starts anew because the file was replaced meanwhile.
const MOST_ATTEMPTS: u32 = 100;
/// A batch is held back up to so many bytes.
const MOST_HELD: usize = 4 * 1024 * 1024;
/// As many links as the system itself follows in a path.
const MOST_LINKS: u32 = 40;

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
    write: bool,
    existing_only: bool,
    create_new: bool,
    replace: bool,
    initial_metadata: Option<Vec<u8>>,
    os_lock: bool,
    geometry: Geometry,
    sync: SyncMode,
    level: CompressionLevel,
    threads: Option<usize>,
    cache_size: u64,
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
            cache_size: DEFAULT_CACHE_SIZE,
        }
    }
}

impl OpenOptions {
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

    /// Opens the file.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<CaptureFile> {
        lock::watch_forks();
        let path = path.as_ref();
        if self.replace {
            self.geometry.check_settings()?;
            let writer = self.replace_file(path)?;
            return if self.write { Ok(writer) } else { self.open_reader(path) };
        }
        if self.write || self.create_new {
            self.geometry.check_settings()?;
            return self.open_writer(path);
        }
        self.open_reader(path)
    }

    fn open_reader(&self, path: &Path) -> Result<CaptureFile> {
        self.read_storage(path, Box::new(FileStorage::new(open_plain(path, false)?)))
    }

    /// Opens for reading what `storage` holds; `path` is for messages.
    pub(crate) fn read_storage(&self, path: &Path, storage: Box<dyn Storage>) -> Result<CaptureFile> {
        let (file, header) = self.attach(path, storage)?;
        let current = current::read_current(&file, |_| Ok(()))?;
        header.check(CaptureFile::reader(Arc::new(file), current)?)
    }

    /// Opens for writing what `storage` holds, the file called `target`, for the one who has the right to write it.
    pub(crate) fn write_storage(
        &self,
        path: &Path,
        target: &Path,
        storage: Box<dyn Storage>,
        lock: Option<WriterLock>,
    ) -> Result<CaptureFile> {
        if self.sync != SyncMode::Never {
            // Whoever made the file may have done without.
            storage.sync_folder(target).map_err(|error| Error::io(parent(target), "sync", error))?;
        }
        let (file, header) = self.attach(path, storage)?;
        header.check(CaptureFile::writer(Writer::open(Arc::new(file), lock, self.writer_options())?)?)
    }

    /// Makes a new file of the empty `storage`, which nobody else can see before `move_in` gives it the name `target`.
    pub(crate) fn create_storage(
        &self,
        path: &Path,
        target: &Path,
        storage: Box<dyn Storage>,
        lock: Option<WriterLock>,
        move_in: impl FnOnce() -> io::Result<()>,
    ) -> Result<CaptureFile> {
        let cache = Cache::new(self.cache_size);
        let file = OpenFile::new(path, storage, self.geometry, cache, self.thread_count());
        // With its lock before anybody can see the file, so that nobody gets to write it in between.
        let metadata = self.initial_metadata.as_deref();
        let writer = Writer::create(&Arc::new(file), lock, metadata, self.writer_options())?;
        move_in().map_err(|error| Error::io(path, "create", error))?;
        let file = CaptureFile::writer(writer)?;
        if self.sync != SyncMode::Never && !mutants::on(Mutant::NameNotSynced) {
            file.sync_name(target).map_err(|error| Error::io(parent(target), "sync", error))?;
        }
        Ok(file)
    }

    fn open_writer(&self, path: &Path) -> Result<CaptureFile> {
        for _ in 0..MOST_ATTEMPTS {
            let target = resolve_links(path)?;
            let missing = !exists(&target)?;
            if missing && self.existing_only {
                return Err(Error::io(path, "open", io::Error::from_raw_os_error(libc::ENOENT)));
            }
            if self.create_new || missing {
                match self.create_file(path, &target, &Existing::Keep) {
                    Err(Error::Io { source, .. })
                        if source.kind() == io::ErrorKind::AlreadyExists && !self.create_new => {}
                    done => return done,
                }
            } else if let Some(file) = self.open_existing(path, &target)? {
                return Ok(file);
            }
        }
        Err(keeps_changing(path))
    }

    /// Opens an existing file for writing; `None` if it was replaced meanwhile.
    fn open_existing(&self, path: &Path, target: &Path) -> Result<Option<CaptureFile>> {
        let Some((file, lock)) = self.lock_existing(path, target)? else {
            return Ok(None);
        };
        self.write_storage(path, target, Box::new(FileStorage::new(file)), Some(lock)).map(Some)
    }

    /// Opens a file and takes the right to write it; `None` if another file stands there by then.
    fn lock_existing(&self, path: &Path, target: &Path) -> Result<Option<(File, WriterLock)>> {
        let failed = |error| Error::io(path, "open", error);
        let file = match open_plain(target, true) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let id = lock::file_id(&file).map_err(failed)?;
        let lock = self.take_lock(path, || open_plain(target, true))?;
        let now = File::open(target).and_then(|file| lock::file_id(&file));
        Ok((lock.id() == id && now.is_ok_and(|now| now == id)).then_some((file, lock)))
    }

    fn take_lock(&self, path: &Path, open: impl FnOnce() -> Result<File>) -> Result<WriterLock> {
        WriterLock::take(open, self.os_lock).map_err(|refusal| {
            let path = path.to_owned();
            match refusal {
                Refusal::ThisProcess => Error::AlreadyOpen { path, holder: "this process" },
                Refusal::OtherProcess => Error::AlreadyOpen { path, holder: "another process" },
                Refusal::Unavailable(source) => Error::LockUnavailable { path, source },
                Refusal::NotOpened(error) => error,
            }
        })
    }

    fn replace_file(&self, path: &Path) -> Result<CaptureFile> {
        for _ in 0..MOST_ATTEMPTS {
            let target = resolve_links(path)?;
            if !exists(&target)? {
                match self.create_file(path, &target, &Existing::Keep) {
                    Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                    done => return done,
                }
            } else if let Some((file, old)) = self.lock_existing(path, &target)? {
                let metadata = file.metadata().map_err(|error| Error::io(path, "open", error))?;
                let existing = Existing::Replace(metadata.permissions());
                let new = self.create_file(path, &target, &existing);
                drop(old);
                return new;
            }
        }
        Err(keeps_changing(path))
    }

    /// Makes a whole new file beside `target` and moves it there.
    fn create_file(&self, path: &Path, target: &Path, existing: &Existing) -> Result<CaptureFile> {
        let failed = |error| Error::io(path, "create", error);
        let temporary = temporary_file(parent(target)).map_err(failed)?;
        if let Existing::Replace(permissions) = existing {
            fs::set_permissions(temporary.path(), permissions.clone()).map_err(failed)?;
        }
        let reopen = || open_plain(temporary.path(), true);
        let lock = self.take_lock(path, reopen)?;
        let storage = FileStorage::new(reopen()?);
        let move_in = || move_into_place(temporary, target, existing);
        self.create_storage(path, target, Box::new(storage), Some(lock), move_in)
    }

    fn attach(&self, path: &Path, storage: Box<dyn Storage>) -> Result<(OpenFile, Header)> {
        let failed = |error| Error::io(path, "read", error);
        let invalid = |damage| Error::invalid(path, damage);
        let mut header = [0; Geometry::HEADER_SIZE];
        let length = read_up_to(&*storage, &mut header, 0).map_err(failed)?;
        let geometry = Geometry::decode(&header[..length]).map_err(invalid)?;
        let header = if has_checksum(&header) { Header::Checked } else { Header::Unchecked };
        let length = storage.length().map_err(failed)?;
        if length < geometry.data_start() {
            let found = format!("a file of {length} bytes");
            let expected = format!("at least {}, which its master nodes need", geometry.data_start());
            return Err(invalid(Damage::new(found, expected)));
        }
        let cache = Cache::new(self.cache_size);
        Ok((OpenFile::new(path, storage, geometry, cache, self.thread_count()), header))
    }

    fn thread_count(&self) -> usize {
        // Asked once, since the answer takes longer than opening a file.
        static CORES: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        self.threads.unwrap_or_else(|| MOST_DEFAULT_THREADS.min(*CORES)).max(1)
    }

    fn writer_options(&self) -> WriterOptions {
        WriterOptions { sync: self.sync, level: self.level }
    }
}

/// What is known of the header of an existing file.
enum Header {
    /// Its checksum is right.
    Checked,
    /// It has none.
    Unchecked,
}

impl Header {
    /// Gives out the file, unless its index shows that the header is wrong.
    fn check(&self, file: CaptureFile) -> Result<CaptureFile> {
        if let Self::Unchecked = self {
            check_fan_out(&*file.snapshot()?)?;
        }
        Ok(file)
    }
}

/// What becomes of a file that stands where a new one is to go.
enum Existing {
    Keep,
    /// Its permissions go on.
    Replace(fs::Permissions),
}

/// A new file of its own name in `folder`, which is deleted unless it is moved into place. It is made by
/// the standard library for the sake of its errors, which have the system's number.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile<File>> {
    let create = |path: &Path| storage::create(path);
    tempfile::Builder::new().prefix(".new-").suffix(".capture.tmp").make_in(folder, create)
}

fn move_into_place(temporary: NamedTempFile<File>, target: &Path, existing: &Existing) -> io::Result<()> {
    let moved = match existing {
        Existing::Keep => temporary.persist_noclobber(target),
        Existing::Replace(_) => temporary.persist(target),
    };
    moved.map(drop).map_err(|error| error.error)
}

/// Opens a regular file; anything else is an error at once, even where opening it would wait.
pub(crate) fn open_plain(path: &Path, write: bool) -> Result<File> {
    let failed = |error| Error::io(path, "open", error);
    let file = storage::open(path, write).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !kind.is_file() {
        let damage = Damage::new("a device, pipe or socket", "a regular file");
        return Err(Error::invalid(path, damage));
    }
    Ok(file)
}

/// Follows symbolic links, also one that points at nothing yet, so that files are created and replaced
/// where the link points and the link stays.
pub(crate) fn resolve_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = parent(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::io(&path, "open", io::Error::from_raw_os_error(libc::ELOOP)))
}

fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path, "open", error))
}

fn keeps_changing(path: &Path) -> Error {
    let error = io::Error::other("the file keeps being replaced by somebody else");
    Error::io(path, "open", error)
}

/// An open capture file, for reading or for writing. All methods may be called from many threads.
pub struct CaptureFile {
    file: Arc<OpenFile>,
    shown: Shown<Snapshot>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// The slots' stamps of the current snapshot, to see cheaply that nothing has changed.
    Reader(ArcSwap<Option<Stamps>>),
    Writer(Box<WriterRole>),
}

#[derive(Debug)]
struct WriterRole {
    /// `None` once closed.
    writer: Mutex<Option<Writer>>,
    /// The count of forks when the file was opened; a forked child never touches the writer, whose
    /// lock a thread that did not come along may hold.
    forks: u64,
}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("CaptureFile");
        out.field("path", &self.path()).field("is_writer", &self.is_writer()).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Opens an existing file for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    pub(crate) fn reader(file: Arc<OpenFile>, current: Current) -> Result<Self> {
        check_length(&file, &current.master)?;
        let snapshot = Snapshot::committed(Arc::clone(&file), current.master);
        Ok(Self {
            file,
            shown: Shown::new(snapshot),
            role: Role::Reader(ArcSwap::from_pointee(current.stamps)),
        })
    }

    pub(crate) fn writer(mut writer: Writer) -> Result<Self> {
        let snapshot = writer.snapshot()?;
        Ok(Self {
            file: Arc::clone(snapshot.file()),
            shown: Shown::new(snapshot),
            role: Role::Writer(Box::new(WriterRole {
                writer: Mutex::new(Some(writer)),
                forks: lock::forks(),
            })),
        })
    }

    /// Makes the name `target` of the file survive a power cut. The file is synced last: XFS has no error for a
    /// folder whose disk is gone meanwhile, but for a file it has.
    pub(crate) fn sync_name(&self, target: &Path) -> io::Result<()> {
        self.file.storage.sync_folder(target)?;
        self.file.storage.sync()
    }

    /// The file's path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The state that this object sees: as of the last refresh, or with all that was added here. In a
    /// forked child a writer shows what its parent has committed.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let (current, is_latest) = self.shown.look();
        match self.writer_here().filter(|_| !is_latest) {
            Some(role) => self.bring_up_to_date(role),
            None if self.is_orphaned(&current) => self.show_committed(),
            None => Ok(current),
        }
    }

    /// The same without the cost of sharing it; for one quick look. `None` if it takes waiting.
    pub fn quick_snapshot(&self) -> Option<Guard<Arc<Snapshot>>> {
        let (current, is_latest) = self.shown.peek();
        let is_usable = is_latest || self.writer_here().is_none();
        (is_usable && !self.is_orphaned(&current)).then_some(current)
    }

    /// Whether a forked child would see a transaction of its parent, which may have taken it back.
    fn is_orphaned(&self, current: &Snapshot) -> bool {
        matches!(&self.role, Role::Writer(role) if role.forks != lock::forks()) && current.is_uncommitted()
    }

    fn show_committed(&self) -> Result<Arc<Snapshot>> {
        let current = current::read_current(&self.file, |_| Ok(()))?;
        check_length(&self.file, &current.master)?;
        Ok(self.shown.renew(Snapshot::committed(Arc::clone(&self.file), current.master)))
    }

    /// The writer. A forked child leaves it alone.
    fn writer_here(&self) -> Option<&WriterRole> {
        match &self.role {
            Role::Writer(role) => Some(&**role).filter(|role| role.forks == lock::forks()),
            Role::Reader(_) => None,
        }
    }

    fn bring_up_to_date(&self, role: &WriterRole) -> Result<Arc<Snapshot>> {
        match role.lock().as_mut() {
            Some(writer) => Ok(self.shown.renew(writer.snapshot()?)),
            None => Ok(self.shown.look().0),
        }
    }

    /// How many records this object sees.
    pub fn record_count(&self) -> Result<u64> {
        let (current, is_latest) = self.shown.peek();
        if let Some(role) = self.writer_here().filter(|_| !is_latest)
            && let Some(writer) = role.lock().as_ref()
        {
            return Ok(writer.record_count());
        }
        if self.is_orphaned(&current) {
            return Ok(self.snapshot()?.record_count());
        }
        Ok(current.record_count())
    }

    /// Lets go of a snapshot of uncommitted frames before they are taken back: they are saved in memory
    /// for whoever still holds one, and that should only be somebody who reads them.
    fn let_go_of_uncommitted(&self, writer: &Writer) -> Result<()> {
        if self.shown.peek().0.is_uncommitted() {
            self.shown.put_back(writer.committed_snapshot()?);
        }
        Ok(())
    }

    /// Looks at what has been committed since; true if there is more to see, or other metadata. With
    /// `durable`, what is seen is on the disk and cannot be taken back by a power cut. A writer has
    /// nothing to refresh.
    pub fn refresh(&self, durable: bool) -> Result<bool> {
        let Role::Reader(stamps) = &self.role else {
            return Ok(false);
        };
        let (held, _) = self.shown.look();
        let now = current::read_stamps(&*self.file.storage, &self.file.geometry)
            .map_err(self.file.failed("read the master nodes of"))?;
        let unchanged = now.is_some() && now == **stamps.load();
        if unchanged && !durable {
            return Ok(false);
        }
        let current = current::read_current(&self.file, |master| {
            if !master.extent().is_before(held.extent()) {
                return Ok(());
            }
            let found = "a commit that is older than the one read before";
            Err(Damage::new(found, "a file that only grows"))
        })?;
        check_length(&self.file, &current.master)?;
        if durable {
            self.file.storage.sync().map_err(self.file.failed("sync"))?;
        }
        let fresh = Arc::new(Snapshot::committed(Arc::clone(&self.file), current.master));
        if fresh.shows_the_same_as(&held) {
            stamps.store(Arc::new(current.stamps));
            return Ok(false);
        }
        // The stamps must never be newer than the snapshot: cleared first, set last.
        stamps.store(Arc::new(None));
        if self.shown.advance(&fresh, Snapshot::is_newer_than) {
            stamps.store(Arc::new(current.stamps));
        }
        Ok(true)
    }

    /// Waits for a commit that is newer than what this reading object shows, for `most` at most; it may return
    /// sooner. Not every commit ends it: not one that soon follows another, nor one by another library. So
    /// [`Waiter`](crate::Waiter) says how long to wait before the next look.
    pub fn wait_for_commit(&self, most: Duration) {
        let stamps = match &self.role {
            Role::Reader(stamps) => **stamps.load(),
            Role::Writer(_) => None,
        };
        let Some(stamps) = stamps else {
            return std::thread::sleep(most);
        };
        let next = self.shown.peek().0.serial().wrapping_add(1);
        let [a, b, c, d, ..] = stamps[image_index(next)];
        let position = self.file.geometry.slot_position(Slot::of_serial(next));
        self.file.storage.wait_for_change(position, [a, b, c, d], most);
    }

    /// A reading object over the same open file, with its own idea of what is new.
    pub fn observer(&self) -> Result<Self> {
        let current = current::read_current(&self.file, |_| Ok(()))?;
        Self::reader(Arc::clone(&self.file), current)
    }

    /// Checks that the file has not been cut short since it was looked at.
    pub fn check_length(&self) -> Result<()> {
        self.shown.peek().0.check_length()
    }

    /// Whether another file, or none, stands under the name that this one was opened with. Where the
    /// system does not say what stands there, that is no reason to think so.
    pub fn is_replaced(&self) -> Result<bool> {
        match self.file.storage.is_at(&self.file.location) {
            Ok(in_place) => Ok(!in_place),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(self.file.failed("look for")(error)),
        }
    }

    /// Length of the file now, in bytes, room for growth included.
    pub fn file_size(&self) -> Result<u64> {
        let length = self.file.storage.length();
        length.map_err(self.file.failed("read the length of"))
    }

    /// Which file is open, whatever stands at its path; `None` where the bytes are in no file.
    pub fn identity(&self) -> Result<Option<FileIdentity>> {
        self.file.storage.identity().map_err(self.file.failed("identify"))
    }

    /// What was committed through this object so far.
    pub fn totals(&self) -> Totals {
        match &self.role {
            Role::Writer(role) if role.forks == lock::forks() => {
                role.lock().as_ref().map(Writer::totals).unwrap_or_default()
            }
            _ => Totals::default(),
        }
    }

    /// Whether the file is open for writing.
    pub fn is_writer(&self) -> bool {
        matches!(self.role, Role::Writer(_))
    }

    /// Adds a record, which becomes visible to others with the next commit; returns the new count. An
    /// error leaves everything as it was.
    pub fn add_record(&self, record: &[u8]) -> Result<u64> {
        self.write(|writer| writer.add_record(record))
    }

    /// Adds a record if that takes no waiting and no more than copying it; `None` if it would.
    pub fn add_record_quickly(&self, record: &[u8]) -> Result<Option<u64>> {
        self.write_quickly(|writer| writer.add_quickly(record))
    }

    /// Like [`write`](Self::write), but `None` if the writer is at work or gone.
    fn write_quickly<T>(&self, work: impl FnOnce(&mut Writer) -> Result<Option<T>>) -> Result<Option<T>> {
        let role = self.writer_role()?;
        let Ok(mut guard) = role.writer.try_lock() else {
            return Ok(None);
        };
        let Some(writer) = guard.as_mut() else {
            return Ok(None);
        };
        let result = work(writer);
        self.shown.outdate();
        result
    }

    /// Adds many records, all or none of them; returns the new count.
    pub fn add_records<R: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = R>) -> Result<u64> {
        let mut batch = self.begin_batch()?;
        for record in records {
            batch.add(record.as_ref())?;
        }
        batch.keep()
    }

    /// Starts adding records that all stay or all go.
    pub fn begin_batch(&self) -> Result<Batch<'_>> {
        self.write(|writer| writer.check_health())?;
        Ok(Batch { file: self, held: Vec::new(), ends: Vec::new(), begun: None })
    }

    /// Replaces the metadata, from the next commit on.
    pub fn set_metadata(&self, metadata: Option<&[u8]>) -> Result<()> {
        self.write(|writer| writer.set_metadata(metadata))
    }

    /// Makes everything since the last commit visible to others and durable, together.
    pub fn commit(&self) -> Result<()> {
        self.commit_measured().map(drop)
    }

    /// Does what [`commit`](Self::commit) does; returns what was committed, or `None` if there was nothing.
    pub fn commit_measured(&self) -> Result<Option<Totals>> {
        self.write(Writer::commit)
    }

    /// Forgets everything since the last commit.
    pub fn rollback(&self) -> Result<()> {
        self.write(|writer| {
            self.let_go_of_uncommitted(writer)?;
            writer.rollback()
        })
    }

    fn take_back(&self, writer: &mut Writer, savepoint: Savepoint) -> Result<()> {
        self.let_go_of_uncommitted(writer)?;
        writer.restore(savepoint);
        Ok(())
    }

    /// Ends writing without a commit and lets go of the lock; returns how many records that loses. The
    /// object goes on to show the last commit, and what snapshots hold stays readable. A file open for
    /// reading ends with its last user.
    pub fn close(&self) -> u64 {
        let Role::Writer(role) = &self.role else {
            return 0;
        };
        if role.forks != lock::forks() {
            return 0;
        }
        let mut guard = role.lock();
        let Some(writer) = guard.take() else {
            return 0;
        };
        // Without the last commit at hand, what there is stays as it is.
        if let Ok(snapshot) = writer.committed_snapshot() {
            self.shown.renew(snapshot);
        }
        writer.uncommitted_records()
    }

    /// Whether closing would lose records or metadata that are not committed.
    pub fn has_uncommitted(&self) -> bool {
        match &self.role {
            Role::Writer(role) if role.forks == lock::forks() => {
                role.lock().as_ref().is_some_and(Writer::has_uncommitted)
            }
            _ => false,
        }
    }

    fn writer_role(&self) -> Result<&WriterRole> {
        let path = || self.file.path.clone();
        match &self.role {
            Role::Reader(_) => Err(Error::NotOpenForWrite { path: path() }),
            Role::Writer(role) if role.forks != lock::forks() => Err(Error::Forked { path: path() }),
            Role::Writer(role) => Ok(role),
        }
    }

    fn write<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let role = self.writer_role()?;
        let mut guard = role.lock();
        let Some(writer) = guard.as_mut() else {
            return Err(Error::Closed { path: self.file.path.clone() });
        };
        let result = work(writer);
        self.shown.outdate();
        result
    }
}

impl WriterRole {
    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        // A panic in the writer would be a defect; its state is no worse than after an error.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WriterRole {
    fn drop(&mut self) {
        if self.forks != lock::forks() {
            // The writer is the parent's: its threads, its lock and its file's length.
            let unlocked = Mutex::new(None);
            std::mem::forget(std::mem::replace(&mut self.writer, unlocked));
        }
    }
}

/// Records that are added together: all stay with [`keep`](Batch::keep), or none.
///
/// They are held back until then, out of the way of what other threads add, commit or roll back. A batch
/// of more than 4 MiB goes on in the open transaction instead. If it then fails, its records are taken
/// back unless others have written through the same object meanwhile: their work stays, and so do the
/// records of the batch before it.
#[derive(Debug)]
pub struct Batch<'a> {
    file: &'a CaptureFile,
    held: Vec<u8>,
    /// Where the records in `held` end.
    ends: Vec<usize>,
    /// Once the batch has grown too long to be held back.
    begun: Option<Begun>,
}

/// A batch in the open transaction.
#[derive(Debug)]
struct Begun {
    savepoint: Savepoint,
    /// The writer's count of changes after the batch's own last one.
    changes: u64,
}

impl Batch<'_> {
    /// Adds a record.
    pub fn add(&mut self, record: &[u8]) -> Result<()> {
        if self.hold(record) {
            return Ok(());
        }
        let Some(begun) = self.begun.as_mut() else {
            self.begun = Some(self.begin()?);
            return self.add(record);
        };
        self.file.write(|writer| begun.add(writer, record))
    }

    /// Adds a record if that takes no waiting and no more than copying it; says whether it did.
    pub fn add_quickly(&mut self, record: &[u8]) -> Result<bool> {
        if self.hold(record) {
            return Ok(true);
        }
        let Some(begun) = self.begun.as_mut() else {
            return Ok(false);
        };
        let added = self.file.write_quickly(|writer| begun.add_quickly(writer, record))?;
        Ok(added.is_some())
    }

    /// Keeps a record for later, while there are few of them.
    fn hold(&mut self, record: &[u8]) -> bool {
        let room = MOST_HELD.saturating_sub(self.held.len() + self.ends.len() * size_of::<usize>());
        if self.begun.is_some() || record.len() >= room {
            return false;
        }
        self.held.extend_from_slice(record);
        self.ends.push(self.held.len());
        true
    }

    /// Adds the records that were held back to the open transaction; all or none of them.
    fn begin(&mut self) -> Result<Begun> {
        let begun = self.file.write(|writer| {
            let mut begun = Begun { savepoint: writer.savepoint()?, changes: writer.changes() };
            let mut start = 0;
            for &end in &self.ends {
                if let Err(error) = begun.add(writer, &self.held[start..end]) {
                    self.file.take_back(writer, begun.savepoint)?;
                    return Err(error);
                }
                start = end;
            }
            Ok(begun)
        })?;
        self.held = Vec::new();
        self.ends = Vec::new();
        Ok(begun)
    }

    /// Leaves the records in; returns the new count.
    pub fn keep(mut self) -> Result<u64> {
        if self.begun.is_none() {
            self.begin()?;
        }
        self.begun = None;
        // Where the file was closed meanwhile, that is an error: the records are gone.
        self.file.write(|writer| Ok(writer.record_count()))
    }
}

impl Begun {
    fn add(&mut self, writer: &mut Writer, record: &[u8]) -> Result<()> {
        let alone = self.changes == writer.changes();
        writer.add_record(record)?;
        self.changes = if alone { writer.changes() } else { self.changes };
        Ok(())
    }

    fn add_quickly(&mut self, writer: &mut Writer, record: &[u8]) -> Result<Option<u64>> {
        let alone = self.changes == writer.changes();
        let added = writer.add_quickly(record)?;
        self.changes = if alone { writer.changes() } else { self.changes };
        Ok(added)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else {
            return;
        };
        // Only a file that was closed meanwhile has nothing to go back to.
        let _ = self.file.write(|writer| {
            if begun.changes == writer.changes() {
                self.file.take_back(writer, begun.savepoint)?;
            }
            Ok(())
        });
    }
}
