//! Files that the library did not write: those of other writers, old ones, and unusual ones.

use capturefile::{Geometry, Record, verify};

use crate::image::{self, FileImage, MAGIC, SMALL, SlotImage, geometry, slot_start};
use crate::parsed::Parsed;
use crate::support::{Place, add, all_of, metadata_of, record, records};

/// A file of two commits: with `count` records, then with one more and metadata.
fn two_commits(geometry: Geometry, count: u64) -> FileImage {
    let mut image = FileImage::new(geometry);
    (1..=count).for_each(|number| image.add_record(&record(number)));
    image.commit();
    image.add_record(&record(count + 1));
    image.set_metadata(b"of the second commit");
    image.commit();
    image
}

#[test]
fn hand_made_files_are_read_and_continued_by_a_writer() {
    for geometry in [SMALL, geometry(512, 0, 2), geometry(4096, 32768, 32), geometry(1000, 1000, 50)] {
        for count in [0, 1, 2, 8, 31, 100, 500] {
            let place = Place::with(&two_commits(geometry, count).bytes());
            let mut expected = records(count + 1);
            assert!(all_of(&place.reader()) == expected, "{geometry:?} {count}");
            let file = place.writer();
            for number in count + 2..count + 60 {
                file.add_record(&record(number)).unwrap();
                expected.push(record(number));
            }
            file.commit().unwrap();
            assert!(all_of(&place.reader()) == expected);
            assert!(Parsed::read(&place.path).records() == expected);
            assert_eq!(metadata_of(&place.reader()).unwrap(), b"of the second commit");
        }
    }
}

#[test]
fn both_names_and_versions_of_old_files_are_read_and_kept() {
    for magic in [MAGIC, b"WebCapture\0"] {
        for version in [1, 2] {
            let mut bytes = two_commits(SMALL, 20).bytes();
            bytes[..512].copy_from_slice(&image::header(magic, &SMALL.with_version(version)));
            let place = Place::with(&bytes);
            assert_eq!(all_of(&place.reader()), records(21));
            assert_eq!(place.reader().snapshot().unwrap().geometry().version, version);
            place.writer().add_record(b"more").unwrap();
            assert!(std::fs::read(&place.path).unwrap()[..512] == bytes[..512]);
        }
    }
}

#[test]
fn writers_may_close_blocks_early_and_place_nodes_late() {
    let mut image = FileImage::new(SMALL);
    let records = records(9);
    let mut at: Vec<image::At> = Vec::new();
    for record in &records {
        at.push(image.add_entry(&image::sized(record)));
        image.close_block();
    }
    image.add_entry(b"bytes that nothing refers to");
    let nodes: Vec<image::At> =
        at.chunks(3).rev().map(|children| image.add_entry(&image::index_node(children))).collect();
    let nodes: Vec<image::At> = nodes.into_iter().rev().collect();
    image.close_block();
    image.close_block();
    let root = image.add_entry(&image::index_node(&nodes));
    image.add_child(3, root);
    image.commit();
    image.commit();
    let place = Place::with(&image.bytes());
    assert_eq!(all_of(&place.reader()), records);
    assert_eq!(verify(&place.path).unwrap().problems, []);
}

#[test]
fn bytes_past_the_last_whole_page_have_no_meaning() {
    let image = two_commits(SMALL, 50);
    let mut bytes = image.bytes();
    let whole = (image.file_limit() - image.file_limit() % 512) as usize;
    bytes[whole..].fill(0xEE);
    assert_eq!(all_of(&Place::with(&bytes).reader()), records(51));
    assert_eq!(all_of(&Place::with(&bytes[..whole]).reader()), records(51));
    let place = Place::with(&bytes[..whole]);
    let file = place.writer();
    (52..=80).for_each(|number| add(&file, number));
    file.commit().unwrap();
    assert!(all_of(&place.reader()) == records(80));
}

fn with_slots(slots: &[SlotImage]) -> Place {
    let mut image = two_commits(SMALL, 30);
    slots.iter().for_each(|slot| image.commit_slot(slot));
    Place::with(&image.bytes())
}

#[test]
fn the_later_slot_counts_with_any_gap_and_a_writer_closes_the_gap() {
    let older = FileImage::new(SMALL).next_slot();
    let newer = two_commits(SMALL, 30).next_slot();
    for (old, new) in [(1, 2), (1, 4), (8, 3 << 29), (u32::MAX, 2), (u32::MAX - 1, 5), (3, 2 + (1 << 31))] {
        let slots = [SlotImage { serial: old, ..older.clone() }, SlotImage { serial: new, ..newer.clone() }];
        let place = with_slots(&slots);
        assert_eq!(place.reader().snapshot().unwrap().serial_number(), u64::from(new));
        drop(place.writer());
        let [a, b] = Parsed::read(&place.path).slots.map(|slot| slot.unwrap().serial);
        let newest = if new.wrapping_sub(old) == 1 { new } else { new.wrapping_add(1) };
        assert!([(newest, newest.wrapping_sub(1)), (newest.wrapping_sub(1), newest)].contains(&(a, b)));
        assert!(all_of(&place.reader()) == records(31));
    }
}

