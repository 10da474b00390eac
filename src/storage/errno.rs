//! The operating system's error numbers, by meaning.

use std::io;

#[cfg(unix)]
mod system {
    pub(crate) const NOT_FOUND: i32 = libc::ENOENT;
    pub(crate) const EXISTS: i32 = libc::EEXIST;
    pub(crate) const IS_FOLDER: i32 = libc::EISDIR;
    pub(crate) const LINKS_IN_A_CIRCLE: i32 = libc::ELOOP;
    #[cfg(test)]
    pub(crate) const UNREADABLE: i32 = libc::EIO;
    #[cfg(test)]
    pub(crate) const DISK_FULL: i32 = libc::ENOSPC;
    #[cfg(test)]
    pub(crate) const QUOTA: i32 = libc::EDQUOT;
    #[cfg(test)]
    pub(crate) const INTERRUPTED: i32 = libc::EINTR;

    pub(super) fn is_unreadable(number: i32) -> bool {
        number == libc::EIO
    }

    pub(super) fn is_locked(_: i32) -> bool {
        false
    }

    pub(super) fn is_in_use(_: i32) -> bool {
        false
    }

    pub(super) fn cannot_be_exclusive(number: i32) -> bool {
        matches!(number, libc::EPERM | libc::EINVAL | libc::ENOTSUP | libc::ENOSYS | libc::EMLINK)
    }
}

#[cfg(windows)]
mod system {
    use windows_sys::Win32::Foundation;
    #[cfg(test)]
    use windows_sys::Win32::Networking::WinSock::WSAEINTR;

    pub(crate) const NOT_FOUND: i32 = Foundation::ERROR_FILE_NOT_FOUND.cast_signed();
    pub(crate) const EXISTS: i32 = Foundation::ERROR_FILE_EXISTS.cast_signed();
    pub(crate) const IS_FOLDER: i32 = Foundation::ERROR_DIRECTORY_NOT_SUPPORTED.cast_signed();
    pub(crate) const LINKS_IN_A_CIRCLE: i32 = Foundation::ERROR_CANT_RESOLVE_FILENAME.cast_signed();
    #[cfg(test)]
    pub(crate) const UNREADABLE: i32 = Foundation::ERROR_CRC.cast_signed();
    #[cfg(test)]
    pub(crate) const DISK_FULL: i32 = Foundation::ERROR_DISK_FULL.cast_signed();
    #[cfg(test)]
    pub(crate) const QUOTA: i32 = Foundation::ERROR_DISK_QUOTA_EXCEEDED.cast_signed();
    /// The only number that the standard library treats as interrupted; calls on files never are.
    #[cfg(test)]
    pub(crate) const INTERRUPTED: i32 = WSAEINTR;

    pub(super) fn is_unreadable(number: i32) -> bool {
        matches!(
            number.cast_unsigned(),
            Foundation::ERROR_CRC
                | Foundation::ERROR_SECTOR_NOT_FOUND
                | Foundation::ERROR_READ_FAULT
                | Foundation::ERROR_IO_DEVICE
                | Foundation::ERROR_DISK_OPERATION_FAILED
        )
    }

    pub(super) fn is_locked(number: i32) -> bool {
        number.cast_unsigned() == Foundation::ERROR_LOCK_VIOLATION
    }

    pub(super) fn is_in_use(number: i32) -> bool {
        matches!(
            number.cast_unsigned(),
            Foundation::ERROR_ACCESS_DENIED
                | Foundation::ERROR_SHARING_VIOLATION
                | Foundation::ERROR_USER_MAPPED_FILE
        )
    }

    pub(super) fn cannot_be_exclusive(_: i32) -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) use system::{DISK_FULL, INTERRUPTED, QUOTA, UNREADABLE};
pub(crate) use system::{EXISTS, IS_FOLDER, LINKS_IN_A_CIRCLE, NOT_FOUND};

/// Returns whether the error means that the disk cannot read some bytes.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::is_unreadable)
}

/// Returns whether a lock of another process prevents reading or writing some bytes, which only Windows enforces.
pub(super) fn is_locked(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::is_locked)
}

/// Returns whether a file cannot be replaced because it is open, which only Windows refuses.
pub(crate) fn is_in_use(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::is_in_use)
}

/// Returns whether an error of a rename means that the file system cannot rename without replacing an existing
/// file.
pub(crate) fn cannot_be_exclusive(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::cannot_be_exclusive)
}
