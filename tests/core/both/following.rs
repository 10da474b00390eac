//! Following a file that grows, is replaced, removed, damaged or truncated.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use capturefile::{CaptureFile, Error, Follower, NewRecords, OpenOptions};

use super::support::{Place, refused, writing_as};
use crate::image::SMALL;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));
const NO_WAIT: Option<Duration> = Some(Duration::ZERO);

fn commit(file: &CaptureFile, records: &[&str]) {
    file.add_records(records).unwrap();
    file.commit().unwrap();
}

fn texts(records: impl Iterator<Item = capturefile::Result<capturefile::Record>>) -> Vec<String> {
    records.map(|record| String::from_utf8(record.unwrap().to_vec()).unwrap()).collect()
}

fn batch(follower: &Follower) -> NewRecords {
    follower.next_batch(PATIENCE).unwrap().unwrap()
}

#[test]
fn a_follower_gives_existing_records_and_then_each_commit() {
    let place = Place::new();
    let writer = place.writer();
    commit(&writer, &["one", "two"]);
    let follower = place.reader().follow(2).unwrap();
    assert_eq!(texts(batch(&follower)), ["two"]);
    assert!(follower.next_batch(NO_WAIT).unwrap().is_none());
    commit(&writer, &["three", "four"]);
    writer.add_record(b"not committed").unwrap();
    assert_eq!(texts(batch(&follower)), ["three", "four"]);
    assert!(follower.next_batch(NO_WAIT).unwrap().is_none());
    assert_eq!(follower.next_number(), 5);
}

#[test]
fn a_follower_of_a_writer_sees_what_it_commits() {
    let place = Place::new();
    let writer = place.writer();
    let follower = writer.follow(0).unwrap();
    writer.add_record(b"one").unwrap();
    assert!(follower.next_batch(NO_WAIT).unwrap().is_none());
    writer.commit().unwrap();
    assert_eq!(texts(batch(&follower)), ["one"]);
}

#[test]
fn a_follower_may_begin_with_a_record_that_does_not_exist_yet() {
    let place = Place::new();
    let writer = place.writer();
    let follower = place.reader().follow(3).unwrap();
    commit(&writer, &["one", "two"]);
    assert!(follower.next_batch(NO_WAIT).unwrap().is_none());
    assert_eq!((follower.lag().unwrap(), follower.is_ready()), (0, false));
    commit(&writer, &["three"]);
    assert_eq!(texts(batch(&follower)), ["three"]);
}

#[test]
fn records_that_are_not_taken_are_given_again() {
    let place = Place::new();
    let writer = place.writer();
    commit(&writer, &["one", "two", "three"]);
    let follower = place.reader().follow(1).unwrap();
    let available = follower.at_hand().unwrap();
    assert_eq!((available.remaining(), follower.lag().unwrap()), (3, 3));
    drop(available);
    assert_eq!(texts(batch(&follower).take(1)), ["one"]);
    assert_eq!((follower.next_number(), follower.lag().unwrap(), follower.is_ready()), (2, 2, true));
    let mut rest = batch(&follower);
    assert_eq!(texts(rest.by_ref().take(1)), ["two"]);
    assert_eq!((texts(rest.by_ref()), rest.size_hint()), (vec!["three".to_owned()], (0, Some(0))));
    assert_eq!((follower.lag().unwrap(), follower.is_ready()), (0, false));
}

#[test]
fn records_taken_from_the_current_block_are_not_given_again() {
    let place = Place::new();
    let writer = place.writer();
    commit(&writer, &["x"; 100]);
    let follower = place.reader().follow(1).unwrap();
    let mut records = batch(&follower);
    let mut cached = 0;
    while records.next().transpose().unwrap().is_some() {
        while let Some(record) = records.next_cached() {
            assert_eq!(record, b"x");
            cached += 1;
        }
    }
    assert!(cached > 0);
    assert_eq!((follower.next_number(), follower.lag().unwrap()), (101, 0));
}

