//! Snapshots of a transaction that are held while what they show is rolled back and overwritten.

use std::sync::Arc;

use super::small_file::{new_file, shared};
use crate::simulation::contents::read_snapshot;
use crate::simulation::disk::{Disk, Fault, OnlyUser, Plan};
use crate::simulation::random::Random;
use crate::storage::errno;
use crate::sync::group_commit::{CommitSteps, Flight};
use crate::v3::read::snapshot::Snapshot;
use crate::v3::write::{Writer, WriterOptions};

/// Adds a record that does not compress.
fn add(writer: &mut Writer, records: &mut Vec<Arc<[u8]>>, length: usize) {
    let record: Arc<[u8]> = Random::new(records.len() as u64).bytes(length).into();
    writer.add_record(&record).unwrap();
    records.push(record);
}

fn commit_some(writer: &mut Writer, records: &mut Vec<Arc<[u8]>>, commits: u64) {
    for _ in 0..commits {
        add(writer, records, 100);
        writer.commit_alone().unwrap();
    }
}

fn open(disk: &Disk<()>) -> Writer {
    Writer::open(shared(disk, 99), Box::new(OnlyUser), WriterOptions::default()).unwrap()
}

fn records_of(held: Snapshot) -> Vec<Arc<[u8]>> {
    read_snapshot(&Arc::new(held.into())).unwrap().records
}

#[test]
fn a_snapshot_of_a_transaction_outlives_the_next_writer() {
    // After some numbers of commits, there are frames to which no head refers yet.
    for (commits, later) in (0..16).flat_map(|commits| [(commits, 0), (commits, 30)]) {
        let (disk, mut writer) = new_file(commits);
        let mut records = Vec::new();
        commit_some(&mut writer, &mut records, commits);
        // More than an entry has room for.
        (0..4).for_each(|_| add(&mut writer, &mut records, 600));
        let held = writer.snapshot().unwrap();
        drop(writer);
        let mut next = open(&disk);
        commit_some(&mut next, &mut vec![Arc::default(); 1000], later);
        drop(next);
        assert_eq!(records_of(held), records, "{commits} commits, {later} later");
    }
}

#[test]
fn a_snapshot_of_a_commit_that_finds_no_room_outlives_its_rollback() {
    let (disk, mut writer) = new_file(0);
    let mut records = Vec::new();
    (0..4).for_each(|_| add(&mut writer, &mut records, 600));
    let mut flight = writer.begin_commit().unwrap().unwrap();
    let held = writer.snapshot().unwrap();
    // A batch during the commit, which fails.
    let savepoint = writer.savepoint().unwrap();
    writer.add_record(b"meanwhile").unwrap();
    writer.restore(savepoint);
    assert_eq!(writer.record_count(), 4);
    disk.set_plan(Plan::Once(disk.calls() + 1, Fault::Error(errno::DISK_FULL)));
    flight.write();
    writer.finish_commit(flight).unwrap_err();
    writer.rollback().unwrap();
    let mut others = vec![Arc::default(); 1000];
    (0..6).for_each(|_| add(&mut writer, &mut others, 600));
    writer.commit_alone().unwrap();
    assert_eq!(records_of(held), records);
}
