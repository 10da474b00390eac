//! The bytes of files: the library writes and reads them as the page of the format specifies.

use std::path::Path;
use std::sync::Arc;

use capturefile::{CaptureFile, CompressionLevel, Geometry, verify};

use crate::image::{self, FileImage, MAGIC, SMALL, geometry, new_length, slot_start};
use crate::parsed::Parsed;
use crate::support::{Place, add, all_of, metadata_of, noise, record, records, refused, writing, writing_as};

const MIB: u32 = 1 << 20;

/// Small and large, even and odd sizes of everything.
fn geometries() -> Vec<Geometry> {
    vec![
        Geometry::default(),
        SMALL,
        geometry(512, 0, 2),
        geometry(4096, 0, 32),
        geometry(512, 512, 2),
        geometry(513, 513, 3),
        geometry(777, 7 * 777, 5),
        geometry(1000, 1000, 74),
        geometry(4096, 4096, 313),
        geometry(65536, 65536, 1000),
        geometry(65536, 0, 1000),
        geometry(4096, 16 * MIB, 32),
        geometry(MIB, 2 * MIB, 7),
    ]
}

/// The bytes of a dump in the format's page: each line has a position and bytes, then a comment.
fn dumped(name: &str) -> Vec<(usize, Vec<u8>)> {
    let page = include_str!("../../docs/format.md");
    let fence = format!("```text {name}\n");
    let dumps = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    dumps.flat_map(str::lines).filter(|line| *line != "...").map(dumped_line).collect()
}

fn dumped_line(line: &str) -> (usize, Vec<u8>) {
    let (position, rest) = line.split_once("  ").unwrap();
    let bytes = rest.split("  ").next().unwrap();
    let bytes = bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    (usize::from_str_radix(position, 16).unwrap(), bytes)
}

#[test]
fn the_worked_example_is_reproduced_byte_by_byte() {
    let place = Place::new();
    let file = writing().initial_metadata(Some(b"demo".to_vec())).open(&place.path).unwrap();
    file.add_records([&b"one"[..], b"two", b"three"]).unwrap();
    file.commit().unwrap();
    drop(file);

    let written = std::fs::read(&place.path).unwrap();
    let lines = dumped("three.cf");
    assert_eq!(lines.len(), 32);
    for (position, bytes) in &lines {
        assert_eq!(&written[*position..][..bytes.len()], bytes, "at {position:#x}");
    }
    let named: Vec<usize> = lines.iter().flat_map(|(at, bytes)| *at..at + bytes.len()).collect();
    let slot_a = slot_start(&Geometry::default(), 0)..slot_start(&Geometry::default(), 1);
    let rest = (0..written.len()).filter(|at| !slot_a.contains(at) && named.binary_search(at).is_err());
    assert!(rest.into_iter().all(|at| written[at] == 0), "bytes that the page does not mention");
    assert_eq!(written.len(), 409_600);
}

#[test]
fn the_closed_block_of_the_format_page_is_read() {
    let geometry = geometry(512, 512, 2);
    let mut bytes = image::header(MAGIC, &geometry);
    bytes.resize(new_length(&geometry), 0);
    bytes[0xE38..0x1000].fill(b'x');
    for (position, dumped) in dumped("closed.cf") {
        bytes[position..][..dumped.len()].copy_from_slice(&dumped);
    }
    let place = Place::with(&bytes);
    assert_eq!(all_of(&place.reader()), [b"alpha".to_vec(), b"beta".to_vec(), vec![b'x'; 480]]);
    assert_eq!(place.reader().snapshot().unwrap().serial_number(), 3);
}

#[test]
fn a_new_file_of_any_geometry_is_as_the_format_specifies() {
    for geometry in geometries() {
        let place = Place::new();
        drop(writing_as(geometry).open(&place.path).unwrap());
        let mut expected = FileImage::new(geometry);
        expected.commit();
        expected.commit();
        assert!(std::fs::read(&place.path).unwrap() == expected.bytes(), "{geometry:?}");
    }
}

#[test]
fn small_commits_write_only_a_slot_and_alternate_between_the_slots() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    let mut expected = FileImage::new(SMALL);
    expected.commit();
    expected.commit();
    for number in 0..8_u8 {
        expected.add_record(&[number; 5]);
        file.add_record(&[number; 5]).unwrap();
        if number == 4 {
            expected.set_metadata(b"four");
            file.set_metadata(Some(b"four")).unwrap();
        }
        expected.commit();
        file.commit().unwrap();
        assert!(std::fs::read(&place.path).unwrap() == expected.bytes(), "after record {number}");
        assert_eq!(file.snapshot().unwrap().serial_number(), u64::from(expected.serial));
    }
}

