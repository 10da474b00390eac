//! What lies between the library and the disk: caches that hold on to pages, a library that tries again what it must
//! not, a clock, and bits that a seed brings back.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::mark::Mark;
use crate::simulation::disk::Disk;
use crate::simulation::random::Random;
use crate::storage::{Map, Storage};
use crate::v3::shared::Environment;

const PAGE: u64 = 512;

/// A disk under a library that makes a mistake with it, or none.
#[derive(Debug)]
pub(super) struct Careless {
    disk: Disk<Mark>,
    /// Which pages are forgotten when they are to be.
    random: Mutex<Random>,
    retries_syncs: bool,
}

impl Careless {
    pub(super) fn new(disk: Disk<Mark>, random: Random, retries_syncs: bool) -> Self {
        Self { disk, random: Mutex::new(random), retries_syncs }
    }
}

impl Storage for Careless {
    fn length(&self) -> io::Result<u64> {
        self.disk.length()
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.read_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.disk.write_at(bytes, position)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        match self.disk.sync() {
            Err(_) if self.retries_syncs => self.disk.sync(),
            done => done,
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_folder(path)
    }

    /// It is advice: pages that others map stay.
    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let chance = [0, 50, 100][random.below(3)];
        for page in (position..position + length).step_by(512) {
            if random.chance(chance) {
                self.disk.drop_cached(page, PAGE)?;
            }
        }
        Ok(())
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        self.disk.map(length)
    }

    fn identity(&self) -> io::Result<crate::lock::FileIdentity> {
        self.disk.identity()
    }

    fn wait_for_change(&self, _: u64, _: [u8; 4], _: std::time::Duration) {}
}

/// How a clock goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// It stands still, so that the same records give the same bytes.
    Still,
    /// It runs, and sometimes jumps back.
    Jumps,
}

/// A clock and random bits that a seed brings back.
#[derive(Debug)]
pub(super) struct Seeded {
    random: Mutex<Random>,
    clock: Clock,
}

impl Seeded {
    pub(super) fn new(random: Random, clock: Clock) -> Self {
        Self { random: Mutex::new(random), clock }
    }

    fn next(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

impl Environment for Seeded {
    fn now(&self) -> u64 {
        match self.clock {
            Clock::Still => 1000,
            Clock::Jumps => 1000 + self.next() % 10_000,
        }
    }

    fn random(&self) -> u64 {
        self.next()
    }
}
