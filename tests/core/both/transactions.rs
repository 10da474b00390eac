//! Commits, rollbacks, batches, and snapshots that outlive them.

use std::sync::Arc;

use capturefile::{CaptureFile, Error, Geometry, Snapshot, SyncMode};

use super::support::{
    Place, add, all, all_of, check, metadata_of, noise, record, records, refused, writing, writing_as,
};
use crate::image::{SMALL, geometry};

/// A writer with records 1 to `committed` committed, and those up to `added` uncommitted.
fn in_transaction(place: &Place, geometry: Geometry, committed: u64, added: u64) -> CaptureFile {
    let file = writing_as(geometry).open(&place.path).unwrap();
    (1..=committed).for_each(|number| add(&file, number));
    file.commit().unwrap();
    (committed + 1..=added).for_each(|number| add(&file, number));
    file
}

#[test]
fn uncommitted_changes_are_visible_only_to_their_writer() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 30, 50);
    file.set_metadata(Some(b"not yet")).unwrap();
    let reader = place.reader();
    assert!(all_of(&file) == records(50) && metadata_of(&file).unwrap() == b"not yet");
    assert!(all_of(&reader) == records(30) && metadata_of(&reader).is_none());
    assert!(!reader.refresh(false).unwrap());
    assert!(all_of(&file.reader().unwrap()) == records(30));
    file.commit().unwrap();
    assert!(reader.refresh(false).unwrap());
    assert!(all_of(&reader) == records(50) && metadata_of(&reader).unwrap() == b"not yet");
    assert!(!reader.refresh(false).unwrap() && !reader.refresh(true).unwrap());
}

#[test]
fn every_sync_mode_commits_and_reopens() {
    for sync in [SyncMode::Full, SyncMode::Barrier, SyncMode::None] {
        let place = Place::new();
        for round in 0..3 {
            let file = writing_as(SMALL).sync(sync).open(&place.path).unwrap();
            (1..=5).for_each(|index| add(&file, 5 * round + index));
            file.commit().unwrap();
        }
        assert_eq!(all_of(&place.reader()), records(15));
    }
}

#[test]
fn a_rollback_discards_any_amount_of_records_and_metadata() {
    for (committed, added) in [(0, 1), (0, 300), (1, 2), (50, 51), (50, 300)] {
        let place = Place::new();
        let file = in_transaction(&place, SMALL, committed, added);
        file.set_metadata(Some(&noise(1, 3000))).unwrap();
        file.rollback().unwrap();
        assert_eq!(file.record_count().unwrap(), committed);
        assert!(all_of(&file) == records(committed) && metadata_of(&file).is_none());
        (committed + 1..=100).for_each(|number| add(&file, number));
        file.commit().unwrap();
        assert!(all_of(&place.reader()) == records(100) && metadata_of(&place.reader()).is_none());
    }
}

#[test]
fn metadata_is_replaced_removed_and_empty_with_its_commit() {
    let place = Place::new();
    let file = writing_as(SMALL).initial_metadata(Some(b"initial".to_vec())).open(&place.path).unwrap();
    let reader = place.reader();
    let long = noise(1, 10_000);
    for metadata in [Some(&b"x"[..]), None, Some(b""), Some(&long), None, None, Some(b"last")] {
        let before = metadata_of(&reader);
        file.set_metadata(metadata).unwrap();
        assert_eq!(metadata_of(&file).as_deref(), metadata);
        assert!(!reader.refresh(false).unwrap());
        file.commit().unwrap();
        assert_eq!(reader.refresh(false).unwrap(), before.as_deref() != metadata);
        assert_eq!(metadata_of(&reader).as_deref(), metadata);
    }
    file.set_metadata(None).unwrap();
    file.rollback().unwrap();
    assert_eq!(metadata_of(&file).unwrap(), b"last");
}

#[test]
fn initial_metadata_does_not_change_existing_files() {
    let place = Place::new();
    drop(writing().initial_metadata(Some(b"first".to_vec())).open(&place.path).unwrap());
    let file = writing().initial_metadata(Some(b"second".to_vec())).open(&place.path).unwrap();
    assert_eq!(metadata_of(&file).unwrap(), b"first");
}

/// Snapshots of many states, each with the record count that it must show.
#[derive(Default)]
struct Album(Vec<(Arc<Snapshot>, u64)>);

impl Album {
    fn take(&mut self, file: &CaptureFile, count: u64) {
        self.0.push((file.snapshot().unwrap(), count));
    }

    fn check(&self) {
        for (index, (snapshot, count)) in self.0.iter().enumerate() {
            assert_eq!(snapshot.record_count(), *count, "snapshot {index}");
            assert!(all(snapshot) == records(*count), "snapshot {index} of {count} records");
        }
    }
}

