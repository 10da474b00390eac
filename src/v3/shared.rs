//! What everything that is done with one open file of format 3 shares.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::format::{Header, NUMBER_LIMIT};
use super::read::cache::BlockCache;
use super::steps::Steps;
use crate::error::{Damage, Error};
use crate::storage::Storage;

/// The clock, and bits that nobody can foretell.
pub(crate) trait Environment: Send + Sync + Debug {
    /// Nanoseconds since 1970.
    fn now(&self) -> u64;
    /// Random bits.
    fn random(&self) -> u64;
}

/// Those of the operating system.
#[derive(Debug)]
pub(crate) struct System;

impl Environment for System {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).min(NUMBER_LIMIT - 1)
    }

    fn random(&self) -> u64 {
        // Its keys are random in each process, and others each time.
        RandomState::new().build_hasher().finish()
    }
}

/// One open file.
#[derive(Debug)]
pub(crate) struct Shared {
    /// As it was given, for messages.
    pub(crate) path: PathBuf,
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) header: Header,
    pub(crate) cache: BlockCache,
    /// On how many threads blocks are compressed, the calling one included.
    pub(crate) threads: usize,
    pub(crate) environment: Box<dyn Environment>,
    pub(crate) steps: Steps,
}

impl Shared {
    pub(crate) fn new(
        path: &Path,
        storage: Box<dyn Storage>,
        header: Header,
        cache: u64,
        threads: usize,
    ) -> Self {
        Self {
            path: path.to_owned(),
            storage,
            header,
            cache: BlockCache::new(cache),
            threads,
            environment: Box::new(System),
            steps: Steps::default(),
        }
    }

    /// The error for a call of the system that failed while it was to do `action` to the file.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |error| Error::io(&self.path, action, error)
    }

    pub(crate) fn invalid(&self, damage: Damage) -> Error {
        Error::corrupt(&self.path, damage)
    }
}
