//! Dropping cached content of files.

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
pub(super) fn drop_cached(file: &File, position: u64, length: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    use crate::storage::system::open;

    let (position, length) = cached_together(position, length);
    let (Ok(position), Ok(length)) = (position.try_into(), length.try_into()) else {
        return Ok(());
    };
    posix_fadvise(file, position, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    // Mapped pages stay. If the file is on a server, its content is fetched again when the file is opened.
    drop(open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())), false));
    Ok(())
}

/// Does nothing: macOS has no such call. After a failed sync, cached content is assumed to be the content of the disk.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
pub(super) fn drop_cached(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// Returns the start and length of everything that Linux may cache together with a range. It drops only what
/// lies entirely in a range: pages, which have up to 64 KiB, and groups of pages ("large folios"). A group
/// begins at a multiple of its size, which is at most 2 MiB where pages have 4 KiB. Larger pages permit
/// larger groups, but files are not read or written in such quantities.
#[cfg(target_os = "linux")]
fn cached_together(position: u64, length: u64) -> (u64, u64) {
    const MAX_GROUP_SIZE: u64 = 2 * 1024 * 1024;
    let start = position - position % MAX_GROUP_SIZE;
    (start, (position + length).next_multiple_of(MAX_GROUP_SIZE) - start)
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::IoSliceMut;
    use std::os::unix::fs::FileExt;

    use rustix::io::{ReadWriteFlags, preadv2};

    use super::*;

    #[test]
    fn whole_pages_and_groups_are_dropped_whatever_their_size() {
        for size in [4096, 16384, 65536, 2 * 1024 * 1024] {
            for (position, length) in [(4096, 81920), (512, 2048), (65535, 2), (2 * 1024 * 1024, 1)] {
                let (start, dropped) = cached_together(position, length);
                assert!(start.is_multiple_of(size) && dropped.is_multiple_of(size));
                assert!(start <= position && position + length <= start + dropped);
            }
        }
        assert_eq!(cached_together(4096, 81920), (0, 2 * 1024 * 1024));
    }

    /// Returns whether a read of one byte needs no disk; unknown where the file system cannot tell.
    fn is_cached(file: &File, position: u64) -> Option<bool> {
        let mut byte = [0];
        match preadv2(file, &mut [IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(rustix::io::Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no page cache")]
    fn what_was_written_as_one_large_piece_can_be_dropped_in_part() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![1; 4 * 1024 * 1024], 0).unwrap();
        file.sync_all().unwrap();
        // The query may itself start to read missing bytes, so one success in several attempts is enough.
        let can_drop = |position, length| {
            (0..20).any(|_| {
                drop_cached(&file, position, length).unwrap();
                is_cached(&file, 4096) != Some(true)
            })
        };
        let dropped = can_drop(4096, 81920);
        // A file system in memory, for example, drops nothing.
        assert!(dropped || !can_drop(0, 4 * 1024 * 1024));
    }
}