#[test]
fn snapshots_outlive_commits_rollbacks_batches_and_the_file_itself() {
    for geometry in [SMALL, geometry(512, 0, 2), geometry(513, 513, 3), geometry(4096, 32768, 32)] {
        for cache_size in [0, 10_000, 1 << 26] {
            let place = Place::new();
            let file = writing_as(geometry).cache_size(cache_size).open(&place.path).unwrap();
            let album = fill_album(&file);
            album.check();
            assert_eq!(file.close(), 5);
            album.check();
            if cfg!(unix) {
                // Windows does not remove mapped files.
                std::fs::remove_file(&place.path).unwrap();
            }
            drop((file, place));
            album.check();
        }
    }
}

fn fill_album(file: &CaptureFile) -> Album {
    let mut album = Album::default();
    album.take(file, 0);
    let mut count = 0;
    for round in 0..6 {
        (1..=90).for_each(|index| add(file, count + index));
        album.take(file, count + 90);
        if round % 3 == 0 {
            file.rollback().unwrap();
            // Other records in the same place, so that a snapshot that reads these is detected.
            file.add_records((0..60).map(|seed| noise(seed, 200))).unwrap();
            file.rollback().unwrap();
        } else {
            let mut batch = file.batch().unwrap();
            (0..60).for_each(|seed| drop(batch.add(&noise(seed, 200))));
            drop(batch);
            album.take(file, count + 90);
            file.commit().unwrap();
            count += 90;
        }
        album.take(file, count);
    }
    (1..=5).for_each(|index| add(file, count + index));
    album.take(file, count + 5);
    album
}

#[test]
fn a_snapshot_of_rolled_back_records_does_not_show_later_ones_in_their_place() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 30, 30);
    let ours: Vec<Vec<u8>> = (0..100).map(|seed| noise(seed, 100)).collect();
    let theirs: Vec<Vec<u8>> = (100..200).map(|seed| noise(seed, 100)).collect();
    file.add_records(&ours).unwrap();
    let snapshot = file.snapshot().unwrap();
    file.rollback().unwrap();
    file.add_records(&theirs).unwrap();
    file.commit().unwrap();
    for _ in 0..2 {
        assert!(all_of(&file)[30..] == theirs && all_of(&file.reader().unwrap())[30..] == theirs);
        assert!(all(&snapshot)[30..] == ours);
    }
}

#[test]
fn iterators_continue_after_commits_rollbacks_and_the_end_of_the_file() {
    let place = Place::new();
    let file = writing_as(SMALL).cache_size(0).open(&place.path).unwrap();
    (1..=200).for_each(|number| add(&file, number));
    let mut forwards = file.snapshot().unwrap().records(1);
    let mut backwards = file.snapshot().unwrap().records(1).rev();
    let mut step = |number: u64| {
        assert_eq!(*forwards.next().unwrap().unwrap(), *record(number));
        assert_eq!(*backwards.next().unwrap().unwrap(), *record(201 - number));
    };
    (1..=50).for_each(&mut step);
    file.rollback().unwrap();
    file.add_records((0..100).map(|seed| noise(seed, 300))).unwrap();
    file.commit().unwrap();
    (51..=100).for_each(&mut step);
    drop(file);
    (101..=200).for_each(&mut step);
    assert!(forwards.next().is_none() && backwards.next().is_none());
}

#[test]
fn iterators_start_anywhere_and_meet_in_the_middle() {
    let place = Place::new();
    let snapshot = in_transaction(&place, SMALL, 40, 60).snapshot().unwrap();
    for (first, expected) in [(0, 60), (1, 60), (2, 59), (60, 1), (61, 0), (62, 0), (u64::MAX, 0)] {
        let mut records = snapshot.records(first);
        assert_eq!(records.size_hint(), (expected, Some(expected)));
        let (mut low, mut high) = (first.max(1), 60);
        while let Some(found) = records.next() {
            assert_eq!(*found.unwrap(), *record(low));
            low += 1;
            assert_eq!(records.remaining(), high + 1 - low);
            if let Some(found) = records.next_back() {
                assert_eq!(*found.unwrap(), *record(high));
                high -= 1;
            }
        }
        assert!(records.next_back().is_none() && records.next_cached().is_none());
    }
}

