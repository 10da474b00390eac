//! What is not left by crashes: bits that flip, and commits that a failed sync has rolled back under a reader.

use std::path::Path;
use std::sync::Arc;

use super::careless::{Careless, Clock, Seeded};
use super::contents::{contents, snapshot_of};
use super::mark::Mark;
use crate::error::Error;
use crate::read::open_file::Opened;
use crate::simulation::disk::{Disk, OnlyUser};
use crate::simulation::disk_state::DiskState;
use crate::simulation::random::Random;
use crate::storage::Storage;
use crate::v3::format::{Codec, Header};
use crate::v3::open::reader;
use crate::v3::shared::Shared;
use crate::v3::steps::{Step, Steps};
use crate::v3::write::{Writer, WriterOptions};
use crate::write::options::Making;

fn header() -> Header {
    let sound = Header::new(Codec::Zstd, *b"identity-of-file", 1);
    Header { page: 512, block: 512, fan_out: 2, log: 4096, ..sound }
}

fn shared(disk: &Disk<Mark>, left_out: &'static [Step], seed: u64) -> Arc<Shared> {
    let storage = Careless::new(disk.clone(), Random::new(seed), false);
    let mut file =
        Shared::new(Opened::new(Path::new("simulated.capture"), Box::new(storage), 1), header(), 0);
    file.environment = Box::new(Seeded::new(Random::new(seed), Clock::Still));
    file.steps = Steps { left_out };
    Arc::new(file)
}

fn new_file(seed: u64) -> (Disk<Mark>, Writer) {
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let writer = Writer::create(
        &shared(&disk, &[], seed),
        Box::new(OnlyUser),
        None,
        WriterOptions::default(),
        Making::Hidden,
    )
    .unwrap();
    (disk, writer)
}

fn copy(disk: &Disk<Mark>) -> Disk<Mark> {
    Disk::new(disk.state(), Random::new(0))
}

/// How many records a reader and a writer find, and whether they refuse the file.
fn look(disk: &Disk<Mark>) -> [Result<usize, Error>; 2] {
    let file = shared(disk, &[], 1);
    let state = reader::open(&file);
    let read = state.and_then(|state| Ok(contents(&snapshot_of(&file, &state))?.records.len()));
    let written = Writer::open(shared(&copy(disk), &[], 2), Box::new(OnlyUser), WriterOptions::default());
    [read, written.and_then(|writer| Ok(contents(&writer.committed_snapshot())?.records.len()))]
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
            writer.commit().unwrap();
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
                    // What nothing on the disk was sure of yet: the last entry, or the one before it.
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

/// A reader has seen a commit that the next writer does not find.
fn refresh_after_a_commit_is_gone(left_out: &'static [Step]) -> (u64, bool) {
    let (disk, mut writer) = new_file(1);
    writer.add_record(b"kept").unwrap();
    writer.commit().unwrap();
    let without = copy(&disk);
    writer.add_record(b"seen and lost").unwrap();
    writer.commit().unwrap();
    let file = shared(&disk, left_out, 3);
    let held = reader::open(&file).unwrap();
    assert_eq!(held.total, 2);
    let mut next =
        Writer::open(shared(&without, &[], 4), Box::new(OnlyUser), WriterOptions::default()).unwrap();
    for _ in 0..5 {
        next.add_record(b"what came instead").unwrap();
        next.commit().unwrap();
    }
    let length = usize::try_from(without.length().unwrap()).unwrap();
    let mut bytes = vec![0; length];
    without.read_at(&mut bytes, 0).unwrap();
    disk.write_at(&bytes, 0).unwrap();
    let look = reader::refresh(&file, &held).unwrap();
    (look.state.total, contents(&snapshot_of(&file, &look.state)).unwrap().records.len() == 6)
}

#[test]
fn a_reader_whose_last_commit_is_gone_begins_anew() {
    assert_eq!(refresh_after_a_commit_is_gone(&[]), (6, true));
    assert_eq!(refresh_after_a_commit_is_gone(&[Step::SameEnd]).0, 2);
}
