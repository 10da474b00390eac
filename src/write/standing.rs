//! Detects that a file was truncated or removed while it is being written.

use crate::error::{Error, Result};
use crate::read::open_file::{Opened, cut_short};
use crate::storage::Standing;

/// What a writer has observed about its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// Whether the file had a name when it was opened.
    had_name: bool,
    /// The change that another program has made to it.
    harm: Option<&'static str>,
}

impl Watch {
    /// Starts to watch a file, whose present attributes are `opened`.
    pub(crate) fn new(opened: Standing) -> Self {
        Self { had_name: opened.has_name, harm: None }
    }

    /// Returns the reason why nothing may be written any more, if there is one.
    #[inline]
    pub(crate) fn harm(&self) -> Option<&'static str> {
        self.harm
    }

    /// Checks that the file still has its first `needed` bytes, and a name: data written to a truncated or
    /// removed file could not be read again. Returns the file's length; the unused space at its end may have
    /// been truncated.
    pub(crate) fn check(&mut self, file: &Opened, needed: u64) -> Result<u64> {
        let standing = file.storage.standing().map_err(file.failed("read the length of"))?;
        if standing.length < needed {
            self.harm = Some("the file was truncated");
            return Err(cut_short(file, standing.length, needed));
        }
        if self.had_name && !standing.has_name {
            self.harm = Some("the file was removed");
            return Err(Error::Removed { path: file.path.clone() });
        }
        Ok(standing.length)
    }
}
