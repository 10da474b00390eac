//! Threads that share commits, over a disk whose calls can be made to fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use super::contents::read_snapshot;
use super::disk::{Disk, Fault, OnlyUser, Plan};
use super::disk_state::DiskState;
use super::meanwhile::meanwhile;
use super::random::Random;
use crate::either::writer::AnyWriter;
use crate::error::{Error, Result};
use crate::file::OpenOptions;
use crate::read::open_file::Opened;
use crate::storage::errno;
use crate::sync::group_commit::GroupCommit;
use crate::sync::tickets::Ticket;
use crate::write::options::{Commit, Making};

type Group = Arc<GroupCommit<AnyWriter>>;

/// A writer that threads share, over a disk whose calls can be made to fail.
fn new_group(format: u32) -> (Group, Disk<()>) {
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let opened = Opened::new(Path::new("log.capture"), Box::new(disk.clone()), 1);
    let settings = OpenOptions::new().format(format).settings;
    let (_, writer) = settings.make(opened, Box::new(OnlyUser), None, Making::Hidden).unwrap();
    (Arc::new(GroupCommit::new(Some(writer))), disk)
}

fn commit_shared(group: &Group) -> Result<Option<Commit>> {
    group.commit(|_| (), || unreachable!("it is not closed"))
}

fn add_shared(group: &Group, record: &[u8]) -> u64 {
    group.lock().writer.as_mut().unwrap().add_record(record).unwrap()
}

/// Commits; while the commit waits for the disk, three threads commit, too: two whose records it contains,
/// and one that adds its record later. Returns the four results.
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
#[cfg_attr(miri, ignore = "takes too long")]
fn whoever_commits_while_a_commit_waits_for_the_disk_shares_it_or_the_next_one() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        let syncs = disk.syncs();
        let results = commit_beside_three_others(&group, || ());
        let records: Vec<_> =
            results.iter().map(|result| result.as_ref().unwrap().map(|commit| commit.records)).collect();
        assert_eq!(records, [Some(3), None, None, Some(1)]);
        assert_eq!(disk.syncs() - syncs, 2, "two commits of records that are not in a frame yet");
        assert!(!group.lock().writer.as_ref().unwrap().has_uncommitted());
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn the_error_of_a_commit_reaches_all_whose_records_it_has() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        let fail = move || disk.set_plan(Plan::From(disk.calls(), Fault::Error(errno::UNREADABLE)));
        let results = commit_beside_three_others(&group, fail);
        for result in &results[..3] {
            let is_uncertain = matches!(result, Err(Error::CommitUncertain { source, .. }) if source.raw_os_error() == Some(errno::UNREADABLE));
            assert!(is_uncertain, "{result:?}");
        }
        assert!(matches!(&results[3], Err(Error::WriterFailed { .. })), "{:?}", results[3]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn after_a_commit_without_room_others_try_for_themselves() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        // Frames, which are synced before the slot or the entry finds no space.
        add_much(&group, format);
        let fail = move || disk.set_plan(Plan::Once(disk.calls() + 1, Fault::Error(errno::DISK_FULL)));
        let results = commit_beside_three_others(&group, fail);
        assert!(matches!(&results[0], Err(Error::Io { .. })), "{:?}", results[0]);
        let records: u64 = results[1..]
            .iter()
            .filter_map(|result| result.as_ref().unwrap().map(|commit| commit.records))
            .sum();
        assert_eq!(records, 5);
        assert!(!group.lock().writer.as_ref().unwrap().has_uncommitted());
    }
}

/// Commits, with a disk that is full when the first sync is done; another thread works before it.
fn commit_without_room(
    group: &Group,
    disk: &Disk<()>,
    work: impl Fn(&Group) + 'static,
) -> Result<Option<Commit>> {
    let (shared, disk, done) = (Arc::clone(group), disk.clone(), Cell::new(false));
    let work_once = move || {
        if !done.replace(true) {
            work(&shared);
            disk.set_plan(Plan::Once(disk.calls() + 1, Fault::Error(errno::DISK_FULL)));
        }
    };
    meanwhile(work_once, || commit_shared(group))
}

fn set_metadata(group: &Group, metadata: &[u8]) {
    group.lock().writer.as_mut().unwrap().set_metadata(Some(metadata)).unwrap();
}

/// Adds as much as has to be written, and synced, before a commit can refer to it.
fn add_much(group: &Group, format: u32) {
    add_shared(group, &Random::new(1).bytes(if format == 2 { 70_000 } else { 300_000 }));
}

/// The lengths of all committed records, and the metadata.
fn committed(group: &Group) -> (Vec<usize>, Option<Arc<[u8]>>) {
    let snapshot = group.lock().writer.as_ref().unwrap().committed_snapshot();
    let state = read_snapshot(&Arc::new(snapshot)).unwrap();
    (state.records.iter().map(|record| record.len()).collect(), state.metadata)
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn metadata_that_is_set_during_a_commit_without_room_replaces_that_of_the_commit() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        add_much(&group, format);
        set_metadata(&group, b"earlier");
        let result = commit_without_room(&group, &disk, |shared| set_metadata(shared, b"later"));
        assert!(matches!(&result, Err(Error::Io { .. })), "{result:?}");
        commit_shared(&group).unwrap();
        assert_eq!(committed(&group).1.as_deref(), Some(b"later".as_slice()));
    }
}

