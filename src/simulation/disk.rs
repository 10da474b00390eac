//! A disk in memory: what was written, what was synced, and the effects of power cuts and failed syncs.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk_state::{Change, DiskState, SECTOR};
use super::meanwhile::let_others_work;
use super::random::Random;
use crate::format::{Geometry, in_memory};
use crate::lock::{FileIdentity, SlotLock, WriteRight};
use crate::storage::{Map, Storage, errno, too_short};

/// The state of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// It has none yet.
    Missing,
    /// It is visible, but a power cut may roll it back.
    InMemory,
    OnDisk,
}

impl Name {
    /// Returns whether the name exists after a power cut.
    pub(crate) fn after_power_cut(self, random: &mut Random) -> bool {
        match self {
            Self::Missing => false,
            Self::InMemory => random.one_in(2),
            Self::OnDisk => true,
        }
    }
}

/// An event in the history of a disk, which can be replayed.
#[derive(Debug, Clone)]
pub(crate) enum Event<Mark> {
    Changed(Change),
    Synced,
    SyncFailed(Box<DiskState>),
    Dropped {
        position: usize,
        length: usize,
    },
    /// The file got its name, or the name was synced.
    Named(Name),
    Marked(Mark),
}

impl<Mark> Event<Mark> {
    /// Replays the event on `disk`.
    pub(crate) fn replay(&self, disk: &mut DiskState) {
        match self {
            Self::Changed(change) => disk.change(change.clone()),
            Self::Synced => disk.sync(),
            Self::SyncFailed(after) => disk.clone_from(after),
            Self::Dropped { position, length } => disk.drop_cached(*position, *length),
            Self::Named(_) | Self::Marked(_) => {}
        }
    }
}

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Length,
    Sync,
    Map,
    /// About the file's name.
    Name,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error(i32),
    /// Only half of the request is done.
    Short,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [
        Self::Error(errno::UNREADABLE),
        Self::Error(errno::DISK_FULL),
        Self::Error(errno::INTERRUPTED),
        Self::Short,
    ];
}

/// The pages of a file that other programs map, so that they stay in memory when the cache is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapped {
    Nothing,
    /// Unknown pages.
    Some,
    All,
}

/// The calls that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    None,
    /// Call number `0`, counted from the start, once.
    Once(u64, Fault),
    /// Every call from this one on.
    From(u64, Fault),
    /// Each sync, and each other call, with these chances in a hundred.
    Random {
        syncs: usize,
        others: usize,
    },
}

#[derive(Debug)]
struct Inner<Mark> {
    state: DiskState,
    log: Vec<Event<Mark>>,
    plan: Plan,
    calls: u64,
    syncs: u64,
    failed_syncs: u64,
    random: Random,
    map: Option<Arc<Vec<u8>>>,
    mapped: Mapped,
}

/// The disk as a [`Storage`]; clones are the same disk.
#[derive(Debug)]
pub(crate) struct Disk<Mark>(Arc<Mutex<Inner<Mark>>>);