#[test]
fn a_commit_of_nothing_writes_nothing() {
    let place = Place::new();
    let file = place.writer();
    let before = std::fs::read(&place.path).unwrap();
    file.commit().unwrap();
    file.add_record(b"rolled back").unwrap();
    file.rollback().unwrap();
    file.commit().unwrap();
    drop(file);
    assert!(std::fs::read(&place.path).unwrap() == before);
}

#[test]
fn files_of_every_geometry_follow_the_format_and_are_read_back() {
    for geometry in geometries() {
        // Large slots take long to write and to check, and no blocks are closed in them here.
        let threads = if geometry.block_size < MIB { &[1, 3][..] } else { &[2] };
        for &threads in threads {
            write_and_check(geometry, threads);
        }
    }
}

fn write_and_check(geometry: Geometry, threads: usize) {
    let place = Place::new();
    let options = writing_as(geometry).threads(threads).cache_size(100_000);
    let expected = records(700);
    for (round, part) in expected.chunks(350).enumerate() {
        let file = options.open(&place.path).unwrap();
        for (index, record) in part.iter().enumerate() {
            file.add_record(record).unwrap();
            // Rarely enough to leave blocks of full size. Large blocks make large commits.
            if index % 50 == 49 && geometry.block_size < MIB {
                file.commit().unwrap();
            }
        }
        file.set_metadata(Some(format!("round {round}").as_bytes())).unwrap();
        file.commit().unwrap();
    }
    let parsed = Parsed::read(&place.path);
    assert_eq!(parsed.geometry, geometry);
    assert!(parsed.records() == expected, "{geometry:?}");
    assert_eq!(parsed.metadata().as_deref(), Some(&b"round 1"[..]));
    assert_eq!(parsed.record_count(), 700);
    let reader = place.reader();
    assert!(all_of(&reader) == expected, "{geometry:?}");
    let snapshot = reader.snapshot().unwrap();
    assert!(
        (1..=700).rev().all(|number| *snapshot.record(number).unwrap() == *expected[number as usize - 1])
    );
    let report = verify(&place.path).unwrap();
    assert_eq!((report.problems, report.records_checked), (vec![], 700), "{geometry:?}");
    assert_eq!(report.frames, parsed.frames().len() as u64);
}

#[test]
fn blocks_close_at_the_block_size_and_hold_at_most_one_entry_past_it() {
    let place = Place::new();
    let file = writing_as(SMALL).threads(1).open(&place.path).unwrap();
    file.add_record(&[1; 1019]).unwrap();
    file.commit().unwrap();
    assert_eq!(
        (file.snapshot().unwrap().pending_bytes(), Parsed::read(&place.path).frames().len()),
        (1023, 0)
    );
    file.add_record(b"").unwrap();
    file.add_record(&noise(1, 5000)).unwrap();
    file.add_record(b"last").unwrap();
    file.commit().unwrap();
    let parsed = Parsed::read(&place.path);
    let lengths: Vec<usize> = parsed.frames().iter().map(|(_, block)| block.len()).collect();
    // The node over the first three records is placed where there is room: after the third.
    assert_eq!(lengths, [1027, 5004]);
    assert_eq!(parsed.current.pending.len(), 8 + 3 * 12);
    assert_eq!(parsed.records().len(), 4);
}

#[test]
fn a_file_grows_in_whole_pages_and_releases_unused_room() {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    for seed in 0..200 {
        file.add_record(&noise(seed, 2000)).unwrap();
    }
    file.commit().unwrap();
    let limit = file.snapshot().unwrap().file_limit();
    assert!(limit > 390_000 && file.file_size().unwrap() >= limit - limit % 512);
    drop(file);
    assert_eq!(std::fs::metadata(&place.path).unwrap().len(), limit.next_multiple_of(512));
    assert_eq!(verify(&place.path).unwrap().problems, []);
}

#[test]
fn every_compression_level_gives_zlib_streams_and_higher_ones_smaller_files() {
    let limits = [1, 6, 12].map(|level| {
        let place = Place::new();
        let options = writing().compression_level(CompressionLevel::new(level).unwrap());
        let file = options.open(&place.path).unwrap();
        for number in 1..=1500 {
            let line = format!("line {} of {number}, {}", number * 7 % 13, number * number);
            file.add_record(line.as_bytes()).unwrap();
        }
        file.commit().unwrap();
        assert_eq!(Parsed::read(&place.path).records().len(), 1500);
        file.snapshot().unwrap().file_limit()
    });
    assert!(limits[0] > limits[1] && limits[1] >= limits[2], "{limits:?}");
}

