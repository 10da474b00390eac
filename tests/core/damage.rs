//! Damaged files: an error that says what is wrong, or the right records; never a panic, and never much time
//! or memory.

use std::sync::Arc;

use capturefile::{CaptureFile, Damage, Error, OpenOptions, Result, Snapshot, verify};
use proptest::prelude::*;

use crate::image::{self, FileImage, SMALL, SlotImage, data_start, fix_checksums, slot_size, slot_start};
use crate::parsed::u32_at;
use crate::support::{Place, all_of, record, records, refused, writing};

pub(crate) const COUNT: u64 = 60;

/// A file of two commits with records 1 to `COUNT`, of which the last three and the metadata are pending.
pub(crate) fn image() -> FileImage {
    let mut image = FileImage::new(SMALL);
    (1..COUNT - 2).for_each(|number| image.add_record(&record(number)));
    image.close_block();
    image.commit();
    (COUNT - 2..=COUNT).for_each(|number| image.add_record(&record(number)));
    image.set_metadata(b"metadata");
    image.commit();
    assert!(
        image.pending.len() > 30 && image.frames.len() > 5_000,
        "{} {}",
        image.pending.len(),
        image.frames.len()
    );
    image
}

fn damage(error: &Error) -> Damage {
    let Error::Corrupt { path, damage, .. } = error else {
        panic!("not damage but {error}");
    };
    assert_eq!(error.to_string(), format!("{path:?} is not a sound capture file: {damage}"));
    assert!(!damage.found.is_empty() && !damage.expected.is_empty());
    damage.clone()
}

fn damage_of<T>(result: Result<T>) -> Damage {
    damage(&refused(result))
}

/// Reads everything in every way; every result that is not an error must be right, if that is known.
fn read_all(snapshot: &Arc<Snapshot>, is_right: impl Fn(u64, &[u8]) -> bool) {
    let count = snapshot.record_count();
    let last = count.min(2 * COUNT);
    let check = |number: u64, found: Result<capturefile::Record>| match found {
        Ok(found) => assert!(is_right(number, &found), "record {number}"),
        Err(error) => drop(damage(&error)),
    };
    (1..=last).for_each(|number| check(number, snapshot.record(number)));
    (1..=last).zip(snapshot.records(1)).for_each(|(number, found)| check(number, found));
    let backwards = (1..=count).rev().zip(snapshot.records(1).rev());
    backwards.take(COUNT as usize).for_each(|(number, found)| check(number, found));
    let numbers: Vec<u64> = (1..=last).collect();
    let gathered = snapshot.records_at(&numbers).and_then(|mut batches| {
        let failure = batches.by_ref().find_map(|batch| match batch {
            Ok(batch) => {
                batch.into_iter().for_each(|(place, found)| check(numbers[place], Ok(found)));
                None
            }
            Err(error) => Some(error),
        });
        assert!(batches.next().is_none(), "there is more after the end, or an error");
        failure.map_or(Ok(()), Err)
    });
    gathered.unwrap_or_else(|error| drop(damage(&error)));
    snapshot.metadata().map_or_else(|error| drop(damage(&error)), drop);
}

/// Opens, reads, verifies and writes a damaged file. `is_right` decides which records may be read from it.
fn use_damaged(bytes: &[u8], is_right: impl Fn(u64, &[u8]) -> bool) {
    let place = Place::with(bytes);
    match OpenOptions::new().cache_size(100_000).open(&place.path) {
        Ok(reader) => read_all(&reader.snapshot().unwrap(), is_right),
        Err(error) => drop(damage(&error)),
    }
    match verify(&place.path) {
        Ok(report) => assert!(report.problems.len() <= 1000),
        Err(error) => drop(damage(&error)),
    }
    match writing().open(&place.path) {
        Ok(writer) => {
            writer.add_record(b"one more").unwrap();
            writer.commit().unwrap();
            let count = writer.record_count().unwrap();
            assert_eq!(&*writer.snapshot().unwrap().record(count).unwrap(), b"one more");
        }
        Err(error) => drop(damage(&error)),
    }
}

