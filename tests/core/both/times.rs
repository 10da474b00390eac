//! The times of commits.

use std::time::{Duration, SystemTime};

use capturefile::{Error, Snapshot};

use super::super::FORMAT;
use super::support::{Place, add, refused, writing_as};
use crate::image::SMALL;

/// For each record, the first one that was committed at or after its time, found by a scan.
fn firsts(snapshot: &Snapshot) -> Vec<u64> {
    let times: Vec<_> =
        (1..=snapshot.record_count()).map(|number| snapshot.commit_time(number).unwrap().unwrap()).collect();
    assert!(times.is_sorted());
    times.iter().map(|time| 1 + times.partition_point(|other| other < time) as u64).collect()
}

#[test]
fn each_commit_has_a_time_by_which_its_records_are_found() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    let before = SystemTime::now();
    for number in 1..=600 {
        add(&file, number);
        if number % 7 == 0 {
            file.commit().unwrap();
        }
    }
    if FORMAT == 2 {
        let snapshot = file.snapshot().unwrap();
        for error in [refused(snapshot.commit_time(1)), refused(snapshot.record_number_at(before))] {
            assert!(matches!(error, Error::FormatUnsupported { version: 2, .. }), "{error}");
        }
        return;
    }
    let uncommitted = file.snapshot().unwrap();
    assert_eq!(uncommitted.commit_time(600).unwrap(), None);
    assert!(matches!(uncommitted.commit_time(601), Err(Error::NoSuchRecord { .. })));
    file.commit().unwrap();
    let after = SystemTime::now();
    for snapshot in [file.snapshot().unwrap(), place.reader().snapshot().unwrap()] {
        let mut distinct = 0;
        for (number, first) in (1..).zip(firsts(&snapshot)) {
            let time = snapshot.commit_time(number).unwrap().unwrap();
            assert!((before..=after).contains(&time));
            assert_eq!(snapshot.record_number_at(time).unwrap(), Some(first));
            distinct += u64::from(first == number);
        }
        assert!(distinct > 80, "{distinct} commits have times of their own");
        assert_eq!(snapshot.record_number_at(SystemTime::UNIX_EPOCH).unwrap(), Some(1));
        let last = snapshot.commit_time(600).unwrap().unwrap();
        assert_eq!(snapshot.record_number_at(last + Duration::from_nanos(1)).unwrap(), None);
    }
}
