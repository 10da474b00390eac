use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::file::OpenOptions;
use crate::lock::FileIdentity;
use crate::storage::{FileStorage, Map, Standing, Storage, open_plain};

/// How often each call is made.
type Counts = Arc<Mutex<BTreeMap<&'static str, u32>>>;

/// A file that counts the calls.
#[derive(Debug)]
struct Counting {
    file: FileStorage,
    counts: Counts,
}

impl Counting {
    fn count(&self, call: &'static str) -> &FileStorage {
        *self.counts.lock().unwrap().entry(call).or_default() += 1;
        &self.file
    }
}

impl Storage for Counting {
    fn length(&self) -> io::Result<u64> {
        self.count("length").length()
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.count("read").read_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.count("write").write_at(bytes, position)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.count("set_length").set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.count("sync").sync()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.count("sync_folder").sync_folder(path)
    }

    fn drop_cached(&self, position: u64, length: u64) -> io::Result<()> {
        self.count("drop_cached").drop_cached(position, length)
    }

    fn length_for(&self, needed: u64) -> io::Result<u64> {
        self.count("length_for").length_for(needed)
    }

    fn standing(&self) -> io::Result<Standing> {
        self.count("standing").standing()
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        self.count("map").map(length)
    }

    fn wait_for_change(&self, position: u64, seen: [u8; 4], timeout: Duration) {
        self.count("wait").wait_for_change(position, seen, timeout);
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.count("identity").identity()
    }
}

fn new_file() -> (tempfile::TempDir, PathBuf, CaptureFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.capture");
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    (folder, path, writer)
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such files")]
fn a_look_without_news_asks_once_for_what_the_system_knows_and_reads_the_slot_versions() {
    let (_folder, path, writer) = new_file();
    writer.add_record(b"one").unwrap();
    writer.commit().unwrap();
    let counts = Counts::default();
    let file = FileStorage::new(open_plain(&path, false).unwrap().0);
    let storage = Box::new(Counting { file, counts: Arc::clone(&counts) });
    let follower = OpenOptions::new().read_storage(&path, storage).unwrap().follow(2).unwrap();
    counts.lock().unwrap().clear();
    let mut looks = 0;
    let news = follower.next_batch_while(None, || {
        looks += 1;
        if looks < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(news.unwrap().is_none());
    let counts = std::mem::take(&mut *counts.lock().unwrap());
    assert_eq!(counts, BTreeMap::from([("read", 20), ("standing", 10), ("wait", 10)]));
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "Miri has no such files")]
fn a_commit_ends_the_longest_wait_for_it() {
    /// How long a writer takes before it ends pauses again.
    const QUIET: Duration = Duration::from_millis(500);
    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);
    for commits in 0..3 {
        let (_folder, path, writer) = new_file();
        for _ in 0..commits {
            writer.add_record(b"before").unwrap();
            writer.commit().unwrap();
        }
        std::thread::sleep(QUIET);
        let reader = CaptureFile::open(&path).unwrap();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| reader.wait_for_commit(PATIENCE));
            std::thread::sleep(Duration::from_millis(50));
            writer.add_record(b"news").unwrap();
            writer.commit().unwrap();
        });
        // A commit since the last check is noticed immediately.
        reader.wait_for_commit(PATIENCE);
        assert!(began.elapsed() < PATIENCE);
        assert!(reader.refresh(false).unwrap());
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such files")]
fn a_file_may_be_cut_off_in_front_of_the_place_where_somebody_waits() {
    let (_folder, path, writer) = new_file();
    let reader = CaptureFile::open(&path).unwrap();
    let follower = reader.follow(1).unwrap();
    assert!(follower.next_batch(Some(Duration::from_millis(1))).unwrap().is_none());
    writer.close();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    follower.reader.wait_for_commit(Duration::from_millis(1));
    assert!(matches!(follower.next_batch(None), Err(Error::Corrupt { .. })));
}
