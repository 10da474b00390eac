//! File identities, which show that two names refer to one file.

#[cfg(all(unix, not(target_env = "musl")))]
use std::fs;
use std::fs::{File, Metadata};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
#[cfg(not(target_env = "musl"))]
use std::time::UNIX_EPOCH;

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
        #[cfg(target_env = "musl")]
        let birth = by_statx::birth_of(file);
        #[cfg(not(target_env = "musl"))]
        let birth = birth_in(&metadata);
        Ok(Self::new(numbers, birth, metadata))
    }

    /// Returns the attributes of the file that `path` leads to.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        #[cfg(all(unix, not(target_env = "musl")))]
        return fs::metadata(path)
            .map(|metadata| Self::new((metadata.dev(), metadata.ino()), birth_in(&metadata), metadata));
        #[cfg(target_env = "musl")]
        return by_statx::open_to_look(path).and_then(|file| Self::of_file(&file));
        #[cfg(windows)]
        return windows::open_to_look(path).and_then(|file| Self::of_file(&file));
    }

    fn new((device, inode): (u64, u64), birth: Option<u64>, metadata: Metadata) -> Self {
        Self { identity: FileIdentity { device, inode, birth }, metadata }
    }
}

#[cfg(not(target_env = "musl"))]
fn birth_in(metadata: &Metadata) -> Option<u64> {
    let since = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// Creation times, which the standard library does not return with musl.
#[cfg(target_env = "musl")]
mod by_statx {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, statx};

    /// Opens a file for its attributes only, which needs no right to read it.
    pub(super) fn open_to_look(path: &Path) -> io::Result<File> {
        Ok(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    pub(super) fn birth_of(file: &File) -> Option<u64> {
        let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
        if !StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME) {
            return None;
        }
        let seconds = u64::try_from(found.stx_btime.tv_sec).ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(found.stx_btime.tv_nsec.into())
    }
}

#[cfg(test)]
#[cfg_attr(target_os = "linux", expect(clippy::unwrap_used, reason = "a test fails by panicking"))]
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

    #[cfg(target_os = "linux")]
    #[test]
    #[cfg_attr(miri, ignore = "Miri has no such call")]
    fn a_file_is_identified_by_its_creation_time_if_the_file_system_records_it() {
        use rustix::fs::{AtFlags, StatxFlags, statx};

        let file = tempfile::NamedTempFile::new().unwrap();
        let identity = FileIdentity::of_file(file.as_file()).unwrap();
        let found = statx(file.as_file(), c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
        let is_recorded = found.is_ok_and(|found| found.stx_mask & StatxFlags::BTIME.bits() != 0);
        assert_eq!(identity.birth.is_some(), is_recorded);
        assert_eq!(Attributes::at(file.path()).unwrap().identity, identity);
    }
}