#[test]
fn reading_only_from_memory_gives_the_same_records_or_nothing() {
    let place = Place::new();
    drop(in_transaction(&place, SMALL, 300, 300));
    let snapshot = place.reader().snapshot().unwrap();
    assert!(snapshot.record_cached(1).unwrap().found().is_none());
    let mut from_memory = 0;
    for number in 1..=300 {
        let found = snapshot.record(number).unwrap();
        let again = snapshot.record_cached(number).unwrap().found();
        from_memory += u64::from(again.is_some_and(|again| *again == *found && *found == *record(number)));
    }
    assert_eq!(from_memory, 300);
    let mut records = snapshot.records(1);
    let mut taken = 0;
    while records.next().is_some() {
        taken += 1;
        while let Some(found) = records.next_cached() {
            taken += 1;
            assert_eq!(*found, *record(taken));
        }
    }
    assert_eq!(taken, 300);
}

#[test]
fn records_are_gathered_in_the_requested_order_with_repetitions() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 900, 1000);
    for numbers in [
        vec![],
        vec![7],
        vec![1000, 1, 1000, 1, 500, 500],
        (1..=1000).rev().collect(),
        (1..=1000).map(|index| index * 7919 % 1000 + 1).collect(),
    ] {
        for snapshot in [file.snapshot().unwrap(), file.reader().unwrap().snapshot().unwrap()] {
            let inside: Vec<u64> =
                numbers.iter().copied().filter(|number| *number <= snapshot.record_count()).collect();
            let mut found = vec![None; inside.len()];
            let mut batches = snapshot.records_at(&inside).unwrap();
            for batch in batches.by_ref() {
                let batch = batch.unwrap();
                assert!(!batch.is_empty());
                batch.into_iter().for_each(|(place, record)| assert!(found[place].replace(record).is_none()));
            }
            let as_asked = inside
                .iter()
                .zip(&found)
                .all(|(&number, found)| **found.as_ref().unwrap() == *record(number));
            assert!(as_asked && batches.next().is_none());
        }
    }
    for outside in [0, 1001, u64::MAX] {
        let error = refused(file.snapshot().unwrap().records_at(&[1, outside, 2]));
        assert!(matches!(error, Error::NoSuchRecord { number, count: 1000, .. } if number == outside));
    }
}

/// The records of short batches, which are buffered, and of one that is too long for that.
fn batches() -> [Vec<Vec<u8>>; 4] {
    let long = (0..60).map(|seed| noise(seed, 100_000)).collect();
    [vec![], vec![record(1)], records(200), long]
}

#[test]
fn a_batch_is_added_or_discarded_completely() {
    for batch_records in batches() {
        let place = Place::new();
        let file = in_transaction(&place, SMALL, 40, 50);
        file.set_metadata(Some(b"before the batch")).unwrap();
        let mut batch = file.batch().unwrap();
        batch_records.iter().for_each(|record| batch.add(record).unwrap());
        drop(batch);
        assert!(all_of(&file) == records(50) && metadata_of(&file).unwrap() == b"before the batch");
        assert_eq!(file.add_records(&batch_records).unwrap(), 50 + batch_records.len() as u64);
        file.commit().unwrap();
        let expected = [records(50), batch_records].concat();
        assert!(all_of(&place.reader()) == expected && all_of(&file) == expected);
        assert_eq!(metadata_of(&place.reader()).unwrap(), b"before the batch");
    }
}

#[test]
fn a_short_batch_and_other_calls_do_not_affect_each_other() {
    for keep in [true, false] {
        let place = Place::new();
        let file = in_transaction(&place, SMALL, 5, 10);
        let mut batch = file.batch().unwrap();
        batch.add(b"first of the batch").unwrap();
        add(&file, 11);
        assert!(all_of(&file) == records(11));
        file.commit().unwrap();
        assert!(batch.try_add(b"second").unwrap());
        (12..=80).for_each(|number| add(&file, number));
        file.rollback().unwrap();
        let mut inner = file.batch().unwrap();
        inner.add(b"of another batch").unwrap();
        let mut expected = records(11);
        if keep {
            assert_eq!(batch.finish().unwrap(), 13);
            expected.extend([b"first of the batch".to_vec(), b"second".to_vec()]);
        } else {
            drop(batch);
        }
        assert!(all_of(&file) == expected);
        inner.finish().unwrap();
        expected.push(b"of another batch".to_vec());
        file.commit().unwrap();
        assert!(all_of(&place.reader()) == expected);
    }
}

#[test]
fn discarding_a_long_batch_does_not_discard_other_changes() {
    let long: Vec<Vec<u8>> = (0..60).map(|seed| noise(seed, 100_000)).collect();
    for commit in [true, false] {
        let place = Place::new();
        let file = in_transaction(&place, SMALL, 5, 10);
        let mut batch = file.batch().unwrap();
        long.iter().for_each(|record| batch.add(record).unwrap());
        let mut expected = if commit {
            file.commit().unwrap();
            [records(10), long.clone()].concat()
        } else {
            file.rollback().unwrap();
            records(5)
        };
        (1..=100).for_each(|number| assert!(file.add_record(&record(number)).is_ok()));
        expected.extend(records(100));
        drop(batch);
        assert!(all_of(&file) == expected);
        file.commit().unwrap();
        drop(file);
        assert!(all_of(&place.writer()) == expected);
        check(&place.path);
    }
}

