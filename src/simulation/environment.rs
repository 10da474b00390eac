//! A clock and random bits that are reproducible from a seed.

use std::sync::{Arc, Mutex, PoisonError};

use super::random::Random;
use crate::v3::shared::Environment;

/// How a clock behaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// It is stopped, so that the same records produce the same bytes.
    Still,
    /// It runs, and sometimes jumps back.
    Jumps,
}

/// A clock and random bits that are reproducible from a seed.
#[derive(Debug, Clone)]
pub(super) struct Seeded {
    random: Arc<Mutex<Random>>,
    pub(super) clock: Clock,
}

impl Seeded {
    pub(super) fn new(random: Random, clock: Clock) -> Self {
        Self { random: Arc::new(Mutex::new(random)), clock }
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
