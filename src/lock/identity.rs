//! File identities, which show that two names refer to one file.

#[cfg(unix)]
use std::fs;
use std::fs::{File, Metadata};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(windows)]
use crate::windows;

/// Identifies a file among all files that a machine has ever had, including earlier ones with the same name.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let before = log.identity()?;
/// let new = capturefile::OpenOptions::new().write(true).open(folder.path().join("new.capture"))?;
/// assert_ne!(before, new.identity()?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileIdentity {
    /// The device that it is on.
    pub device: u64,
    /// Its number on the device, which is reused after the file is deleted.
    pub inode: u64,
    /// Creation time in nanoseconds since the epoch, if the file system records it.
    pub birth: Option<u64>,
}

impl FileIdentity {
    /// Identifies an open file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        Attributes::of_file(file).map(|attributes| attributes.identity)
    }

    /// Distinguishes files that exist at the same time. The birth of a file can change: after a file of a
    /// container's image has been copied up, it is that of the copy.
    pub(super) fn while_it_exists(self) -> Self {
        Self { birth: None, ..self }
    }

    /// Returns whether both are the same file, if both were determined while it existed.
    pub(crate) fn is_same_file(self, other: Self) -> bool {
        self.while_it_exists() == other.while_it_exists()
    }
}

/// The attributes of a file at one moment.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) identity: FileIdentity,
    pub(crate) metadata: Metadata,
}

impl Attributes {
    /// Returns the attributes of an open file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        #[cfg(unix)]
        let numbers = (metadata.dev(), metadata.ino());
        #[cfg(windows)]
        let numbers = windows::file_id(file)?;
        Ok(Self::new(numbers, metadata))
    }

    /// Returns the attributes of the file that `path` leads to.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        return fs::metadata(path).map(|metadata| Self::new((metadata.dev(), metadata.ino()), metadata));
        #[cfg(windows)]
        return windows::open_to_look(path).and_then(|file| Self::of_file(&file));
    }

    fn new((device, inode): (u64, u64), metadata: Metadata) -> Self {
        let since = |birth: SystemTime| birth.duration_since(UNIX_EPOCH).ok();
        let nanoseconds = metadata.created().ok().and_then(since).map(|birth| birth.as_nanos());
        let birth = nanoseconds.and_then(|birth| u64::try_from(birth).ok());
        Self { identity: FileIdentity { device, inode, birth }, metadata }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_copied_up_is_the_same_file_and_one_that_took_its_number_is_another() {
        let image = FileIdentity { device: 1, inode: 2, birth: Some(3) };
        for copy in [FileIdentity { birth: Some(4), ..image }, FileIdentity { birth: None, ..image }] {
            assert!(image.is_same_file(copy));
            assert_ne!(image, copy);
        }
        assert!(!image.is_same_file(FileIdentity { inode: 3, ..image }));
        assert!(!image.is_same_file(FileIdentity { device: 2, ..image }));
    }
}
