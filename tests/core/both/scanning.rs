//! Scans and sets of records, which read ahead on other threads.

use std::sync::Arc;

use capturefile::{CaptureFile, Error, Geometry, OpenOptions, RecordBuffer, Snapshot};

use super::support::{Place, add, noise, record, records, writing_as};
use crate::image::SMALL;

const COUNT: u64 = 3000;
const CACHE_SIZES: [u64; 3] = [0, 1 << 16, 48 << 20];

fn reading(threads: usize, cache_size: u64) -> OpenOptions {
    OpenOptions::new().threads(threads).cache_size(cache_size)
}

fn filled(geometry: Geometry, threads: usize) -> Place {
    let place = Place::new();
    let file = writing_as(geometry).threads(threads).open(&place.path).unwrap();
    for number in 1..=COUNT {
        add(&file, number);
        // Blocks without records between the others.
        if number % 500 == 0 {
            file.set_metadata(Some(&noise(number, 5000))).unwrap();
            file.commit().unwrap();
        }
    }
    place
}

fn taken(records: capturefile::Records) -> Vec<Vec<u8>> {
    records.map(|record| record.unwrap().to_vec()).collect()
}

/// Reads in all the ways that visit many records.
fn check_scans(snapshot: &Arc<Snapshot>, count: u64) {
    let expected = records(count);
    assert_eq!(taken(snapshot.records(1)), expected);
    assert_eq!(taken(snapshot.records(count / 3)), expected[count as usize / 3 - 1..]);
    assert_eq!(taken(snapshot.records_between(100, 999)), expected[99..999]);
    assert_eq!(taken(snapshot.records_between(count - 1, u64::MAX)), expected[count as usize - 2..]);
    let mut both_ways = snapshot.records(1);
    for number in 1..=count / 2 {
        assert_eq!(*both_ways.next().unwrap().unwrap(), record(number));
        assert_eq!(*both_ways.next_back().unwrap().unwrap(), record(count + 1 - number));
    }
    let numbers: Vec<u64> = (1..=count).map(|number| number * 7919 % count + 1).collect();
    let batches = snapshot.records_at(&numbers).unwrap();
    let mut found = vec![None; numbers.len()];
    for batch in batches {
        let batch = batch.unwrap();
        batch.into_iter().for_each(|(index, record)| found[index] = Some(record.to_vec()));
    }
    let wanted: Vec<_> = numbers.into_iter().map(|number| Some(record(number))).collect();
    assert_eq!(found, wanted);
}

#[test]
fn scans_give_all_records_in_order_with_any_number_of_threads_and_any_cache() {
    for geometry in [SMALL, Geometry::new().with_block_size(4096)] {
        for threads in [1, 2, 8] {
            let place = filled(geometry, threads);
            for (cache_size, threads) in CACHE_SIZES.into_iter().zip([2, 8, 4]) {
                let file = reading(threads, cache_size).open(&place.path).unwrap();
                let snapshot = file.snapshot().unwrap();
                check_scans(&snapshot, COUNT);
                check_scans(&snapshot, COUNT);
            }
        }
    }
}

#[test]
fn scans_include_uncommitted_records_and_continue_when_these_are_rolled_back() {
    let place = filled(SMALL, 4);
    let file = writing_as(SMALL).threads(4).open(&place.path).unwrap();
    (COUNT + 1..=COUNT + 2000).for_each(|number| add(&file, number));
    let snapshot = file.snapshot().unwrap();
    check_scans(&snapshot, COUNT + 2000);
    let mut records = snapshot.records(1);
    (1..=COUNT).for_each(|number| assert_eq!(*records.next().unwrap().unwrap(), record(number)));
    file.rollback().unwrap();
    for _ in 0..2000 {
        file.add_record(b"something else").unwrap();
    }
    file.commit().unwrap();
    (COUNT + 1..=COUNT + 2000)
        .for_each(|number| assert_eq!(*records.next().unwrap().unwrap(), record(number)));
    assert!(records.next().is_none());
}

#[test]
fn a_scan_gives_an_error_for_each_record_of_a_damaged_block_and_continues_after_it() {
    let place = filled(SMALL, 1);
    let whole = CaptureFile::open(&place.path).unwrap().snapshot().unwrap();
    let errors = |snapshot: &Arc<Snapshot>| -> Vec<u64> {
        let is_bad = |(number, found): (u64, capturefile::Result<capturefile::Record>)| match found {
            Ok(found) => {
                assert_eq!(*found, record(number));
                None
            }
            Err(Error::Corrupt { .. }) => Some(number),
            Err(error) => panic!("{error}"),
        };
        (1..).zip(snapshot.records(1)).filter_map(is_bad).collect()
    };
    assert!(errors(&whole).is_empty());
    let bytes = std::fs::read(&place.path).unwrap();
    // The last part has the end of the index, too, which a scan looks up to know how far to read ahead.
    let length = bytes.len();
    for start in (length / 10..length - 12_000)
        .step_by(length / 5)
        .chain((length - 12_000..length - 5000).step_by(500))
    {
        let mut bytes = bytes.clone();
        bytes[start..start + 8].iter_mut().for_each(|byte| *byte ^= 0x55);
        let damaged = Place::with(&bytes);
        for threads in [1, 4] {
            let file = reading(threads, 48 << 20).open(&damaged.path).unwrap();
            let snapshot = file.snapshot().unwrap();
            let one_by_one: Vec<u64> =
                (1..=COUNT).filter(|&number| snapshot.record(number).is_err()).collect();
            assert!(one_by_one.len() < 2000, "{} records are lost", one_by_one.len());
            let again = reading(threads, 48 << 20).open(&damaged.path).unwrap();
            assert_eq!(errors(&again.snapshot().unwrap()), one_by_one);
        }
    }
}

#[test]
fn packed_records_match_their_offsets() {
    let mut packed = RecordBuffer::<i8>::default();
    assert!(packed.push(&[1; 100]).unwrap());
    assert!(!packed.push(&[2; 28]).unwrap());
    assert!(packed.push(&[3; 27]).unwrap());
    assert!(packed.push(b"").unwrap());
    assert!(!packed.push(b"4").unwrap());
    assert_eq!(packed.record_count(), 3);
    let (bytes, offsets) = packed.into_parts();
    assert_eq!(offsets, [0, 100, 127, 127]);
    assert_eq!(bytes, [vec![1; 100], vec![3; 27]].concat());
}

#[test]
fn the_blocks_of_a_file_have_every_record_once_and_an_empty_file_has_none() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    assert_eq!(file.snapshot().unwrap().blocks().count(), 0);
    for round in 0..20 {
        file.add_records((0..40).map(|seed| noise(seed, 30 + round))).unwrap();
        file.commit().unwrap();
        let mut next = 1;
        for block in file.snapshot().unwrap().blocks().map(Result::unwrap) {
            let Some(records) = block.records else { continue };
            assert_eq!(*records.start(), next);
            assert_eq!(block.record_count, Some(records.end() + 1 - next));
            next = records.end() + 1;
        }
        assert_eq!(next, file.record_count().unwrap() + 1);
    }
}