#[test]
fn a_wait_ends_with_a_commit_a_timeout_or_on_request() {
    let place = Place::new();
    let writer = place.writer();
    let follower = place.reader().follow(1).unwrap();
    let began = Instant::now();
    assert!(follower.next_batch(Some(Duration::from_millis(30))).unwrap().is_none());
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert!(follower.next_batch_while(None, || ControlFlow::Break(())).unwrap().is_none());
    let waits = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let batch = follower.next_batch_while(PATIENCE, || {
                waits.store(true, Ordering::Release);
                ControlFlow::Continue(())
            });
            texts(batch.unwrap().unwrap())
        });
        while !waits.load(Ordering::Acquire) {
            thread::yield_now();
        }
        assert_eq!((follower.lag().unwrap(), follower.is_ready()), (0, false));
        commit(&writer, &["one"]);
        assert_eq!(waiting.join().unwrap(), ["one"]);
    });
}

#[test]
fn a_replaced_or_removed_file_is_reported_once_all_records_are_taken() {
    let replace = |place: &Place| drop(OpenOptions::new().replace(true).open(&place.path).unwrap());
    let remove = |place: &Place| std::fs::remove_file(&place.path).unwrap();
    let moved = |place: &Place| std::fs::rename(&place.path, place.folder.path().join("old")).unwrap();
    // Windows neither replaces nor removes mapped files.
    let possible = if cfg!(unix) { 0.. } else { 2.. };
    for change in &[&replace as &dyn Fn(&Place), &remove, &moved][possible] {
        let place = Place::new();
        let writer = place.writer();
        commit(&writer, &["one"]);
        let follower = place.reader().follow(1).unwrap();
        assert_eq!(texts(batch(&follower)), ["one"]);
        commit(&writer, &["two"]);
        writer.close();
        change(&place);
        assert_eq!((follower.lag().unwrap(), follower.is_ready()), (1, true));
        assert_eq!(texts(batch(&follower)), ["two"]);
        for _ in 0..2 {
            assert!(follower.is_ready());
            let error = refused(follower.next_batch(PATIENCE));
            assert!(matches!(&error, Error::Replaced { path, .. } if *path == place.path), "{error}");
        }
    }
}

// Windows does not truncate mapped files.
#[cfg(unix)]
#[test]
fn a_truncated_file_is_reported_immediately() {
    let place = Place::new();
    let writer = place.writer();
    let noise = super::support::noise(1, 100_000);
    writer.add_record(&noise).unwrap();
    writer.commit().unwrap();
    writer.close();
    let follower = place.reader().follow(2).unwrap();
    std::fs::OpenOptions::new().write(true).open(&place.path).unwrap().set_len(100_000).unwrap();
    assert!(follower.is_ready());
    let error = refused(follower.next_batch(PATIENCE));
    assert!(error.is_corrupt() && error.to_string().contains("truncated"), "{error}");
}

#[test]
fn an_unreadable_record_is_skipped() {
    let place = Place::new();
    let writer = writing_as(SMALL).threads(1).open(&place.path).unwrap();
    for seed in 0..3 {
        writer.add_record(&super::support::noise(seed, 40_000)).unwrap();
    }
    writer.commit().unwrap();
    let follower = place.reader().follow(1).unwrap();
    let frame = writer.snapshot().unwrap().blocks().next().unwrap().unwrap().frame.unwrap();
    writer.close();
    let mut bytes = std::fs::read(&place.path).unwrap();
    bytes[usize::try_from(frame.position).unwrap() + 100..][..2000].fill(0);
    std::fs::write(&place.path, bytes).unwrap();
    let mut records = batch(&follower);
    assert!(refused(records.next().unwrap()).is_corrupt());
    assert_eq!((follower.next_number(), follower.lag().unwrap()), (2, 2));
    drop(records);
    assert_eq!(batch(&follower).map(Result::unwrap).count(), 2);
}
