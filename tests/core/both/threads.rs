//! Many threads that share one object or read while a writer is busy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use capturefile::{CaptureFile, Snapshot};

use super::support::{Place, add, all_of, noise, record, records, writing_as};
use crate::image::SMALL;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sets the flag when it is dropped, even by a panic, so that no thread waits forever.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Makes `commits` commits of more records of known content, each with the count as the metadata.
fn commit_often(file: &CaptureFile, commits: u64) {
    let mut count = file.record_count().unwrap();
    for commit in 1..=commits {
        for _ in 0..commit * 7 % 40 {
            count += 1;
            add(file, count);
        }
        file.set_metadata(Some(count.to_string().as_bytes())).unwrap();
        file.commit().unwrap();
    }
}

/// Checks that a snapshot shows exactly one commit; returns its record count.
fn check_whole(snapshot: &Snapshot, seed: u64) -> u64 {
    let count = snapshot.record_count();
    let metadata = snapshot.metadata().unwrap().map(|count| String::from_utf8(count.to_vec()).unwrap());
    assert_eq!(metadata.unwrap_or("0".into()), count.to_string());
    for number in [1, count / 2, count, seed % (count + 1)] {
        if (1..=count).contains(&number) {
            assert_eq!(*snapshot.record(number).unwrap(), *record(number), "record {number} of {count}");
        }
    }
    count
}

/// Calls `see` until `done`, and once more; the count that it returns must never decrease.
fn watch(done: &AtomicBool, mut see: impl FnMut(u64) -> u64) -> u64 {
    let (mut seen, mut looks) = (0, 0);
    loop {
        let last = done.load(Ordering::Acquire);
        let now = see(looks);
        assert!(now >= seen, "{now} records after {seen}");
        (seen, looks) = (now, looks + 1);
        if last {
            return seen;
        }
    }
}

#[test]
fn threads_that_share_a_reader_see_complete_commits_in_order() {
    for cache_size in [0, 20_000, 1 << 26] {
        let place = Place::new();
        let file = writing_as(SMALL).open(&place.path).unwrap();
        let reader = capturefile::OpenOptions::new().cache_size(cache_size).open(&place.path).unwrap();
        let done = AtomicBool::new(false);
        let look = |look: u64| {
            reader.refresh(look % 16 == 15).unwrap();
            check_whole(&reader.snapshot().unwrap(), look.wrapping_mul(7919))
        };
        let seen: Vec<u64> = thread::scope(|scope| {
            let watchers: Vec<_> = (0..4).map(|_| scope.spawn(|| watch(&done, look))).collect();
            {
                let _done = SetOnDrop(&done);
                commit_often(&file, 60);
            }
            watchers.into_iter().map(|watcher| watcher.join().unwrap()).collect()
        });
        assert_eq!(seen, [file.record_count().unwrap(); 4]);
    }
}

#[test]
fn readers_of_the_path_and_of_an_open_file_see_complete_commits_too() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    let done = AtomicBool::new(false);
    let by_path = |look| check_whole(&place.reader().snapshot().unwrap(), look);
    let reader = file.reader().unwrap();
    let by_reader = |look| {
        reader.refresh(false).unwrap();
        check_whole(&reader.snapshot().unwrap(), look)
    };
    let by_new_reader = |look| check_whole(&file.reader().unwrap().snapshot().unwrap(), look);
    thread::scope(|scope| {
        let watchers = [
            scope.spawn(|| watch(&done, by_path)),
            scope.spawn(|| watch(&done, by_reader)),
            scope.spawn(|| watch(&done, by_new_reader)),
        ];
        {
            let _done = SetOnDrop(&done);
            commit_often(&file, 100);
        }
        for watcher in watchers {
            assert_eq!(watcher.join().unwrap(), file.record_count().unwrap());
        }
    });
}

#[test]
fn a_reader_of_an_open_file_can_read_after_its_writer_is_closed_and_never_write() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    (1..=30).for_each(|number| add(&file, number));
    let reader = file.reader().unwrap();
    assert_eq!(reader.record_count().unwrap(), 0);
    assert!(!reader.is_writer() && reader.add_record(b"x").is_err());
    file.commit().unwrap();
    assert_eq!(reader.record_count().unwrap(), 0);
    assert!(reader.refresh(false).unwrap() && !file.refresh(false).unwrap());
    drop(file);
    assert_eq!(all_of(&reader), records(30));
    let file = place.writer();
    (31..=60).for_each(|number| add(&file, number));
    file.commit().unwrap();
    assert!(reader.refresh(true).unwrap());
    assert_eq!(all_of(&reader), records(60));
}

