use std::path::Path;

use super::*;
use crate::codec::level::ZlibLevel;
use crate::error::Error;
use crate::format::{Geometry, entries};
use crate::lock::{Attributes, WriterLock};
use crate::read::cache::Cache;
use crate::read::open_file::Opened;
use crate::simulation::disk::{Disk, Fault, OnlyUser, Plan};
use crate::simulation::disk_state::DiskState;
use crate::simulation::random::Random;
use crate::storage::{FileStorage, errno};
use crate::sync::group_commit::CommitSteps;
use crate::write::draft::EntryKind;

fn new_writer() -> Writer {
    let bytes = tempfile::tempfile().unwrap();
    let copy = bytes.try_clone().unwrap();
    let attributes = Attributes::of_file(&bytes).unwrap();
    let right = WriterLock::take(|| Ok((copy, attributes)), false).unwrap();
    let storage = Box::new(FileStorage::new(bytes));
    let geometry = Geometry::default();
    let opened = Opened::new(Path::new("log.capture"), storage, 1);
    let file = OpenFile::new(opened, geometry, Cache::new(0));
    let options = WriterOptions { sync: SyncMode::None, level: ZlibLevel::default() };
    Writer::create(&Arc::new(file), Box::new(right), None, options, Making::Hidden).unwrap()
}

/// A writer over a disk whose calls can be made to fail.
fn new_writer_on_a_disk(sync: SyncMode) -> (Writer, Disk<()>) {
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let geometry = Geometry::default();
    let opened = Opened::new(Path::new("log.capture"), Box::new(disk.clone()), 1);
    let file = OpenFile::new(opened, geometry, Cache::new(0));
    let options = WriterOptions { sync, level: ZlibLevel::default() };
    let writer = Writer::create(&Arc::new(file), Box::new(OnlyUser), None, options, Making::Hidden).unwrap();
    (writer, disk)
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_commit_that_finds_no_room_in_place_can_be_tried_again_or_rolled_back() {
    for number in [errno::DISK_FULL, errno::QUOTA] {
        let (mut writer, disk) = new_writer_on_a_disk(SyncMode::None);
        for record in [b"rolled back".as_slice(), b"kept"] {
            writer.add_record(record).unwrap();
            disk.set_plan(Plan::From(disk.calls(), Fault::Error(number)));
            for _ in 0..2 {
                let error = writer.commit_alone().unwrap_err();
                assert!(matches!(&error, Error::Io { source, .. } if source.raw_os_error() == Some(number)));
            }
            disk.set_plan(Plan::None);
            if record != b"kept" {
                writer.rollback().unwrap();
            }
        }
        writer.commit_alone().unwrap();
        let snapshot = writer.snapshot().unwrap();
        assert_eq!(snapshot.record_count(), 1);
        assert_eq!(&*snapshot.record(1).unwrap(), b"kept");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_commit_whose_slot_fails_otherwise_is_uncertain() {
    let (mut writer, disk) = new_writer_on_a_disk(SyncMode::None);
    writer.add_record(b"one").unwrap();
    disk.set_plan(Plan::Once(disk.calls(), Fault::Error(errno::UNREADABLE)));
    assert!(matches!(writer.commit_alone(), Err(Error::CommitUncertain { .. })));
    assert!(writer.rollback().is_err());
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_huge_record_that_fills_an_index_node_is_written_once() {
    let mut writer = new_writer();
    let fan_out = writer.file.geometry.fan_out;
    for _ in 1..fan_out {
        writer.add_record(b"small").unwrap();
    }
    let huge = vec![7; 100_000];
    let offset = u32::try_from(writer.draft.node.pending.len()).unwrap();
    entries::push_entry(&mut writer.draft.node.pending, &huge).unwrap();
    writer.draft.close_huge_block(offset, EntryKind::Record).unwrap();
    assert_eq!(writer.draft.frames().len(), 1);
    writer.draft.record_count += 1;
    writer.add_record(b"after").unwrap();
    writer.commit_alone().unwrap();
    let snapshot = writer.snapshot().unwrap();
    assert_eq!(&*snapshot.record(1).unwrap(), b"small");
    assert_eq!(&*snapshot.record(u64::from(fan_out)).unwrap(), huge);
    assert_eq!(&*snapshot.record(u64::from(fan_out) + 1).unwrap(), b"after");
}

#[test]
fn a_file_with_all_the_records_that_can_be_counted_takes_no_more() {
    let mut writer = new_writer();
    writer.draft.record_count = u64::MAX - 2;
    writer.add_record(b"last").unwrap();
    assert!(matches!(writer.add_record(b"one more"), Err(Error::IndexFull { .. })));
    assert_eq!(writer.record_count(), u64::MAX - 1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn what_changes_nothing_makes_no_new_version() {
    let mut writer = new_writer();
    writer.add_record(b"one").unwrap();
    writer.commit_alone().unwrap();
    let before = writer.changes();
    assert_eq!(writer.commit_alone().unwrap(), None);
    writer.rollback().unwrap();
    writer.add_records(b"", &[]).unwrap();
    assert_eq!(writer.changes(), before);
    writer.add_records(b"two", &[3]).unwrap();
    assert_ne!(writer.changes(), before);
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn records_that_are_added_together_are_as_if_they_came_one_by_one() {
    let records: Vec<Vec<u8>> = (0..3000).map(|number| vec![b'a'; number * 7 % 211]).collect();
    let (mut one_by_one, mut together) = (new_writer(), new_writer());
    for some in records.chunks(700) {
        let mut ends = Vec::new();
        for record in some {
            one_by_one.add_record(record).unwrap();
            ends.push(ends.last().copied().unwrap_or_default() + record.len());
        }
        together.add_records(&some.concat(), &ends).unwrap();
    }
    for mut writer in [one_by_one, together] {
        writer.commit_alone().unwrap();
        let snapshot = writer.snapshot().unwrap();
        let numbers = 1..=snapshot.record_count();
        let found = numbers.map(|number| snapshot.record(number).unwrap().to_vec());
        assert!(found.eq(records.iter().cloned()));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn of_records_that_are_refused_together_none_stays_whatever_they_closed() {
    let mut writer = new_writer();
    let block = writer.file.geometry.block_size as usize;
    for record in [vec![1; block], vec![2; 10], vec![3; block / 2]] {
        writer.add_record(&record).unwrap();
    }
    let before = (writer.draft.frames().len(), writer.draft.node().clone(), writer.record_count());
    writer.draft.record_count = u64::MAX - 20;
    let ends: Vec<_> = (1..=30).map(|record| record * block / 10).collect();
    let records = vec![4; ends[29]];
    assert!(matches!(writer.draft.add_records(&records, &ends), Err(Error::IndexFull { .. })));
    writer.draft.record_count = before.2;
    let after = (writer.draft.frames().len(), writer.draft.node().clone(), writer.record_count());
    assert!(before == after, "the closed blocks, pending bytes or counts have changed");
    writer.commit_alone().unwrap();
    let snapshot = writer.snapshot().unwrap();
    let numbers = 1..=snapshot.record_count();
    let lengths: Vec<_> = numbers.map(|number| snapshot.record(number).unwrap().len()).collect();
    assert_eq!(lengths, [block, 10, block / 2]);
}
