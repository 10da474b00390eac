//! What is known of the commits of a simulated file, and what the log of its disk says about them.

/// What is known of commits at one moment; each is the number of a state in `Life::states`.
#[derive(Debug, Clone)]
pub(super) struct Commits {
    /// The last one that was acknowledged.
    pub(super) last: usize,
    /// The one before, which is what a power cut may leave in barrier mode.
    pub(super) previous: usize,
    /// One that was begun and not acknowledged.
    pub(super) begun: Option<usize>,
    /// Whether something was written without a sync that may have cost the file its order.
    pub(super) fragile: bool,
}

/// What the log of a disk says about commits, between what was written.
#[derive(Debug, Clone)]
pub(super) struct Mark(pub(super) Commits);
