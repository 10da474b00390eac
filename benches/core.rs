//! Times the most frequent operations of the crate: `cargo bench`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use capturefile::{CaptureFile, OpenOptions, RecordBuffer, Snapshot, SyncMode};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tempfile::TempDir;

const COUNT: u64 = 100_000;
/// Number of records in a commit.
const EVERY: usize = 1000;

fn main() {
    divan::main();
}

/// Returns lines of a log that differ only in some numbers.
fn lines() -> Vec<String> {
    let line = |number: u64| {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        format!(
            "2026-01-01T00:00:{:02} INFO request {number} from 10.0.{}.{} took {mixed} us",
            number % 60,
            mixed % 256,
            mixed / 256 % 256
        )
    };
    (1..=COUNT).map(line).collect()
}

fn options(threads: usize) -> OpenOptions {
    OpenOptions::new().write(true).replace(true).sync(SyncMode::None).threads(threads)
}

fn write(options: &OpenOptions, folder: &TempDir, lines: &[String]) {
    let file = options.open(folder.path().join("log.capture")).unwrap();
    for batch in lines.chunks(EVERY) {
        for line in batch {
            file.add_record(line.as_bytes()).unwrap();
        }
        file.commit().unwrap();
    }
}

/// Writes a file of all lines, which is deleted together with the folder.
fn written() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&options(1), &folder, &lines());
    folder
}

fn open(folder: &TempDir, options: &OpenOptions) -> Arc<Snapshot> {
    options.open(folder.path().join("log.capture")).unwrap().snapshot().unwrap()
}

#[divan::bench(args = [1, 2, 4])]
fn append(bencher: Bencher<'_, '_>, threads: usize) {
    let (lines, folder) = (lines(), tempfile::tempdir().unwrap());
    let bytes: usize = lines.iter().map(String::len).sum();
    bencher
        .counter(ItemsCount::new(COUNT))
        .counter(BytesCount::new(bytes))
        .bench_local(|| write(&options(threads), &folder, &lines));
}

#[divan::bench]
fn commit_of_one(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let file = options(1).open(folder.path().join("log.capture")).unwrap();
    bencher.bench_local(|| {
        file.add_record(b"one short record").unwrap();
        file.commit().unwrap();
    });
}

#[divan::bench]
fn get_warm(bencher: Bencher<'_, '_>) {
    let folder = written();
    let snapshot = open(&folder, &OpenOptions::new());
    snapshot.records(1).for_each(|record| drop(record.unwrap()));
    let mut number = 1;
    bencher.bench_local(|| {
        number = (number * 7919 + 1) % COUNT + 1;
        snapshot.record(black_box(number)).unwrap()
    });
}

#[divan::bench]
fn get_without_cache(bencher: Bencher<'_, '_>) {
    let folder = written();
    let snapshot = open(&folder, &OpenOptions::new().cache_size(0));
    let mut number = 1;
    bencher.bench_local(|| {
        number = (number * 7919 + 1) % COUNT + 1;
        snapshot.record(black_box(number)).unwrap()
    });
}

#[divan::bench(args = [1, 2, 4])]
fn scan(bencher: Bencher<'_, '_>, threads: usize) {
    let folder = written();
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        let records = open(&folder, &OpenOptions::new().threads(threads)).records(1);
        records.map(|record| record.unwrap().len()).sum::<usize>()
    });
}

#[divan::bench(args = [1, 2, 4])]
fn pack(bencher: Bencher<'_, '_>, threads: usize) {
    let folder = written();
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        let mut packed = RecordBuffer::default();
        let mut records = open(&folder, &OpenOptions::new().threads(threads)).records(1);
        while records.pack(&mut packed, usize::MAX, usize::MAX).unwrap() {}
        packed
    });
}

#[divan::bench]
fn open_and_close(bencher: Bencher<'_, '_>) {
    let folder = written();
    let path = folder.path().join("log.capture");
    bencher.bench_local(|| CaptureFile::open(&path).unwrap());
}

#[divan::bench]
fn refresh_without_a_new_commit(bencher: Bencher<'_, '_>) {
    let folder = written();
    let file = CaptureFile::open(folder.path().join("log.capture")).unwrap();
    bencher.bench_local(|| file.refresh(false).unwrap());
}
