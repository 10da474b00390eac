//! Events other than crashes: flipped bits, and commits that a failed sync has rolled back under a reader.

use std::sync::Arc;

use super::small_file::{copy, header, new_file, shared};
use crate::error::Error;
use crate::simulation::contents::read_snapshot;
use crate::simulation::disk::{Disk, OnlyUser};
use crate::simulation::random::Random;
use crate::storage::Storage;
use crate::sync::group_commit::CommitSteps;
use crate::v3::log::LogState;
use crate::v3::open::reader;
use crate::v3::read::frames::FrameSource;
use crate::v3::read::snapshot::Snapshot;
use crate::v3::shared::Shared;
use crate::v3::write::{Writer, WriterOptions};

/// Counts the records that a snapshot shows.
fn count(snapshot: Snapshot) -> Result<usize, Error> {
    Ok(read_snapshot(&Arc::new(snapshot.into()))?.records.len())
}

/// Counts the records of a state that a reader has found.
fn count_read(file: &Arc<Shared>, state: &LogState) -> Result<usize, Error> {
    let frames = FrameSource { file: Arc::clone(file), limit: state.frames.limit, open: None };
    count(Snapshot::committed(frames, state.clone()))
}

/// Returns the numbers of records that a reader and a writer find, or their errors.
fn look(disk: &Disk<()>) -> [Result<usize, Error>; 2] {
    let file = shared(disk, 1);
    let read = reader::open(&file).and_then(|state| count_read(&file, &state));
    let written = Writer::open(shared(&copy(disk), 2), Box::new(OnlyUser), WriterOptions::default());
    [read, written.and_then(|writer| count(writer.committed_snapshot()))]
}