impl<Mark> Clone for Disk<Mark> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Mark> Disk<Mark> {
    pub(crate) fn new(state: DiskState, random: Random) -> Self {
        let log = Vec::new();
        Self(Arc::new(Mutex::new(Inner {
            state,
            log,
            plan: Plan::None,
            calls: 0,
            syncs: 0,
            failed_syncs: 0,
            random,
            map: None,
            mapped: Mapped::Nothing,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_mapped(&self, mapped: Mapped) {
        self.inner().mapped = mapped;
    }

    pub(crate) fn set_plan(&self, plan: Plan) {
        self.inner().plan = plan;
    }

    /// Returns the number of calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Returns the number of successful syncs.
    pub(crate) fn syncs(&self) -> u64 {
        self.inner().syncs
    }

    /// Returns the number of failed syncs.
    pub(crate) fn failed_syncs(&self) -> u64 {
        self.inner().failed_syncs
    }

    /// Gives the file its name.
    pub(crate) fn move_in(&self) -> io::Result<()> {
        self.set_name(Name::InMemory)
    }

    fn set_name(&self, name: Name) -> io::Result<()> {
        let mut inner = self.inner();
        inner.admit(Call::Name, 0)?;
        inner.log.push(Event::Named(name));
        Ok(())
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.inner().log.push(Event::Marked(mark));
    }

    pub(crate) fn state(&self) -> DiskState {
        self.inner().state.clone()
    }

    pub(crate) fn take_log(&self) -> Vec<Event<Mark>> {
        std::mem::take(&mut self.inner().log)
    }
}

impl<Mark> Inner<Mark> {
    /// Returns the fault of this call, if any.
    fn fault(&mut self, call: Call) -> Option<Fault> {
        let number = self.calls;
        self.calls += 1;
        let fault = match self.plan {
            Plan::Once(at, fault) if at == number => fault,
            Plan::From(from, fault) if number >= from => fault,
            Plan::Random { syncs, others } => self.random_fault(call, syncs, others)?,
            _ => return None,
        };
        // A call without bytes cannot be done partially, and maps are not interrupted.
        let whole = !matches!(call, Call::Read | Call::Write);
        (fault != Fault::Short || !whole).then_some(fault)
    }

    fn random_fault(&mut self, call: Call, syncs: usize, others: usize) -> Option<Fault> {
        let struck = match call {
            Call::Sync => self.random.chance(syncs),
            Call::Write | Call::Length | Call::Read | Call::Name => self.random.chance(others),
            Call::Map => false,
        };
        struck.then(|| Fault::ALL[self.random.below(Fault::ALL.len())])
    }

    /// Returns how many of `length` bytes a call processes.
    fn admit(&mut self, call: Call, length: usize) -> io::Result<usize> {
        match self.fault(call) {
            None => Ok(length),
            Some(Fault::Short) => Ok(length.div_ceil(2)),
            Some(Fault::Error(number)) => Err(io::Error::from_raw_os_error(number)),
        }
    }

    fn change(&mut self, change: Change) {
        self.map = None;
        self.log.push(Event::Changed(change.clone()));
        self.state.change(change);
    }
}

impl<Mark: Send + std::fmt::Debug> Storage for Disk<Mark> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.inner().state.cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut inner = self.inner();
        let there = inner.state.cache.len().saturating_sub(in_memory(position)).min(buffer.len());
        let length = inner.admit(Call::Read, there)?;
        let from = in_memory(position).min(inner.state.cache.len());
        buffer[..length].copy_from_slice(&inner.state.cache[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        let mut inner = self.inner();
        let length = inner.admit(Call::Write, bytes.len())?;
        inner.change(Change::Write { position: in_memory(position), bytes: bytes[..length].into() });
        Ok(length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.admit(Call::Length, 0)?;
        inner.change(Change::Length(in_memory(length)));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let_others_work();
        let mut inner = self.inner();
        if let Err(error) = inner.admit(Call::Sync, 0) {
            let Inner { state, random, failed_syncs, .. } = &mut *inner;
            state.fail_sync(random);
            *failed_syncs += 1;
            let after = Box::new(inner.state.clone());
            inner.map = None;
            inner.log.push(Event::SyncFailed(after));
            return Err(error);
        }
        inner.state.sync();
        inner.syncs += 1;
        inner.log.push(Event::Synced);
        drop(inner);
        let_others_work();
        Ok(())
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        let (position, length) = (in_memory(position), in_memory(length));
        let mut inner = self.inner();
        let chance = match inner.mapped {
            Mapped::All => return Ok(()),
            Mapped::Nothing => 100,
            Mapped::Some => [0, 50, 100][inner.random.below(3)],
        };
        inner.map = None;
        for position in (position..position + length).step_by(SECTOR) {
            if inner.random.chance(chance) {
                inner.state.drop_cached(position, SECTOR);
                inner.log.push(Event::Dropped { position, length: SECTOR });
            }
        }
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.set_name(Name::OnDisk)
    }

    fn map(&self, needed: u64) -> io::Result<Option<Map>> {
        let mut inner = self.inner();
        inner.admit(Call::Map, 0)?;
        let length = inner.state.cache.len() as u64;
        if length < needed {
            return Err(too_short(length, needed));
        }
        if inner.map.is_none() {
            let bytes = inner.state.cache.clone();
            inner.map = Some(Arc::new(bytes));
        }
        Ok(inner.map.clone().map(Map::new))
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Ok(FileIdentity { device: 0, inode: 1, birth: None })
    }
}

/// The right to write a file on a simulated disk, which has one user.
#[derive(Debug)]
pub(crate) struct OnlyUser;

impl WriteRight for OnlyUser {
    fn lock_slots(&self, _: &Geometry) -> Option<SlotLock<'_>> {
        None
    }

    fn is_forked(&self) -> bool {
        false
    }
}
