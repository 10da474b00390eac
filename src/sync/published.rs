//! The state that an object shows while its writer goes on, read without waiting for the writer.

use crate::sync::{Arc, ArcSwap, AtomicU64, Guard, Ordering};

/// The version of a state that is shown only until the writer is asked.
const NEVER: u64 = u64::MAX;

/// A state that knows which version of the writer's it is.
pub(crate) trait Versioned {
    fn version(&self) -> u64;
    fn set_version(&mut self, version: u64);
}

/// A state, and how often the writer has gone on.
///
/// A state is up to date when it is of the latest version. Only the one who holds the writer changes either,
/// so a reader who finds the two equal has what there was when it looked, however the writer and other
/// readers come in between.
pub(crate) struct Shown<S> {
    state: ArcSwap<S>,
    latest: AtomicU64,
}

impl<S: Versioned> Shown<S> {
    /// Shows a new state as the latest.
    pub(crate) fn new(mut state: S) -> Self {
        state.set_version(0);
        Self { state: ArcSwap::from_pointee(state), latest: AtomicU64::new(0) }
    }

    /// The state, and whether it is up to date.
    pub(crate) fn look(&self) -> (Arc<S>, bool) {
        let state = self.state.load_full();
        let is_latest = self.is_latest(&state);
        (state, is_latest)
    }

    /// The same without the cost of sharing it.
    pub(crate) fn peek(&self) -> (Guard<Arc<S>>, bool) {
        let state = self.state.load();
        let is_latest = self.is_latest(&state);
        (state, is_latest)
    }

    fn is_latest(&self, state: &S) -> bool {
        state.version() == self.latest.load(Ordering::Acquire)
    }

    /// Notes that the writer has gone on. Only for the one who holds it, like what follows.
    pub(crate) fn outdate(&self) {
        self.latest.fetch_add(1, Ordering::Release);
    }

    /// Shows what the writer has now.
    pub(crate) fn renew(&self, mut state: S) -> Arc<S> {
        state.set_version(self.latest.load(Ordering::Acquire));
        let state = Arc::new(state);
        self.state.store(Arc::clone(&state));
        state
    }

    /// Lets go of the state for an earlier one, until somebody asks the writer.
    pub(crate) fn put_back(&self, mut earlier: S) {
        earlier.set_version(NEVER);
        self.state.store(Arc::new(earlier));
    }

    /// Shows `fresh`, where there is no writer, unless what is shown is as new; returns whether it did.
    pub(crate) fn advance(&self, fresh: &Arc<S>, is_newer: impl Fn(&S, &S) -> bool) -> bool {
        let mut shown = self.state.load_full();
        while is_newer(fresh, &shown) {
            let before = self.state.compare_and_swap(&shown, Arc::clone(fresh));
            if Arc::ptr_eq(&before, &shown) {
                return true;
            }
            shown = Guard::into_inner(before);
        }
        false
    }
}
