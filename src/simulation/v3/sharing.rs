//! Threads that share commits of a file in format 3, over a simulated disk.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::libc;

use crate::either::writer::AnyWriter;
use crate::error::{Error, Result};
use crate::file::OpenOptions;
use crate::read::open_file::Opened;
use crate::simulation::disk::{Disk, Fault, OnlyUser, Plan};
use crate::simulation::disk_state::DiskState;
use crate::simulation::meanwhile::meanwhile;
use crate::simulation::random::Random;
use crate::sync::group_commit::GroupCommit;
use crate::write::options::{Commit, Making};

/// A writer that threads share, over a disk whose calls can be made to fail.
fn new_group() -> (Group, Disk<()>) {
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let opened = Opened::new(Path::new("log.capture"), Box::new(disk.clone()), 1);
    let settings = OpenOptions::new().format(3).settings;
    let (_, writer) = settings.make(opened, Box::new(OnlyUser), None, Making::Hidden).unwrap();
    (Arc::new(GroupCommit::new(Some(writer))), disk)
}

type Group = Arc<GroupCommit<AnyWriter>>;

fn commit_shared(group: &Group) -> Result<Option<Commit>> {
    group.commit(|_| (), || unreachable!("it is not closed"))
}

fn add_shared(group: &Group, record: &[u8]) -> u64 {
    group.lock().writer.as_mut().unwrap().add_record(record).unwrap()
}

/// Commits; while the commit waits for the disk, three threads commit, too: two whose records it has, and one whose record
/// comes later. Returns what the four of them got.
fn commit_beside_three_others(
    group: &Group,
    before_sync: impl Fn() + 'static,
) -> Vec<Result<Option<Commit>>> {
    for record in [b"one", b"two", b"six"] {
        add_shared(group, record);
    }
    let others = Arc::new(Mutex::new(Vec::new()));
    let (theirs, shared) = (Arc::clone(&others), Arc::clone(group));
    let work = move || {
        let mut theirs = theirs.lock().unwrap();
        if !theirs.is_empty() {
            return;
        }
        for record in [None, None, Some(b"later")] {
            record.map(|record| add_shared(&shared, record));
            let others_group = Arc::clone(&shared);
            theirs.push(thread::spawn(move || commit_shared(&others_group)));
            while shared.waiting() < theirs.len() {
                thread::yield_now();
            }
        }
        before_sync();
    };
    let mut results = vec![meanwhile(work, || commit_shared(group))];
    results.extend(others.lock().unwrap().drain(..).map(|other| other.join().unwrap()));
    results
}

#[test]
fn whoever_commits_while_a_commit_waits_for_the_disk_shares_it_or_the_next_one() {
    let (group, disk) = new_group();
    let syncs = disk.syncs();
    let results = commit_beside_three_others(&group, || ());
    let records: Vec<_> =
        results.iter().map(|result| result.as_ref().unwrap().map(|commit| commit.records)).collect();
    assert_eq!(records, [Some(3), None, None, Some(1)]);
    assert_eq!(disk.syncs() - syncs, 2, "two commits of records that are in no frame yet");
    assert!(!group.lock().writer.as_ref().unwrap().has_uncommitted());
}

#[test]
fn the_error_of_a_commit_reaches_all_whose_records_it_has() {
    let (group, disk) = new_group();
    let fail = move || disk.set_plan(Plan::From(disk.calls(), Fault::Error(libc::EIO)));
    let results = commit_beside_three_others(&group, fail);
    for result in &results[..3] {
        let is_uncertain = matches!(result, Err(Error::CommitUncertain { source, .. }) if source.raw_os_error() == Some(libc::EIO));
        assert!(is_uncertain, "{result:?}");
    }
    assert!(matches!(&results[3], Err(Error::WriterFailed { .. })), "{:?}", results[3]);
}

#[test]
fn after_a_commit_without_room_others_try_for_themselves() {
    let (group, disk) = new_group();
    // Frames, which are synced, before there is no room for the entry.
    add_shared(&group, &Random::new(1).bytes(300_000));
    let fail = move || disk.set_plan(Plan::Once(disk.calls() + 1, Fault::Error(libc::ENOSPC)));
    let results = commit_beside_three_others(&group, fail);
    assert!(matches!(&results[0], Err(Error::Io { .. })), "{:?}", results[0]);
    let records: u64 =
        results[1..].iter().filter_map(|result| result.as_ref().unwrap().map(|commit| commit.records)).sum();
    assert_eq!(records, 5);
    assert!(!group.lock().writer.as_ref().unwrap().has_uncommitted());
}