fn start_shared(group: &Group) -> Result<(Arc<Ticket>, u64)> {
    group.start(|_| (), || unreachable!("it is not closed"), AnyWriter::record_count)
}

/// Commits; while the commit waits for the disk, starts three others: one with nothing new, and two with a
/// record each. Returns their tickets.
fn start_three_beside_a_commit(group: &Group, before_sync: impl Fn() + 'static) -> Vec<Arc<Ticket>> {
    let tickets = Arc::new(Mutex::new(Vec::new()));
    let (started, shared) = (Arc::clone(&tickets), Arc::clone(group));
    let work = move || {
        let mut started = started.lock().unwrap();
        if !started.is_empty() {
            return;
        }
        for record in [None, Some(b"two"), Some(b"six")] {
            record.map(|record| add_shared(&shared, record));
            started.push(start_shared(&shared).unwrap().0);
        }
        add_shared(&shared, b"not committed");
        assert!(started.iter().all(|ticket| !ticket.is_settled()));
        before_sync();
    };
    add_shared(group, b"one");
    let _ = meanwhile(work, || commit_shared(group));
    tickets.lock().unwrap().drain(..).collect()
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn commits_that_are_started_while_one_is_under_way_share_the_next_one() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        let syncs = disk.syncs();
        let tickets = start_three_beside_a_commit(&group, || ());
        for ticket in &tickets {
            group.wait_for(ticket, None).unwrap().unwrap();
        }
        assert_eq!(disk.syncs() - syncs, 2, "two commits of records that are not in a frame yet");
        {
            let shared = group.lock();
            let writer = shared.writer.as_ref().unwrap();
            assert!(writer.has_uncommitted());
            assert_eq!((writer.record_count(), writer.committed_snapshot().record_count()), (4, 3));
        }
        group.lock_alone().writer.as_mut().unwrap().rollback().unwrap();
        assert_eq!(group.close(AnyWriter::record_count), Some(3));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn the_error_of_a_commit_reaches_all_that_were_started() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        let tickets = start_three_beside_a_commit(&group, move || {
            disk.set_plan(Plan::From(disk.calls(), Fault::Error(errno::UNREADABLE)));
        });
        for ticket in tickets.iter().chain(&tickets) {
            let outcome = group.wait_for(ticket, None).unwrap();
            assert!(matches!(outcome, Err(Error::CommitUncertain { .. })), "{outcome:?}");
        }
        assert!(matches!(start_shared(&group), Err(Error::WriterFailed { .. })));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn what_was_started_before_a_commit_found_no_room_stays_in_order() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        add_shared(&group, b"first");
        commit_shared(&group).unwrap();
        add_much(&group, format);
        let tickets = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::clone(&tickets);
        let result = commit_without_room(&group, &disk, move |shared| {
            for length in [2, 3] {
                add_shared(shared, &vec![b'r'; length]);
                set_metadata(shared, &vec![b'm'; length]);
                started.lock().unwrap().push(start_shared(shared).unwrap().0);
            }
            add_shared(shared, b"last");
        });
        assert!(matches!(&result, Err(Error::Io { .. })), "{result:?}");
        for ticket in tickets.lock().unwrap().iter() {
            assert!(matches!(group.wait_for(ticket, None), Some(Err(Error::Io { .. }))));
        }
        assert_eq!(commit_shared(&group).unwrap().map(|commit| commit.records), Some(4));
        let (lengths, metadata) = committed(&group);
        assert_eq!(
            (lengths.len(), &lengths[2..], metadata.as_deref()),
            (5, &[2, 3, 4][..], Some(&b"mmm"[..]))
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn started_commits_that_find_no_room_are_told_of_and_can_be_tried_again() {
    for format in [2, 3] {
        let (group, disk) = new_group(format);
        add_shared(&group, b"one");
        disk.set_plan(Plan::From(disk.calls(), Fault::Error(errno::DISK_FULL)));
        let (ticket, count) = start_shared(&group).unwrap();
        assert!(matches!(group.wait_for(&ticket, None), Some(Err(Error::Io { .. }))) && count == 1);
        // The first error was reported, so this is a new one, which is never requested.
        start_shared(&group).unwrap();
        for failed in [group.finish_started(), {
            start_shared(&group).unwrap();
            commit_until_told(&group)
        }] {
            assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
        }
        disk.set_plan(Plan::None);
        assert_eq!(commit_shared(&group).unwrap().map(|commit| commit.records), Some(1));
        let (ticket, _) = start_shared(&group).unwrap();
        assert!(ticket.is_settled(), "there is nothing to commit");
    }
}

/// Waits until a started commit has ended, and starts another one.
fn commit_until_told(group: &Group) -> Result<()> {
    drop(group.lock_alone());
    start_shared(group).map(|_| ())
}
