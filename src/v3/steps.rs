//! Steps of the protocol that look as if one could do without them.

/// A step that the crash tests leave out, to see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A writer begins with an entry of random bits.
    OpeningEntry,
    /// An entry's checksum starts from the one before.
    ChainedChecksum,
    /// Room in the log is free only once both heads are past it.
    BothBegins,
    /// A log that ends before its head is sure of it is damaged.
    SureLog,
    /// The heads are read again behind the end of the chain.
    SecondLook,
    /// Also where a refresh has found entries.
    LookAfterFinding,
    /// A refresh looks whether the entry that it ended with still stands there.
    SameEnd,
    /// The log begins with the entry that holds the record behind those in frames.
    BeginWithNext,
    /// Frames are on the disk before a head refers to them.
    SyncBeforeHead,
    /// Frames are on the disk before the base of an entry refers to them.
    SyncBeforeBase,
    /// What memory may hold and the disk may not is written again when a writer opens.
    WriteAgain,
}

/// All steps, but for what a test leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    pub(crate) left_out: &'static [Step],
}

impl Steps {
    /// Whether the step is taken, which outside of tests it always is.
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
