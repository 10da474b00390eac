//! What `verify` finds in damaged files of version 3.

use std::ops::{Range, RangeInclusive};

use capturefile::{CaptureFile, Error, VerifyOptions, verify};

use super::super::FORMAT;
use super::support::{Place, all_of, noise, writing_as};
use crate::image::SMALL;

/// A file with many blocks of incompressible records, and some records in the log.
fn with_blocks() -> Place {
    let place = Place::new();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    for seed in 0..300 {
        file.add_record(&noise(seed, 100)).unwrap();
        if seed % 3 == 0 {
            file.commit().unwrap();
        }
    }
    file.set_metadata(Some(b"about these")).unwrap();
    file.commit().unwrap();
    place
}

/// The records in each frame, if it has any, and the range of the frame.
fn frames(file: &CaptureFile) -> Vec<(Option<RangeInclusive<u64>>, Range<usize>)> {
    let blocks = file.snapshot().unwrap().blocks().map(Result::unwrap);
    let place = |frame: capturefile::FrameInfo| {
        let start = usize::try_from(frame.position).unwrap();
        start..start + usize::try_from(frame.compressed_size).unwrap()
    };
    blocks.filter_map(|block| Some((block.records, place(block.frame?)))).collect()
}

#[test]
fn a_sound_file_is_sound_while_it_is_open_for_writing() {
    let place = with_blocks();
    let file = writing_as(SMALL).open(&place.path).unwrap();
    for round in 0..20 {
        let report = verify(&place.path).unwrap();
        assert_eq!((report.problems.len(), report.repairable.len()), (0, 0), "{report:?}");
        assert_eq!((report.records_checked, report.record_count), (300 + round, 300 + round));
        assert!(FORMAT == 2 || report.frames > 30 && report.index_nodes > 1);
        file.add_record(&noise(round, 200)).unwrap();
        file.commit().unwrap();
    }
}

#[test]
fn only_the_records_of_each_damaged_frame_are_reported() {
    if FORMAT == 2 {
        return;
    }
    let place = with_blocks();
    let whole = std::fs::read(&place.path).unwrap();
    for (records, frame) in frames(&place.reader()) {
        for at in [frame.start, frame.start + 70, frame.end - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&place.path, &bytes).unwrap();
            let report = verify(&place.path).unwrap();
            let [damage] = &report.problems[..] else { panic!("{at}: {report:?}") };
            assert_eq!(damage.position, Some(frame.start as u64), "{report:?}");
            let lost = report.unreadable.clone();
            if let Some(records) = &records {
                assert_eq!(lost, std::slice::from_ref(records), "{report:?}");
            }
            let unreadable = |number: &u64| lost.iter().any(|range| range.contains(number));
            let snapshot = place.reader().snapshot().unwrap();
            for number in 1..=300 {
                let found = snapshot.record(number);
                if unreadable(&number) {
                    assert!(matches!(found, Err(Error::Corrupt { .. })), "{number}");
                } else {
                    assert_eq!(found.unwrap(), noise(number - 1, 100)[..]);
                }
            }
        }
    }
}

#[test]
fn a_torn_head_is_repairable() {
    if FORMAT == 2 {
        return;
    }
    let place = with_blocks();
    let whole = std::fs::read(&place.path).unwrap();
    let page = SMALL.page_size.next_multiple_of(8) as usize;
    for head in [page, 2 * page] {
        let mut bytes = whole.clone();
        bytes[head + 20] ^= 1;
        std::fs::write(&place.path, &bytes).unwrap();
        for quick in [false, true] {
            let report = VerifyOptions::new().quick(quick).verify(&place.path).unwrap();
            assert_eq!((report.problems.len(), report.repairable.len()), (0, 1), "{report:?}");
        }
        assert_eq!(all_of(&place.reader()).len(), 300);
        drop(place.writer());
        let report = verify(&place.path).unwrap();
        assert_eq!((report.problems.len(), report.repairable.len()), (0, 0), "{report:?}");
    }
}
