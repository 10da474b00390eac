//! Mistakes that the crash tests must notice, as switches of the test build; always off outside it.

/// One mistake in the order or the bookkeeping of writes and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A commit with frames goes straight to its slot.
    FirstSyncLeftOut,
    /// A commit returns before its slot is on the disk.
    SecondSyncLeftOut,
    /// In barrier mode only commits with frames sync.
    BarrierOnlyWithData,
    /// The serial number in memory moves on before the commit has succeeded.
    SerialMovedEarly,
    /// A commit that failed is tried again in the other slot.
    RetryInOtherSlot,
    /// A sync that failed is tried again.
    SyncRetried,
    /// A writer builds on what memory holds of the file.
    PageCacheTrusted,
    /// The last partial page is taken from the file instead of the slot.
    PartialPageFromFile,
    /// Serial numbers are compared without their wrap.
    SerialsUnsigned,
    /// A slot that was read in part counts.
    ShortSlotAccepted,
    /// A closed block is forgotten before its write has succeeded.
    BlockDroppedEarly,
    /// What was cached of a transaction stays after its rollback.
    CacheKeptAfterRollback,
    /// A new file gets its name before what is in it is on the disk.
    NewFileNotSynced,
    /// A new file is given out before its name is on the disk.
    NameNotSynced,
}

#[cfg(test)]
impl Mutant {
    pub(crate) const ALL: [Self; 14] = [
        Self::FirstSyncLeftOut,
        Self::SecondSyncLeftOut,
        Self::BarrierOnlyWithData,
        Self::SerialMovedEarly,
        Self::RetryInOtherSlot,
        Self::SyncRetried,
        Self::PageCacheTrusted,
        Self::PartialPageFromFile,
        Self::SerialsUnsigned,
        Self::ShortSlotAccepted,
        Self::BlockDroppedEarly,
        Self::CacheKeptAfterRollback,
        Self::NewFileNotSynced,
        Self::NameNotSynced,
    ];
}

#[cfg(not(test))]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switches::{on, with};

#[cfg(test)]
mod switches {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// Does `work` with one mistake switched on, in this thread.
    pub(crate) fn with<T>(mutant: Mutant, work: impl FnOnce() -> T) -> T {
        ON.set(Some(mutant));
        let done = work();
        ON.set(None);
        done
    }
}