#[test]
fn a_writer_repairs_a_torn_slot() {
    let image = two_commits(SMALL, 30);
    for (broken, count, serial) in [(1, 31, 3), (2, 30, 2)] {
        let mut bytes = image.bytes();
        bytes[slot_start(&SMALL, broken) + 700] ^= 1;
        let place = Place::with(&bytes);
        assert!(all_of(&place.reader()) == records(count));
        assert_eq!(verify(&place.path).unwrap().problems.len(), 1);
        drop(place.writer());
        assert_eq!(place.reader().snapshot().unwrap().serial_number(), serial);
        assert_eq!(verify(&place.path).unwrap().problems, []);
        assert!(all_of(&place.reader()) == records(count));
    }
}

const TRILLION_SUBTREE: u64 = 1 << 40;

/// Record `number` of `trillion_file`: any single wrong step on the way down gives another one.
fn trillion_record(number: u64) -> Vec<u8> {
    match number.checked_sub(TRILLION_SUBTREE + 1) {
        Some(index) => format!("after the subtree: {index}").into_bytes(),
        None => format!("modulo 37: {}", (number - 1) % 37).into_bytes(),
    }
}

/// A file of 32^8 + 7 records whose index shares its subtrees.
///
/// The base-32 digits of a record's index are the path down to it. At each height one node for each r
/// is used in every place where the digits so far make a number that is r modulo 37.
fn trillion_file() -> Vec<u8> {
    let mut image = FileImage::new(Geometry::default());
    let mut below: Vec<image::At> =
        (1..=37).map(|number| image.add_entry(&image::sized(&trillion_record(number)))).collect();
    for _ in 0..8 {
        let node = |start: usize| (0..32).map(|digit| below[(32 * start + digit) % 37]).collect::<Vec<_>>();
        let nodes: Vec<_> = (0..37).map(node).collect();
        below = nodes.iter().map(|node| image.add_entry(&image::index_node(node))).collect();
    }
    image.add_child(9, below[0]);
    (1..=7).for_each(|index| image.add_record(&trillion_record(TRILLION_SUBTREE + index)));
    image.commit();
    image.commit();
    image.bytes()
}

fn is_trillion_record(number: u64, record: &Record) -> bool {
    **record == *trillion_record(number)
}

#[test]
fn a_small_file_of_a_trillion_records_is_read_like_any_other() {
    let place = Place::with(&trillion_file());
    let snapshot = place.reader().snapshot().unwrap();
    let count = TRILLION_SUBTREE + 7;
    assert_eq!((snapshot.record_count(), snapshot.tree_height()), (count, 9));
    let scattered = (0..500).map(|index: u64| index.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count + 1);
    let numbers: Vec<u64> = scattered.chain([1, 2, 32, 33, count - 8, count - 7, count - 6, count]).collect();
    for &number in &numbers {
        assert!(is_trillion_record(number, &snapshot.record(number).unwrap()), "{number}");
    }
    let batch = snapshot.records_at(&numbers).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.len(), numbers.len());
    assert!(batch.iter().all(|(place, record)| is_trillion_record(numbers[*place], record)));
    for first in [1, TRILLION_SUBTREE / 3, count - 99] {
        let found = (first..first + 100).zip(snapshot.records(first));
        assert_eq!(
            found.filter(|(number, record)| is_trillion_record(*number, record.as_ref().unwrap())).count(),
            100
        );
    }
    assert_eq!(snapshot.records(1).remaining(), count);
    let last = (1..=count).rev().zip(snapshot.records(1).rev()).take(100);
    assert!(last.into_iter().all(|(number, record)| is_trillion_record(number, &record.unwrap())));
}

#[test]
fn a_trillion_records_are_verified_in_proportion_to_the_bytes_and_can_be_appended_to() {
    let place = Place::with(&trillion_file());
    let report = verify(&place.path).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.record_count, TRILLION_SUBTREE + 7);
    assert_eq!((report.records_checked, report.index_nodes), (32 * 37 + 7, 1 + 32 + 6 * 37));
    let file = place.writer();
    (0..30).for_each(|index| assert_eq!(file.add_record(b"more").unwrap(), TRILLION_SUBTREE + 8 + index));
    file.commit().unwrap();
    let snapshot = place.reader().snapshot().unwrap();
    assert_eq!(&*snapshot.record(TRILLION_SUBTREE + 37).unwrap(), b"more");
    assert!(is_trillion_record(TRILLION_SUBTREE, &snapshot.record(TRILLION_SUBTREE).unwrap()));
}
