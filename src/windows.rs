//! Safe functions for system calls of Windows that the standard library does not offer.

#![expect(unsafe_code, reason = "calls of the system")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of a few bytes, and halves of numbers")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    FILE_ID_INFO, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO, FILE_TYPE_DISK,
    FileIdInfo, FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType,
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, MoveFileExW, ReOpenFile, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};
use xxhash_rust::xxh3::xxh3_64;

fn check(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Opens a file or folder only for reading its attributes, which no share mode prevents.
pub(crate) fn open_to_look(path: &Path) -> io::Result<File> {
    OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

/// Returns the volume of a file, and the file's number on it.
pub(crate) fn file_id(file: &File) -> io::Result<(u64, u64)> {
    let mut info = FILE_ID_INFO::default();
    // SAFETY: `file` keeps the handle open, and the call writes `info`, whose size is passed.
    let done = unsafe {
        let size = size_of::<FILE_ID_INFO>() as u32;
        GetFileInformationByHandleEx(file.as_raw_handle(), FileIdInfo, (&raw mut info).cast(), size)
    };
    if done == 0 {
        return short_file_id(file);
    }
    let number = u128::from_le_bytes(info.FileId.Identifier);
    // File numbers have 64 bits on NTFS, and more on ReFS.
    let number = u64::try_from(number).unwrap_or_else(|_| xxh3_64(&info.FileId.Identifier));
    Ok((info.VolumeSerialNumber, number))
}

/// Does the same as [`file_id`] on file systems with shorter file numbers, such as FAT.
fn short_file_id(file: &File) -> io::Result<(u64, u64)> {
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: `file` keeps the handle open, and the call writes `info`.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut info) })?;
    let number = u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow);
    Ok((info.dwVolumeSerialNumber.into(), number))
}

/// Returns the length of a file, and whether it has a name and will not be deleted with its last handle.
pub(crate) fn length_and_name(file: &File) -> io::Result<(u64, bool)> {
    let mut info = FILE_STANDARD_INFO::default();
    // SAFETY: `file` keeps the handle open, and the call writes `info`, whose size is passed.
    check(unsafe {
        let size = size_of::<FILE_STANDARD_INFO>() as u32;
        GetFileInformationByHandleEx(file.as_raw_handle(), FileStandardInfo, (&raw mut info).cast(), size)
    })?;
    Ok((info.EndOfFile.cast_unsigned(), info.NumberOfLinks > 0 && !info.DeletePending))
}

/// Returns whether this is a file, and not a device or a pipe.
pub(crate) fn is_on_disk(file: &File) -> bool {
    // SAFETY: `file` keeps the handle open.
    unsafe { GetFileType(file.as_raw_handle()) == FILE_TYPE_DISK }
}

/// Returns another handle of an open file, for writing.
pub(crate) fn reopen_to_write(file: &File) -> io::Result<File> {
    let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: `file` keeps its handle open.
    let handle = unsafe { ReOpenFile(file.as_raw_handle(), access, share, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new and has no other owner.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Renames a file, unless a file with the new name exists.
pub(crate) fn rename_to_new(old: &Path, new: &Path) -> io::Result<()> {
    let text = |path: &Path| path.as_os_str().encode_wide().chain([0]).collect::<Vec<u16>>();
    let (old, new) = (text(old), text(new));
    // SAFETY: both names end with a zero, and outlive the call.
    check(unsafe { MoveFileExW(old.as_ptr(), new.as_ptr(), 0) })
}

/// Takes a lock without waiting.
pub(crate) fn lock(file: &File, exclusive: bool, start: u64, length: u64) -> io::Result<()> {
    let flags = LOCKFILE_FAIL_IMMEDIATELY | if exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    let (mut place, low, high) = range(start, length);
    // SAFETY: `file` keeps the handle open; the handle is synchronous, so that the call ends before `place` does.
    check(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, low, high, &raw mut place) })
}

/// Releases a lock.
pub(crate) fn unlock(file: &File, start: u64, length: u64) -> io::Result<()> {
    let (mut place, low, high) = range(start, length);
    // SAFETY: as above.
    check(unsafe { UnlockFileEx(file.as_raw_handle(), 0, low, high, &raw mut place) })
}

/// Returns a range as the calls expect it.
fn range(start: u64, length: u64) -> (OVERLAPPED, u32, u32) {
    let offset = OVERLAPPED_0_0 { Offset: start as u32, OffsetHigh: (start >> 32) as u32 };
    let place = OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: offset }, ..OVERLAPPED::default() };
    (place, length as u32, (length >> 32) as u32)
}