#[test]
fn a_transaction_that_is_read_after_each_record_is_committed_completely() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    for last in [3, 200, 204] {
        for number in file.record_count().unwrap() + 1..=last {
            file.add_record(&number.to_be_bytes()).unwrap();
            assert_eq!(*file.snapshot().unwrap().record(number).unwrap(), number.to_be_bytes());
        }
        file.commit().unwrap();
        for file in [&file, &place.reader()] {
            let snapshot = file.snapshot().unwrap();
            let found = snapshot.records(1).map(|record| record.unwrap().to_vec());
            assert!(found.eq((1..=last).map(|number| number.to_be_bytes().to_vec())));
        }
    }
}

#[test]
fn threads_that_share_a_writer_lose_no_record_and_keep_their_order() {
    let place = Place::new();
    let file = writing_as(SMALL).threads(3).open(&place.path).unwrap();
    let add = |thread: u8, index: u32| {
        let record = [&[thread][..], &index.to_be_bytes(), &noise(index.into(), 50)].concat();
        if !index.is_multiple_of(3) || file.try_add_record(&record).unwrap().is_none() {
            file.add_record(&record).unwrap();
        }
        if index.is_multiple_of(41) {
            file.commit().unwrap();
        }
        let snapshot = file.snapshot().unwrap();
        assert!(
            snapshot.record_count() > u64::from(index) && snapshot.record(snapshot.record_count()).is_ok()
        );
    };
    thread::scope(|scope| {
        (0..4).for_each(|thread| drop(scope.spawn(move || (0..300).for_each(|index| add(thread, index)))));
    });
    file.commit().unwrap();
    let mut next = [0_u32; 4];
    for record in all_of(&place.reader()) {
        let next = &mut next[usize::from(record[0])];
        assert_eq!(record[1..5], next.to_be_bytes());
        *next += 1;
    }
    assert_eq!(next, [300; 4]);
}

#[test]
fn a_follower_gets_every_record_once_and_in_order() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    let follower = place.reader();
    let done = AtomicBool::new(false);
    let given = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                let last = done.load(Ordering::Acquire);
                let more = follower.refresh(false).unwrap();
                let next = given.load(Ordering::Relaxed) + 1;
                for (number, found) in (next..).zip(follower.snapshot().unwrap().records(next)) {
                    assert!(more);
                    assert_eq!(*found.unwrap(), *record(number));
                    given.store(number, Ordering::Relaxed);
                }
                if last {
                    return;
                }
                thread::yield_now();
            }
        });
        let _done = SetOnDrop(&done);
        commit_often(&file, 150);
    });
    assert_eq!(given.into_inner(), file.record_count().unwrap());
}

#[test]
fn many_threads_read_one_snapshot_at_the_same_time() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    (1..=500).for_each(|number| add(&file, number));
    for snapshot in [file.snapshot().unwrap(), {
        file.commit().unwrap();
        place.reader().snapshot().unwrap()
    }] {
        let numbers: Vec<u64> = (1..=500).rev().collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!((1..=500).all(|number| *snapshot.record(number).unwrap() == *record(number)));
            });
            scope.spawn(|| assert!(super::support::all(&snapshot) == records(500)));
            scope.spawn(|| {
                let backwards = snapshot.records(1).rev().zip((1..=500).rev());
                assert!(backwards.into_iter().all(|(found, number)| *found.unwrap() == *record(number)));
            });
            scope.spawn(|| {
                let batches = snapshot.records_at(&numbers).unwrap();
                for batch in batches {
                    let batch = batch.unwrap();
                    batch.iter().for_each(|(place, found)| assert_eq!(**found, *record(numbers[*place])));
                }
            });
        });
    }
}

#[test]
fn a_rollback_or_close_does_not_affect_readers_of_the_transaction() {
    let kept: Vec<Vec<u8>> = (0..40).map(|seed| noise(seed, 100_000)).collect();
    for round in 0..8 {
        let place = Place::new();
        let file = writing_as(SMALL).cache_size(0).open(&place.path).unwrap();
        file.add_records(&kept).unwrap();
        let snapshot = file.snapshot().unwrap();
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _started = SetOnDrop(&started);
                for (found, kept) in snapshot.records(1).chain(snapshot.records(1)).zip(kept.iter().cycle()) {
                    assert!(*found.unwrap() == **kept);
                    started.store(true, Ordering::Release);
                }
            });
            while !started.load(Ordering::Acquire) {
                thread::yield_now();
            }
            if round % 2 == 0 {
                file.rollback().unwrap();
                file.add_records((0..40).map(|seed| noise(seed + 999, 100_000))).unwrap();
                file.rollback().unwrap();
            }
            file.close();
        });
    }
}
