//! The state that an object publishes while its writer works; readers need not wait for the writer.

use crate::sync::{Arc, ArcSwap, AtomicU64, Guard, Ordering};

/// The version of a state that is outdated as soon as it is published.
const NEVER: u64 = u64::MAX;

/// A state with the version of the writer at which it was taken.
pub(crate) trait Versioned {
    fn version(&self) -> u64;
    fn set_version(&mut self, version: u64);
}

/// The published state, and the version the writer has reached.
///
/// A state is current if it has the latest version. Only the holder of the writer changes either, so a
/// reader that finds them equal has the state of that moment, however the threads interleave.
pub(crate) struct Published<S> {
    state: ArcSwap<S>,
    latest: AtomicU64,
}

impl<S: Versioned> Published<S> {
    /// Publishes a first state with this version, which is the latest.
    pub(crate) fn new(mut state: S, version: u64) -> Self {
        state.set_version(version);
        Self { state: ArcSwap::from_pointee(state), latest: AtomicU64::new(version) }
    }

    /// Returns the state, and whether it is current.
    pub(crate) fn load(&self) -> (Arc<S>, bool) {
        let state = self.state.load_full();
        let is_latest = self.is_latest(&state);
        (state, is_latest)
    }

    /// Borrows the state, which is cheaper than sharing it, and returns whether it is current.
    pub(crate) fn load_guard(&self) -> (Guard<Arc<S>>, bool) {
        let state = self.state.load();
        let is_latest = self.is_latest(&state);
        (state, is_latest)
    }

    fn is_latest(&self, state: &S) -> bool {
        state.version() == self.latest.load(Ordering::Acquire)
    }

    /// Records the version that the writer has reached, which invalidates states of other versions. Only
    /// the holder of the writer may call this, `publish` and `retract`.
    pub(crate) fn invalidate(&self, latest: u64) {
        self.latest.store(latest, Ordering::Release);
    }

    /// Publishes the writer's state as the latest.
    pub(crate) fn publish(&self, mut state: S) -> Arc<S> {
        state.set_version(self.latest.load(Ordering::Acquire));
        let state = Arc::new(state);
        self.state.store(Arc::clone(&state));
        state
    }

    /// Replaces the state by an earlier one, until a reader asks the writer.
    pub(crate) fn retract(&self, mut earlier: S) {
        earlier.set_version(NEVER);
        self.state.store(Arc::new(earlier));
    }

    /// Publishes `fresh`, on an object without a writer, unless the state is at least as new. Returns
    /// whether it did.
    pub(crate) fn publish_if_newer(&self, fresh: &Arc<S>, is_newer: impl Fn(&S, &S) -> bool) -> bool {
        let mut current = self.state.load_full();
        while is_newer(fresh, &current) {
            let before = self.state.compare_and_swap(&current, Arc::clone(fresh));
            if Arc::ptr_eq(&before, &current) {
                return true;
            }
            current = Guard::into_inner(before);
        }
        false
    }
}
