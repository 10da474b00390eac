//! Steps of the protocol that look unnecessary.

/// A step that the crash tests leave out, to check that they notice its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A writer begins with an entry of random bits.
    OpeningEntry,
    /// An entry's checksum starts from the one before.
    ChainedChecksum,
    /// Space in the log is free only once both heads are past it.
    BothBegins,
    /// A log that ends before its head is sure of it is damaged.
    SureLog,
    /// The heads are read again after the end of the chain.
    SecondLook,
    /// This also applies if a refresh has found entries.
    LookAfterFinding,
    /// A refresh checks whether the last entry is still there.
    SameEnd,
    /// The log begins with the entry with the record after those in frames.
    BeginWithNext,
    /// Frames are on the disk before a head refers to them.
    SyncBeforeHead,
    /// Frames are on the disk before the base of an entry refers to them.
    SyncBeforeBase,
    /// A writer that opens rewrites data that may be in memory only.
    WriteAgain,
}

/// All steps, except those that a test leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    pub(crate) left_out: &'static [Step],
}

impl Steps {
    /// Returns whether the step is taken, which is always true outside of tests.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests leave steps out"))]
    pub(crate) fn include(self, step: Step) -> bool {
        #[cfg(test)]
        let included = !self.left_out.contains(&step);
        #[cfg(not(test))]
        let included = {
            let _ = step;
            true
        };
        included
    }
}
