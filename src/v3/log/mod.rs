//! The log: entries in a ring, each chained to the previous one, and the state of the file that results.

mod chain;
mod entries;
mod ring;
mod state;

pub(crate) use chain::{WINDOW, find_lost_entry, follow, is_begun};
pub(crate) use entries::{Entries, LogEntry, window_of};
pub(crate) use ring::Ring;
pub(crate) use state::{LogState, Metadata};
