//! Reports of `verify` on sound and damaged files, and how much work they take.

use std::time::{Duration, Instant};

use capturefile::{Report, verify};

use crate::damage::{COUNT, image};
use crate::image::{SMALL, geometry, slot_start};
use crate::parsed::Parsed;
use crate::support::{Place, noise, writing};

fn verified(bytes: &[u8]) -> Report {
    verify(&Place::with(bytes).path).unwrap()
}

#[test]
fn verifying_finds_each_damage_and_continues_after_it() {
    let image = image();
    let good = image.bytes();
    let sound = verified(&good);
    assert_eq!((sound.record_count, sound.records_checked, sound.problems), (COUNT, COUNT, vec![]));
    let frames = Parsed::new(good.clone()).frames();
    assert_eq!((sound.frames, sound.index_nodes), (frames.len() as u64, COUNT / 3 + COUNT / 9 + COUNT / 27));

    let mut bytes = good.clone();
    let hit: Vec<u64> = [2, 5].map(|index: usize| frames[index].0).to_vec();
    hit.iter().for_each(|&frame| bytes[usize::try_from(frame).unwrap() + 20] ^= 1);
    let report = verified(&bytes);
    let found: Vec<u64> = report.problems.iter().filter_map(|damage| damage.position).collect();
    assert_eq!(found, hit);
    assert_eq!(report.frames, sound.frames - 2);
    let snapshot = Place::with(&bytes).reader().snapshot().unwrap();
    let readable = (1..=COUNT).filter(|&number| snapshot.record(number).is_ok()).count();
    assert!(report.records_checked == readable as u64 && readable < COUNT as usize, "{report:?}");

    let mut bytes = good.clone();
    bytes[slot_start(&SMALL, 1) + 600] ^= 1;
    let report = verified(&bytes);
    assert_eq!((report.problems.len(), report.records_checked), (1, COUNT));
    assert_eq!(report.problems[0].position, Some(slot_start(&SMALL, 1) as u64));
}

#[test]
fn a_broken_length_ends_the_walk_along_the_frames_but_not_the_one_through_the_tree() {
    let mut bytes = image().bytes();
    let second = Parsed::new(bytes.clone()).frames()[1].0;
    bytes[usize::try_from(second).unwrap()] = 0x7F;
    let report = verified(&bytes);
    assert_eq!(report.frames, 1);
    assert_eq!((report.problems.len(), report.problems[0].position), (1, Some(second)));
    assert!(report.records_checked > COUNT / 3);
}

#[test]
fn a_damaged_block_of_many_records_is_inflated_once_by_verify() {
    let place = Place::new();
    let options = writing().threads(2).geometry(geometry(4096, 8 << 20, 32));
    let file = options.open(&place.path).unwrap();
    let record = noise(1, 60);
    file.add_records((0..420_000).map(|_| &record)).unwrap();
    file.commit().unwrap();
    drop(file);
    // The end of the second block's checksum, which is checked when the whole block is inflated. The
    // block's index nodes are in the third one.
    let mut bytes = std::fs::read(&place.path).unwrap();
    let third = Parsed::new(bytes.clone()).frames()[2].0;
    bytes[usize::try_from(third).unwrap() - 1] ^= 1;
    std::fs::write(&place.path, &bytes).unwrap();
    let begun = Instant::now();
    let report = verify(&place.path).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!((200_000..320_000).contains(&report.records_checked), "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
