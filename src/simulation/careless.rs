//! Mistakes in the order of reads, writes and syncs, made between the library and the disk: the crash tests must notice
//! each of them. Mistakes of logic are made in the source, by `tests/mutants.py`.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::commits::Mark;
use super::disk::Disk;
use crate::format::Geometry;
use crate::lock::FileIdentity;
use crate::storage::{Map, Storage, read_up_to};

/// A mistake in the order of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A commit with frames writes its slot without a sync before it.
    FirstSyncLeftOut,
    /// A commit returns before its slot is on the disk.
    SecondSyncLeftOut,
    /// A failed sync is retried.
    SyncRetried,
    /// A writer builds on the content of the page cache.
    PageCacheTrusted,
    /// A partially read slot is accepted.
    ShortSlotAccepted,
    /// A new file gets its name before its content is on the disk.
    NewFileNotSynced,
    /// A new file is returned before its name is on the disk.
    NameNotSynced,
}

impl Mistake {
    pub(super) const ALL: [Self; 7] = [
        Self::FirstSyncLeftOut,
        Self::SecondSyncLeftOut,
        Self::SyncRetried,
        Self::PageCacheTrusted,
        Self::ShortSlotAccepted,
        Self::NewFileNotSynced,
        Self::NameNotSynced,
    ];
}

thread_local! {
    static MADE: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Does `work` while this thread makes a mistake.
pub(super) fn with<T>(mistake: Mistake, work: impl FnOnce() -> T) -> T {
    MADE.set(Some(mistake));
    let done = work();
    MADE.set(None);
    done
}

/// Returns the disk for the library, with the mistake of this thread.
pub(super) fn storage(disk: &Disk<Mark>, geometry: Geometry) -> Box<dyn Storage> {
    let disk = disk.clone();
    match MADE.get() {
        None => Box::new(disk),
        Some(mistake) => Box::new(Careless {
            mistake,
            geometry,
            is_new: AtomicBool::new(disk.length().is_ok_and(|length| length == 0)),
            has_unsynced_slot: AtomicBool::new(false),
            cut_off: AtomicU64::new(u64::MAX),
            disk,
        }),
    }
}

/// A disk that is used with a mistake.
#[derive(Debug)]
struct Careless {
    disk: Disk<Mark>,
    mistake: Mistake,
    geometry: Geometry,
    /// Whether the file was never synced: it is being created.
    is_new: AtomicBool,
    /// Whether a slot was written since the last sync.
    has_unsynced_slot: AtomicBool,
    /// The end of an incomplete read of a slot.
    cut_off: AtomicU64,
}

impl Careless {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn is_in_slot(&self, position: u64) -> bool {
        (self.geometry.page()..self.geometry.data_start()).contains(&position)
    }

    /// Returns whether the page cache has these bytes already.
    fn is_there(&self, bytes: &[u8], position: u64) -> bool {
        let mut there = vec![0; bytes.len()];
        let read = read_up_to(&self.disk, &mut there, position);
        read.is_ok_and(|length| length == bytes.len()) && there == bytes
    }
}

impl Storage for Careless {
    fn length(&self) -> io::Result<u64> {
        self.disk.length()
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if self.makes(Mistake::ShortSlotAccepted) && self.cut_off.load(Ordering::Relaxed) == position {
            return Ok(0);
        }
        let length = self.disk.read_at(buffer, position)?;
        let is_cut_off = length < buffer.len() && self.is_in_slot(position);
        let end = if is_cut_off { position + length as u64 } else { u64::MAX };
        self.cut_off.store(end, Ordering::Relaxed);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        let in_slot = self.is_in_slot(position);
        if self.makes(Mistake::PageCacheTrusted) && in_slot && self.is_there(bytes, position) {
            return Ok(bytes.len());
        }
        if in_slot {
            self.has_unsynced_slot.store(true, Ordering::Relaxed);
        }
        self.disk.write_at(bytes, position)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        let is_new = self.is_new.swap(false, Ordering::Relaxed);
        let of_slot = self.has_unsynced_slot.swap(false, Ordering::Relaxed);
        match self.mistake {
            Mistake::NewFileNotSynced if is_new => Ok(()),
            Mistake::FirstSyncLeftOut if !is_new && !of_slot => Ok(()),
            Mistake::SecondSyncLeftOut if !is_new && of_slot => Ok(()),
            Mistake::SyncRetried => self.disk.sync().or_else(|_| self.disk.sync()),
            _ => self.disk.sync(),
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.makes(Mistake::NameNotSynced) { Ok(()) } else { self.disk.sync_folder(path) }
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        if self.makes(Mistake::PageCacheTrusted) { Ok(()) } else { self.disk.drop_cached(position, length) }
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        self.disk.map(length)
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.disk.identity()
    }
}
