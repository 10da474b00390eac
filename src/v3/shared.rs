//! State that all users of one open file of format 3 share.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::format::{Header, NUMBER_LIMIT};
use super::read::cache::BlockCache;
use crate::read::open_file::Opened;

/// The sources of time and of unpredictable bits.
pub(crate) trait Environment: Send + Sync + Debug {
    /// Returns the time, in nanoseconds since 1970.
    fn now(&self) -> u64;
    /// Returns random bits.
    fn random(&self) -> u64;
}

/// The clock and the random bits of the operating system.
#[derive(Debug)]
pub(crate) struct System;

impl Environment for System {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).min(NUMBER_LIMIT - 1)
    }

    fn random(&self) -> u64 {
        // Its keys are random, and different each time.
        RandomState::new().build_hasher().finish()
    }
}

/// A time that is set when earlier commits are committed again.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenTime(Arc<AtomicU64>);

impl GivenTime {
    pub(crate) fn set(&self, time: u64) {
        self.0.store(time, Ordering::Relaxed);
    }
}

impl Environment for GivenTime {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn random(&self) -> u64 {
        System.random()
    }
}

/// One open file.
#[derive(Debug)]
pub(crate) struct Shared {
    opened: Opened,
    pub(crate) header: Header,
    pub(crate) cache: BlockCache,
    pub(crate) environment: Arc<dyn Environment>,
}

impl Deref for Shared {
    type Target = Opened;

    #[inline]
    fn deref(&self) -> &Opened {
        &self.opened
    }
}

impl Shared {
    /// Creates the state with a cache of this many bytes.
    pub(crate) fn new(opened: Opened, header: Header, cache: u64) -> Self {
        Self::in_environment(opened, header, cache, Arc::new(System))
    }

    /// Creates the state with this source of time and random bits.
    pub(crate) fn in_environment(
        opened: Opened,
        header: Header,
        cache: u64,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { opened, header, cache: BlockCache::new(cache), environment }
    }
}
