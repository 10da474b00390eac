//! Differences between file systems, determined from the system.

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
mod linux {
    use super::{File, io};

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::statfs::{FsType, fstatfs};
    use nix::sys::statvfs::{FsFlags, fstatvfs};
    use rustix::fs::{AtFlags, StatxFlags, statx};

    const OVERLAY: FsType = FsType(0x794c_7630);

    fn is_read_only(file: &File) -> bool {
        fcntl(file, FcntlArg::F_GETFL)
            .is_ok_and(|flags| OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE == OFlag::O_RDONLY)
    }

    /// Returns whether a file that is open for reading may belong to a container's image. Once it is written, its
    /// descriptor shows the copy that is made then, but its maps continue to show the image.
    pub(in crate::storage) fn may_be_copied_up(file: &File) -> bool {
        is_read_only(file) && fstatfs(file).is_ok_and(|system| system.filesystem_type() == OVERLAY)
    }

    /// Returns whether a file that is open for reading is in a read-only file system.
    pub(in crate::storage) fn is_of_image(file: &File) -> bool {
        is_read_only(file) && fstatvfs(file).is_ok_and(|system| system.flags().contains(FsFlags::ST_RDONLY))
    }

    /// Returns the length of a file, bypassing cached attributes of a file on a server.
    pub(in crate::storage) fn length_anew(file: &File) -> io::Result<u64> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        match statx(file, c"", flags, StatxFlags::SIZE) {
            Ok(found) => Ok(found.stx_size),
            // For example in a sandbox that does not permit the call.
            Err(_) => Ok(file.metadata()?.len()),
        }
    }
}

/// Other systems have no such file systems, as far as we know.
#[cfg(not(target_os = "linux"))]
mod other {
    use super::{File, io};

    pub(in crate::storage) fn may_be_copied_up(_: &File) -> bool {
        false
    }

    #[cfg(unix)]
    pub(in crate::storage) fn is_of_image(_: &File) -> bool {
        false
    }

    pub(in crate::storage) fn length_anew(file: &File) -> io::Result<u64> {
        file.metadata().map(|metadata| metadata.len())
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(super) use other::*;