#[test]
fn a_flipped_bit_costs_a_writer_no_more_than_the_last_commits_without_an_error() {
    let mut random = Random::new(7);
    let (mut refused, mut sound) = (0, 0);
    for seed in 0..60 {
        let (disk, mut writer) = new_file(seed);
        let mut counts = vec![0];
        for _ in 0..5 + random.below(40) {
            for _ in 0..=random.below(8) {
                writer.add_record(&random.bytes(60)).unwrap();
            }
            writer.commit_alone().unwrap();
            counts.push(usize::try_from(writer.record_count()).unwrap());
        }
        let live = 512 * 3..512 * 3 + 4096;
        for _ in 0..20 {
            let (at, bit) = (512 + random.below(live.end - 512), random.below(8));
            let flipped = copy(&disk);
            let mut byte = [0];
            flipped.read_at(&mut byte, at as u64).unwrap();
            flipped.write_at(&[byte[0] ^ 1 << bit], at as u64).unwrap();
            let [_, writer] = look(&flipped);
            match writer {
                Ok(count) => {
                    // The last entry or the one before it, to which no `sure` on the disk extends yet.
                    let least = counts[counts.len().saturating_sub(3)];
                    assert!(count >= least, "seed {seed}, byte {at}: {count} records of {counts:?}");
                    sound += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!("flipped bits: {refused} refused, {sound} without harm");
    assert!(refused > 0 && sound > 0);
}

/// Returns a copy of a disk on which a byte of the log at this position is changed by these bits.
fn flip(disk: &Disk<()>, position: u64, bits: u8) -> Disk<()> {
    let flipped = copy(disk);
    let ring = header();
    let at = ring.log_start() + position % u64::from(ring.log);
    let mut byte = [0];
    flipped.read_at(&mut byte, at).unwrap();
    flipped.write_at(&[byte[0] ^ bits], at).unwrap();
    flipped
}

/// A file of seven commits, of which nothing is in frames, and an entry that the second of two writers began with.
fn two_lives() -> Disk<()> {
    let (disk, mut writer) = new_file(5);
    for life in 0..2 {
        for commit in 0..3 + life {
            for _ in 0..=commit {
                writer.add_record(b"some record").unwrap();
            }
            writer.commit_alone().unwrap();
        }
        if life == 0 {
            drop(writer);
            writer = Writer::open(shared(&disk, 6), Box::new(OnlyUser), WriterOptions::default()).unwrap();
        }
    }
    disk
}

#[test]
fn a_flipped_bit_in_the_log_is_an_error_if_a_later_entry_proves_it() {
    let disk = two_lives();
    let sound = reader::open(&shared(&disk, 1)).unwrap();
    let last = sound.entries.last().unwrap().header;
    assert_eq!((sound.entries.len(), last.sure), (9, last.position));
    for entry in sound.entries.iter().map(|entry| entry.header) {
        for at in 0..u64::from(entry.total) {
            let found = look(&flip(&disk, entry.position + at, 1 << (at % 8)));
            for found in found {
                match found {
                    // It looks like a commit that a crash has torn.
                    Ok(count) => assert_eq!((count, entry), (usize::try_from(last.first).unwrap() - 1, last)),
                    Err(error) => {
                        assert!(
                            error.is_corrupt() && entry.position < last.position,
                            "{entry:?} {at} {error}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_stands_behind_a_destroyed_part_of_the_log_is_missed_if_a_header_is_left() {
    let disk = two_lives();
    let sound = reader::open(&shared(&disk, 1)).unwrap();
    let last = sound.entries.last().unwrap().header;
    for entry in sound.entries.iter().map(|entry| entry.header).filter(|entry| *entry != last) {
        let destroyed = copy(&disk);
        let start = header().log_start() + entry.position % u64::from(header().log);
        let length = usize::try_from(last.position - entry.position).unwrap() - 24 - 8;
        destroyed.write_at(&vec![0xA5; length], start + 24).unwrap();
        let [read, written] = look(&destroyed);
        assert!(read.is_err_and(|error| error.is_corrupt()) && written.is_err(), "{entry:?}");
    }
}

#[test]
fn a_reader_that_is_open_misses_commits_behind_a_flipped_bit_when_a_head_says_that_they_were_there() {
    let (disk, mut writer) = new_file(8);
    let mut states = Vec::new();
    for _ in 0..30 {
        states.push(reader::open(&shared(&disk, 1)).unwrap());
        writer.add_record(&[7; 100]).unwrap();
        writer.commit_alone().unwrap();
    }
    let newest = reader::open(&shared(&disk, 1)).unwrap();
    let mut refused = 0;
    for held in states.iter().filter(|held| held.end >= newest.begin) {
        let flipped = shared(&flip(&disk, held.end + 80, 1), 1);
        let look = reader::refresh(&flipped, held);
        if held.end < newest.sure {
            assert!(look.is_err_and(|error| error.is_corrupt()), "{} of {}", held.end, newest.sure);
            refused += 1;
        } else {
            assert_eq!(look.unwrap().state.end, held.end);
        }
    }
    assert!(refused > 1, "{refused}");
}

#[test]
fn a_reader_whose_last_commit_is_gone_begins_anew() {
    let (disk, mut writer) = new_file(1);
    writer.add_record(b"kept").unwrap();
    writer.commit_alone().unwrap();
    let without = copy(&disk);
    writer.add_record(b"seen and lost").unwrap();
    writer.commit_alone().unwrap();
    let file = shared(&disk, 3);
    let held = reader::open(&file).unwrap();
    assert_eq!(held.total, 2);
    let mut next = Writer::open(shared(&without, 4), Box::new(OnlyUser), WriterOptions::default()).unwrap();
    for _ in 0..5 {
        next.add_record(b"what came instead").unwrap();
        next.commit_alone().unwrap();
    }
    let length = usize::try_from(without.length().unwrap()).unwrap();
    let mut bytes = vec![0; length];
    without.read_at(&mut bytes, 0).unwrap();
    disk.write_at(&bytes, 0).unwrap();
    let look = reader::refresh(&file, &held).unwrap();
    assert_eq!((look.state.total, count_read(&file, &look.state).unwrap()), (6, 6));
}