#[test]
fn closing_reports_what_it_loses_and_ends_all_writing() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 20, 100);
    let mut short = file.batch().unwrap();
    let mut long = file.batch().unwrap();
    short.add(b"held back").unwrap();
    (0..60).for_each(|seed| long.add(&noise(seed, 100_000)).unwrap());
    let given_up = file.batch().unwrap();
    assert_eq!(file.close(), 140);
    assert_eq!(file.close(), 0);
    drop(given_up);
    for kept in [short.finish(), long.finish()] {
        assert!(matches!(refused(kept), Error::Closed { .. }));
    }
    let calls = [file.add_record(b"x"), file.commit().map(|_| 0), file.rollback().map(|()| 0)];
    for refusal in calls.map(refused) {
        assert!(matches!(refusal, Error::Closed { .. }), "{refusal}");
    }
    assert!(all_of(&place.writer()) == records(20));
    assert_eq!(place.reader().close(), 0);
}

#[test]
fn a_closed_file_shows_its_last_commit() {
    for look_before_closing in [false, true] {
        let place = Place::new();
        let file = in_transaction(&place, SMALL, 20, 100);
        if look_before_closing {
            assert_eq!(file.snapshot().unwrap().record_count(), 100);
        }
        file.close();
        assert_eq!(file.record_count().unwrap(), 20);
        assert!(all_of(&file) == records(20));
    }
}

#[test]
fn trying_to_add_adds_the_record_or_nothing() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    let mut slow = 0;
    for number in 1..=200 {
        if let Some(count) = file.try_add_record(&record(number)).unwrap() {
            assert_eq!(count, number);
        } else {
            slow += 1;
            add(&file, number);
        }
    }
    assert!((10..190).contains(&slow), "{slow}");
    file.commit().unwrap();
    assert!(all_of(&place.reader()) == records(200));
    let error = refused(place.reader().try_add_record(b"x"));
    assert!(matches!(error, Error::NotOpenForWrite { .. }));
}

#[test]
fn record_numbers_outside_the_file_are_refused() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 20, 40);
    for (seen, count) in [(&file, 40), (&place.reader(), 20)] {
        let snapshot = seen.snapshot().unwrap();
        for outside in [0, count + 1, u64::MAX] {
            for error in [refused(snapshot.record(outside)), refused(snapshot.record_cached(outside))] {
                let message = format!(
                    "record {outside} does not exist in {:?}, which has {count} records, numbered from 1",
                    place.path
                );
                assert_eq!(error.to_string(), message);
            }
        }
    }
}

#[test]
fn committed_records_are_counted_and_rolled_back_ones_are_not() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 40, 60);
    let bytes = |from, to| (from..=to).map(|number| record(number).len() as u64).sum::<u64>();
    let first = file.stats();
    assert_eq!((first.commits, first.records, first.bytes), (1, 40, bytes(1, 40)));
    file.rollback().unwrap();
    (41..=50).for_each(|number| add(&file, number));
    let mut batch = file.batch().unwrap();
    (51..=10_000).try_for_each(|number| batch.add(&noise(number, 1000))).unwrap();
    drop(batch);
    let committed = file.commit().unwrap().unwrap();
    assert_eq!((committed.records, committed.bytes), (10, bytes(41, 50)));
    assert!(file.commit().unwrap().is_none());
    file.set_metadata(Some(b"no record")).unwrap();
    file.commit().unwrap();
    let all = file.stats();
    assert_eq!((all.commits, all.records, all.bytes), (3, 50, bytes(1, 50)));
    assert!(all.commit_time >= first.commit_time + committed.time);
    assert_eq!(place.reader().stats(), capturefile::Stats::default());
}

#[test]
fn the_range_of_a_block_is_found_from_each_of_its_records() {
    let place = Place::new();
    let file = in_transaction(&place, SMALL, 700, 900);
    let snapshot = file.snapshot().unwrap();
    let mut first = 1;
    let mut blocks = 0;
    while first <= 900 {
        let block = snapshot.block_of(first).unwrap();
        assert!(*block.start() == first && *block.end() >= first);
        assert!(block.clone().all(|number| snapshot.block_of(number).unwrap() == block));
        first = block.end() + 1;
        blocks += 1;
    }
    assert!(first == 901 && blocks > 20, "{blocks} blocks end at record {first}");
    for number in [0, 901, u64::MAX] {
        assert!(matches!(snapshot.block_of(number), Err(Error::NoSuchRecord { .. })));
    }
}
