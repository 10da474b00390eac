//! Whether a file is still what its writer takes it for.

use crate::error::{Error, Result};
use crate::read::open_file::{Opened, cut_short};
use crate::storage::Standing;

/// What a writer knows of its file from outside of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// Whether the file had a name when it was opened.
    had_name: bool,
    /// The change that another program has made to it.
    harm: Option<&'static str>,
}

impl Watch {
    /// `opened` is what the system knows of the file now.
    pub(crate) fn new(opened: Standing) -> Self {
        Self { had_name: opened.has_name, harm: None }
    }

    /// Why nothing must be written any more, if it must not.
    #[inline]
    pub(crate) fn harm(&self) -> Option<&'static str> {
        self.harm
    }

    /// Checks that the file still has its first `needed` bytes, and a name: what is written to one that was truncated
    /// or removed could not be read again. Returns its length; the room behind may have been cut off.
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