fn is_the_record(number: u64, found: &[u8]) -> bool {
    found == record(number)
}

/// Positions with a meaning in the format: header, slots, and every part of every frame.
fn interesting(image: &FileImage) -> Vec<usize> {
    let (page, slot) = (SMALL.page_size as usize, slot_size(&SMALL));
    let mut positions: Vec<usize> = (0..28).chain([page - 1]).collect();
    for serial in [0, 1] {
        let start = slot_start(&SMALL, serial);
        positions.extend(
            (0..62).chain([page - 1, page, page + 9, 2 * page, 2 * page + 5, slot - 1]).map(|at| start + at),
        );
    }
    let mut at = 0;
    while at < image.frames.len() {
        let length = 4 + u32_at(&image.frames, at) as usize;
        let inside = (0..12).chain([length / 2]).chain(length - 5..length);
        positions.extend(inside.map(|offset| data_start(&SMALL) + at + offset));
        at += length;
    }
    positions
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_harmless() {
    let image = image();
    let good = image.bytes();
    for (index, at) in interesting(&image).into_iter().enumerate().filter(|(_, at)| *at < good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (index % 8);
        // With other sizes in the header it is a different file, whose content is unknown.
        use_damaged(&bytes, |number, found| (15..27).contains(&at) || is_the_record(number, found));
    }
}

#[test]
fn a_flipped_bit_with_a_right_checksum_is_an_error_or_another_file() {
    let image = image();
    let good = image.bytes();
    for at in interesting(&image).into_iter().filter(|at| (11..data_start(&SMALL)).contains(at)) {
        for bit in [0, 3, 7] {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            fix_checksums(&mut bytes, &SMALL);
            use_damaged(&bytes, |_, _| true);
        }
    }
}

#[test]
fn a_truncated_file_never_shows_an_older_state() {
    let image = image();
    let good = image.bytes();
    let whole = (image.file_limit() - image.file_limit() % 512) as usize;
    let near = |at: usize| at.saturating_sub(2)..(at + 3).min(whole);
    let slots = [512, slot_start(&SMALL, 1), data_start(&SMALL)];
    let places = [0, 11, 27].into_iter().chain(slots).flat_map(near).chain((0..whole).step_by(397));
    for length in places.chain(whole - 512..whole) {
        let place = Place::with(&good[..length]);
        let damage = damage_of(CaptureFile::open(&place.path));
        assert!(damage.found.contains(&length.to_string()) || length < 27, "{length}: {damage}");
        // An empty file has lost nothing and becomes a capture file.
        if length > 0 {
            assert_eq!(damage_of(writing().open(&place.path)).expected, damage.expected);
            assert_eq!(std::fs::metadata(&place.path).unwrap().len(), length as u64);
        }
    }
    assert_eq!(all_of(&Place::with(&good[..whole]).reader()), records(COUNT));
}

// Windows does not truncate mapped files.
#[cfg(unix)]
#[test]
fn a_file_truncated_while_it_is_read_is_an_error_until_it_is_complete_again() {
    let image = image();
    let place = Place::with(&image.bytes());
    let reader = OpenOptions::new().cache_size(0).open(&place.path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(*snapshot.record(1).unwrap(), *record(1));
    let file = std::fs::File::options().write(true).open(&place.path).unwrap();
    file.set_len(data_start(&SMALL) as u64 + 512).unwrap();
    let damage = damage_of(snapshot.record(1));
    assert!(damage.expected.contains("truncated"), "{damage}");
    // A refresh may skip the file if there is nothing new; a durable refresh may not.
    damage_of(reader.refresh(true));
    assert_eq!(reader.record_count().unwrap(), COUNT);
    assert_eq!(*snapshot.record(COUNT).unwrap(), *record(COUNT));
    std::fs::write(&place.path, image.bytes()).unwrap();
    assert!(!reader.refresh(true).unwrap());
    assert_eq!(all_of(&reader), records(COUNT));
}

#[test]
fn two_broken_slots_are_refused_immediately_and_the_slot_is_named() {
    let mut bytes = image().bytes();
    for serial in [1, 2] {
        bytes[slot_start(&SMALL, serial) + 1000] ^= 1;
    }
    let place = Place::with(&bytes);
    let start = std::time::Instant::now();
    for error in [refused(CaptureFile::open(&place.path)), refused(writing().open(&place.path))] {
        let damage = damage(&error);
        assert!(damage.found.starts_with("checksum 0x"), "{damage}");
        let slots = [512, slot_start(&SMALL, 1) as u64];
        assert!(slots.contains(&damage.position.unwrap()), "{damage}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
}

/// A file whose last one or two commits are changed by `change`, with right checksums.
fn with_slots(commits: usize, change: impl Fn(&mut SlotImage)) -> Place {
    let mut image = image();
    for _ in 0..commits {
        let mut slot = image.next_slot();
        change(&mut slot);
        image.commit_slot(&slot);
    }
    Place::with(&image.bytes())
}

#[test]
fn the_error_for_an_impossible_number_names_it() {
    let limit = image().file_limit();
    let start = data_start(&SMALL) as u64;
    let refuses = |found: &str, change: &dyn Fn(&mut SlotImage)| {
        for commits in [1, 2] {
            let place = with_slots(commits, change);
            let damage = damage_of(CaptureFile::open(&place.path));
            assert_eq!(damage.found, found, "{damage}");
            assert!(damage.position.is_some(), "{damage}");
            assert_eq!(damage_of(writing().open(&place.path)).expected, damage.expected);
        }
    };
    refuses("file limit 0", &|slot| slot.file_limit = 0);
    refuses(&format!("file limit {}", start - 1), &|slot| slot.file_limit = start - 1);
    refuses("file limit 9223372036854775808", &|slot| slot.file_limit = 1 << 63);
    refuses("a pending block of 1024 bytes", &|slot| slot.pending_length = 1024);
    refuses("a pending block of 4294967295 bytes", &|slot| slot.pending_length = u32::MAX);
    refuses("37 children on the rightmost path", &|slot| slot.child_count = 37);
    refuses("4294967295 children on the rightmost path", &|slot| slot.child_count = u32::MAX);
    refuses("a child at height 0 after one at height 0", &|slot| slot.children[0].0 = 0);
    refuses("a child at height 1 after one at height 9", &|slot| {
        slot.children = vec![(9, (start, 0)), (1, (start, 0))];
    });
    refuses("3 children at height 2", &|slot| {
        slot.children = vec![(2, (start, 0)); slot.child_count as usize];
    });
    refuses("a tree of height 255", &|slot| {
        slot.children = vec![(255, (start, 0))];
        slot.child_count = 1;
    });
    refuses(&format!("coordinates ({}, 0) of a child", start - 1), &|slot| {
        slot.children[0].1 = (start - 1, 0);
    });
    refuses(&format!("coordinates ({}, 0) of a child", limit + 1), &|slot| {
        slot.children[0].1 = (limit + 1, 0);
    });
    refuses(&format!("coordinates ({limit}, 1023) of a child"), &|slot| slot.children[0].1 = (limit, 1023));
    refuses("coordinates (0, 1) of metadata", &|slot| slot.metadata = (0, 1));
    refuses(&format!("coordinates ({}, 0) of metadata", u64::MAX), &|slot| slot.metadata = (u64::MAX, 0));
}

#[test]
fn a_tree_of_more_records_than_64_bits_can_count_is_refused() {
    let start = data_start(&SMALL) as u64;
    // 3^40 is the largest power of the fan-out that 64 bits hold.
    let with_heights = |heights: Vec<u8>| {
        with_slots(2, move |slot| {
            slot.children = heights.iter().map(|&height| (height, (start, 0))).collect();
            slot.child_count = u32::try_from(heights.len()).unwrap();
        })
    };
    let most = with_heights(vec![41]).reader().record_count().unwrap();
    assert_eq!(most, 3_u64.pow(40));
    let damage = damage_of(CaptureFile::open(&with_heights(vec![41, 41]).path));
    assert_eq!(
        (damage.found.as_str(), damage.expected.as_str()),
        ("a tree of height 41", "one that holds fewer than 2^64 - 1 records")
    );
    damage_of(CaptureFile::open(&with_heights(vec![42]).path));
}

#[test]
fn a_node_that_refers_to_itself_ends_at_height_0() {
    let mut image = FileImage::new(SMALL);
    let at = (image.file_limit(), 0);
    assert_eq!(image.add_entry(&image::index_node(&[at; 3])), at);
    image.close_block();
    image.add_child(41, at);
    image.commit();
    image.commit();
    let place = Place::with(&image.bytes());
    let snapshot = place.reader().snapshot().unwrap();
    assert_eq!(snapshot.record_count(), 3_u64.pow(40));
    // The node, read as a record, has a length of 0: the upper half of a position.
    for number in [1, 2, 3_u64.pow(40) / 2, 3_u64.pow(40)] {
        assert_eq!(&*snapshot.record(number).unwrap(), b"");
    }
    assert!(snapshot.records(1).take(1000).all(|found| found.is_ok()));
    let report = verify(&place.path).unwrap();
    assert_eq!((report.index_nodes, report.record_count), (40, 3_u64.pow(40)));
}

#[test]
fn invalid_references_are_errors_with_their_positions() {
    let mut image = FileImage::new(SMALL);
    let good = image.add_entry(&image::sized(b"good"));
    let too_long = image.add_entry(&[0xFF; 4]);
    image.close_block();
    let (limit, frame) = (image.file_limit(), good.0);
    for child in [too_long, (frame, 5000), (frame, u32::MAX), (frame + 1, 0), (frame + 4, 0), (limit - 4, 0)]
    {
        image.levels = vec![vec![good, child]];
        image.commit();
        image.commit();
        let place = Place::with(&image.bytes());
        let snapshot = place.reader().snapshot().unwrap();
        let damage = damage_of(snapshot.record(2));
        assert!(damage.position.is_some() || damage.found.contains(&child.0.to_string()), "{damage}");
        assert_eq!(&*snapshot.record(1).unwrap(), b"good");
        let mut records = snapshot.records(1);
        assert!(
            records.next().unwrap().is_ok() && records.next().unwrap().is_err() && records.next().is_none()
        );
        let report = verify(&place.path).unwrap();
        assert_eq!((report.records_checked, report.problems), (1, vec![damage]));
    }
}

#[test]
fn one_byte_too_many_is_an_error_in_an_entry_and_in_a_frame() {
    for (too_many, found) in [(0, ""), (1, "an entry of 5 bytes at offset 0 of a block of 8 bytes")] {
        let mut image = FileImage::new(SMALL);
        let at = image.add_entry(&[0, 0, 0, 4 + too_many, b'g', b'o', b'o', b'd']);
        image.close_block();
        check_first(&mut image, at, found);
    }
    for (too_many, found) in [(0, ""), (1, "a frame of 20 bytes")] {
        let mut image = FileImage::new(SMALL);
        let at = image.add_entry(&image::sized(b"good"));
        image.close_block();
        image.frames[3] += too_many;
        check_first(&mut image, at, found);
    }
}

/// Record 1 at `at` is `good`, or damaged as `found` says.
fn check_first(image: &mut FileImage, at: image::At, found: &str) {
    image.add_child(1, at);
    image.commit();
    image.commit();
    let record = Place::with(&image.bytes()).reader().snapshot().unwrap().record(1);
    match record {
        Ok(record) => assert_eq!((&*record, found), (&b"good"[..], "")),
        Err(error) => {
            assert_eq!((damage(&error).found.as_str(), damage(&error).position), (found, Some(at.0)));
        }
    }
}

#[test]
fn a_commit_in_the_wrong_slot_is_an_error_and_not_replaced_by_an_older_one() {
    let image = image();
    let mut bytes = image.bytes();
    let newest = image.next_slot();
    for (serial, found) in [(3, None), (4, Some("serial number 4 in slot B"))] {
        let start = slot_start(&SMALL, 1);
        let slot = SlotImage { serial, children: vec![], child_count: 0, ..newest.clone() }.encode(&SMALL);
        bytes[start..start + slot.len()].copy_from_slice(&slot);
        let place = Place::with(&bytes);
        for opened in [CaptureFile::open(&place.path), writing().open(&place.path)] {
            match opened {
                Ok(file) => assert_eq!((file.record_count().unwrap(), found), (0, None)),
                Err(error) => assert_eq!(Some(damage(&error).found.as_str()), found),
            }
        }
    }
}

/// One zlib stream of `length` zeros, which is about a thousand times shorter.
fn bomb(length: usize) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(9).unwrap());
    let mut stream = vec![0; compressor.zlib_compress_bound(length)];
    let used = compressor.zlib_compress(&vec![0; length], &mut stream).unwrap();
    stream.truncate(used);
    stream
}

#[test]
fn a_frame_may_expand_as_much_as_deflate_allows_and_no_more() {
    let stream = bomb(30_000_000);
    assert!(stream.len() < 31_000);
    for (frame, whole) in [(image::sized(&stream), true), (image::sized(&stream[..stream.len() - 1]), false)]
    {
        let mut image = FileImage::new(SMALL);
        let first = (image.file_limit(), 0);
        image.frames = frame;
        image.add_child(1, first);
        image.add_child(1, (first.0, SMALL.block_size - 1));
        image.commit();
        image.commit();
        let place = Place::with(&image.bytes());
        let snapshot = place.reader().snapshot().unwrap();
        assert_eq!(snapshot.record(1).is_ok(), whole);
        assert_eq!(snapshot.record(2).is_ok(), whole);
        assert_eq!(verify(&place.path).unwrap().problems.len(), usize::from(!whole));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_changed_anywhere_are_errors_or_harmless(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
        fix in any::<bool>(),
    ) {
        let image = image();
        let mut bytes = image.bytes();
        // Other tests change the header, and the end of the file has no meaning.
        let (start, end) = (SMALL.page_size as usize, usize::try_from(image.file_limit()).unwrap());
        changes.iter().for_each(|(at, change)| bytes[start + at.index(end - start)] ^= change);
        if fix {
            fix_checksums(&mut bytes, &SMALL);
        }
        use_damaged(&bytes, |number, found| fix || is_the_record(number, found));
    }

    #[test]
    fn any_bytes_after_a_header_are_errors_or_harmless(
        slots in proptest::collection::vec((any::<u8>(), 0_usize..80), 0..60),
        filling in any::<u8>(),
    ) {
        let mut bytes = image::header(image::MAGIC, &SMALL);
        bytes.resize(20_000, filling);
        for serial in [0, 1] {
            let start = slot_start(&SMALL, serial);
            bytes[start + 4..start + 36].fill(0);
            bytes[start + 7] = u8::try_from(serial).unwrap();
            bytes[start + 14..start + 16].copy_from_slice(&20_000_u16.to_be_bytes());
            slots.iter().for_each(|&(byte, at)| bytes[start + 8 + at] = byte);
        }
        fix_checksums(&mut bytes, &SMALL);
        use_damaged(&bytes, |_, _| true);
    }
}
