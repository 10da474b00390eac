//! Another program, which locks parts of a file and checks for locks of others.

use std::fs::File;
use std::path::Path;

pub(super) const WRITER_BYTE: i64 = 0x7FFF_FFFF_FFFF_FFFE;

/// An open file description of another program, with which locks can be tested and taken.
pub(super) struct Stranger(File);

impl Stranger {
    pub(super) fn new(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }
}

#[cfg(unix)]
impl Stranger {
    fn range(kind: i32, start: i64, length: i64) -> libc::flock {
        libc::flock {
            l_type: i16::try_from(kind).unwrap(),
            l_whence: 0,
            l_start: start,
            l_len: length,
            l_pid: 0,
        }
    }

    pub(super) fn take(&self, start: i64, length: i64) -> bool {
        use nix::fcntl::{FcntlArg, fcntl};

        let range = Self::range(libc::F_WRLCK, start, length);
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&range)).is_ok()
    }

    /// The range of a lock that conflicts with a read lock on the entire file.
    pub(super) fn conflict(&self) -> Option<(i64, i64)> {
        use nix::fcntl::{FcntlArg, fcntl};

        let mut range = Self::range(libc::F_RDLCK, 0, 0);
        fcntl(&self.0, FcntlArg::F_OFD_GETLK(&mut range)).unwrap();
        (i32::from(range.l_type) == libc::F_WRLCK).then_some((range.l_start, range.l_len))
    }
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "system calls")]
impl Stranger {
    fn place(start: i64) -> windows_sys::Win32::System::IO::OVERLAPPED {
        use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

        let start = start.cast_unsigned();
        let offset = OVERLAPPED_0_0 { Offset: start as u32, OffsetHigh: (start >> 32) as u32 };
        OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: offset }, ..OVERLAPPED::default() }
    }

    pub(super) fn take(&self, start: i64, length: i64) -> bool {
        use std::os::windows::io::AsRawHandle;
        use windows_sys::Win32::Storage::FileSystem::{
            LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
        };

        let (low, high) = (length.cast_unsigned() as u32, (length.cast_unsigned() >> 32) as u32);
        let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
        let mut place = Self::place(start);
        // SAFETY: the handle is open and synchronous.
        unsafe { LockFileEx(self.0.as_raw_handle(), flags, 0, low, high, &raw mut place) != 0 }
    }

    /// The range of a conflicting lock: all before the writer's byte, or that byte.
    pub(super) fn conflict(&self) -> Option<(i64, i64)> {
        use std::os::windows::io::AsRawHandle;
        use windows_sys::Win32::Storage::FileSystem::UnlockFileEx;

        for (start, length) in [(0, WRITER_BYTE), (WRITER_BYTE, 1)] {
            if !self.take(start, length) {
                return Some((start, length));
            }
            let (low, high) = (length.cast_unsigned() as u32, (length.cast_unsigned() >> 32) as u32);
            let mut place = Self::place(start);
            // SAFETY: as above.
            assert!(unsafe { UnlockFileEx(self.0.as_raw_handle(), 0, low, high, &raw mut place) != 0 });
        }
        None
    }
}