#[test]
fn initial_metadata_of_any_size_is_kept_and_in_both_slots() {
    for geometry in [Geometry::default(), SMALL, geometry(4096, 16 * MIB, 32), geometry(512, 0, 2)] {
        for metadata in [Vec::new(), b"small".to_vec(), noise(1, 500_000)] {
            let place = Place::new();
            let options = writing_as(geometry).initial_metadata(Some(metadata.clone()));
            drop(options.open(&place.path).unwrap());
            let parsed = Parsed::read(&place.path);
            let [a, b] = parsed.slots.clone().map(Option::unwrap);
            assert!(parsed.metadata().as_ref() == Some(&metadata), "{geometry:?}");
            assert_eq!((a.serial, b.serial), (2, 1));
            assert_eq!((a.metadata, a.file_limit), (b.metadata, b.file_limit));
            assert!(metadata_of(&place.reader()) == Some(metadata));
        }
    }
}

#[test]
fn serial_numbers_wrap_for_writers_readers_and_files_opened_before_or_after() {
    for first in [u32::MAX - 3, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
        let mut image = FileImage::new(SMALL);
        image.serial = first.wrapping_sub(2);
        image.commit();
        image.add_record(b"before");
        image.commit();
        let place = Place::with(&image.bytes());
        let follower = place.reader();
        let mut file = place.writer();
        assert_eq!(file.snapshot().unwrap().serial_number(), u64::from(first));
        for step in 1..=8_u64 {
            let count = file.add_record(&record(step)).unwrap();
            file.commit().unwrap();
            let serial = first.wrapping_add(u32::try_from(step).unwrap());
            assert_eq!(file.snapshot().unwrap().serial_number(), u64::from(serial));
            assert!(follower.refresh(false).unwrap());
            for seen in [&follower, &place.reader()] {
                let snapshot = seen.snapshot().unwrap();
                assert_eq!((snapshot.serial_number(), snapshot.record_count()), (u64::from(serial), count));
                assert_eq!(*snapshot.record(count).unwrap(), *record(step));
            }
            if step % 3 == 0 {
                file.close();
                file = place.writer();
            }
        }
        assert_eq!(Parsed::read(&place.path).records().len(), 9);
    }
}

#[test]
fn invalid_settings_are_refused_before_a_file_is_created() {
    for bad in [
        geometry(0, 0, 32),
        geometry(511, 511, 32),
        geometry(4096, 32769, 32),
        geometry(4096, 4095, 32),
        geometry(4096, 32768, 1),
        geometry(4096, 32768, 0),
        SMALL.with_version(0),
        SMALL.with_version(4),
        SMALL.with_version(3).with_page_size(516),
        SMALL.with_version(3).with_block_size(511),
        SMALL.with_version(3).with_fan_out(257),
    ] {
        let place = Place::new();
        let error = refused(writing_as(bad).open(&place.path));
        assert!(matches!(error, capturefile::Error::InvalidOption { .. }), "{bad:?}: {error}");
        assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
    }
    let place = Place::new();
    let old = SMALL.with_version(1);
    drop(writing_as(old).open(&place.path).unwrap());
    assert_eq!(reader_geometry(&place.path), old);
}

fn reader_geometry(path: &Path) -> Geometry {
    let snapshot: Arc<_> = CaptureFile::open(path).unwrap().snapshot().unwrap();
    snapshot.geometry()
}

#[test]
fn a_full_index_is_an_error_that_loses_nothing() {
    let place = Place::new();
    let file = writing_as(geometry(512, 512, 1000)).open(&place.path).unwrap();
    (1..=36).for_each(|number| add(&file, number));
    file.commit().unwrap();
    file.add_record(b"one too many").unwrap();
    let error = refused(file.commit());
    assert!(matches!(error, capturefile::Error::IndexFull { .. }), "{error}");
    assert!(error.to_string().contains("is full"), "{error}");
    file.rollback().unwrap();
    assert!(all_of(&file) == records(36) && all_of(&place.reader()) == records(36));
    file.set_metadata(Some(b"still going")).unwrap();
    file.commit().unwrap();
    // The path may be wider than the slot for a while if a full node is completed in the end.
    (37..=1001).for_each(|number| add(&file, number));
    file.commit().unwrap();
    assert!(all_of(&place.reader()) == records(1001));
}

#[test]
fn nodes_over_many_records_share_a_separate_frame() {
    for (geometry, group) in [(Geometry::new(), 1024), (SMALL, 16), (geometry(512, 1024, 5), 25)] {
        for threads in [1, 3] {
            let place = Place::new();
            let file = writing_as(geometry).threads(threads).open(&place.path).unwrap();
            let count = 40 * group;
            for number in 1..=count {
                add(&file, number);
            }
            file.commit().unwrap();
            drop(file);
            let parsed = Parsed::read(&place.path);
            assert_eq!(parsed.records(), records(count));
            let nodes = parsed.frames_of_nodes();
            let together =
                nodes.iter().filter(|(frame, children)| children.iter().all(|child| child == frame));
            let (together, all) = (together.count(), nodes.len());
            assert!(together * 10 >= all * 9 && all > 30, "{geometry:?}: {together} of {all}");
            assert!(verify(&place.path).unwrap().is_sound());
        }
    }
}
