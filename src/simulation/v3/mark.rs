//! What a user notes on the disk about commits, for those who look at a moment of it.

/// What is known of commits at one moment; each is the number of a state in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last one that was acknowledged.
    pub(super) acknowledged: usize,
    /// The last one that a power cut must not roll back.
    pub(super) safe: usize,
    /// The last one that was begun.
    pub(super) begun: usize,
    /// Whether something was written without syncs, so that a power cut may cost the file.
    pub(super) fragile: bool,
    /// Whether the file's creation has been acknowledged.
    pub(super) created: bool,
}
