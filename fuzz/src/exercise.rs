//! Uses a file in all ways, whatever its bytes are, and checks what must be true even if it is damaged.

use std::path::Path;
use std::sync::Arc;

use capturefile::{
    CaptureFile, Error, Lookup, OpenOptions, Record, Report, Result, Snapshot, SyncMode, verify,
};

/// Number of records that are read from each end; between them, records at the bits of the record count are read.
const FROM_EACH_END: u64 = 6;
/// A file with at most this many records is read completely.
const FEW_RECORDS: u64 = 32;
const ADDED: u64 = 5;
const HEADER_SIZE: usize = 40;
/// Longer than the blocks of most small files.
const LONG_RECORD: [u8; 700] = [b'+'; 700];

/// Reads, verifies and appends to the file.
pub(crate) fn use_fully(path: &Path) {
    let opened = may_be_damaged(CaptureFile::open(path));
    let report = may_be_damaged(verify(path));
    assert_eq!(opened.is_some(), report.is_some(), "opening and verifying disagree");
    if let (Some(file), Some(report)) = (opened, report) {
        let snapshot = file.snapshot().expect("a reader has its snapshot");
        let all_sound = read(&file, &snapshot);
        assert_eq!(report.record_count, snapshot.record_count());
        if report.problems.is_empty() {
            assert!(all_sound, "what was verified as sound is not");
        }
        append(path, Some(snapshot.record_count()), is_cut_off(&report));
    } else {
        append(path, None, false);
    }
}

/// Returns the result, or `None` if the file is damaged; any other error is a failure.
fn may_be_damaged<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Corrupt { damage, .. }) => {
            assert!(!damage.to_string().is_empty());
            None
        }
        Err(error) => panic!("not the error for a damaged file: {error}"),
    }
}

/// Reads in all ways; returns whether everything was sound.
fn read(file: &CaptureFile, snapshot: &Arc<Snapshot>) -> bool {
    let count = snapshot.record_count();
    for outside in [Some(0), count.checked_add(1)].into_iter().flatten() {
        let refused = snapshot.record(outside);
        assert!(matches!(refused, Err(Error::NoSuchRecord { .. })), "record {outside} of {count}");
    }
    let metadata = may_be_damaged(snapshot.metadata());
    let numbers = chosen_numbers(count);
    let records: Vec<_> = numbers.iter().map(|&number| read_one(snapshot, number)).collect();
    read_in_order(snapshot, &numbers, &records);
    read_together(snapshot, &numbers, &records);
    look_again(file, count);
    metadata.is_some() && records.iter().all(Option::is_some)
}

/// Returns the numbers of some records, in ascending order.
fn chosen_numbers(count: u64) -> Vec<u64> {
    if count <= FEW_RECORDS {
        return (1..=count).collect();
    }
    let first = 1..=FROM_EACH_END;
    let last = count - FROM_EACH_END + 1..=count;
    let between = (0..u64::BITS).step_by(7).map(|bits| count >> bits).filter(|&number| number > 0);
    let mut numbers: Vec<u64> = first.chain(last).chain(between).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Reads one record alone; if it is in the cache, that must be the same.
fn read_one(snapshot: &Snapshot, number: u64) -> Option<Record> {
    let in_memory = may_be_damaged(snapshot.record_cached(number)).and_then(Lookup::found);
    let record = may_be_damaged(snapshot.record(number));
    if let Some(in_memory) = in_memory {
        assert_same(number, Some(&in_memory), record.as_deref());
    }
    record
}

/// Checks that runs of the records, forwards and backwards, return the same as each record alone.
fn read_in_order(snapshot: &Arc<Snapshot>, numbers: &[u64], records: &[Option<Record>]) {
    let alone = |number| numbers.binary_search(&number).ok().map(|index| records[index].as_deref());
    let mut forwards = snapshot.records(1);
    for number in 1..=snapshot.record_count() {
        let Some(expected) = alone(number) else {
            break;
        };
        if let Some(record) = forwards.next_cached() {
            assert_same(number, Some(record), expected);
        } else {
            let record = may_be_damaged(forwards.next().expect("a record is left"));
            assert_same(number, record.as_deref(), expected);
        }
    }
    let mut backwards = snapshot.records(1);
    for number in (1..=snapshot.record_count()).rev() {
        let Some(expected) = alone(number) else {
            break;
        };
        let record = may_be_damaged(backwards.next_back().expect("a record is left"));
        assert_same(number, record.as_deref(), expected);
    }
}

/// Checks that reading many records in one call returns the same as reading each alone.
fn read_together(snapshot: &Arc<Snapshot>, numbers: &[u64], records: &[Option<Record>]) {
    let sound: Vec<_> = numbers.iter().zip(records).filter(|(_, record)| record.is_some()).collect();
    let numbers_of_sound: Vec<u64> = sound.iter().map(|(number, _)| **number).collect();
    let batches = snapshot.records_at(&numbers_of_sound).expect("each of them came alone");
    let mut seen = 0;
    for batch in batches {
        let batch = batch.expect("each of them came alone");
        for (index, record) in batch {
            assert_same(*sound[index].0, Some(&record), sound[index].1.as_deref());
            seen += 1;
        }
    }
    assert_eq!(seen, sound.len());
    for batch in may_be_damaged(snapshot.records_at(numbers)).into_iter().flatten() {
        assert_ne!(may_be_damaged(batch).map(|batch| batch.len()), Some(0));
    }
}

/// Checks that a refresh finds nothing new, because the file has not changed.
fn look_again(file: &CaptureFile, count: u64) {
    for durable in [false, true] {
        assert_eq!(may_be_damaged(file.refresh(durable)), Some(false));
    }
    assert_eq!(file.record_count().expect("a reader has its count"), count);
    let reader = may_be_damaged(file.reader()).expect("it opened before");
    assert_eq!(reader.record_count().expect("a reader has its count"), count);
}

/// Returns whether a log ends before a commit that was made. A writer searches all of the log for it, a reader only the
/// places where the log seems to continue.
fn is_cut_off(report: &Report) -> bool {
    report.problems.iter().any(|problem| problem.found.starts_with("a log that breaks off"))
}

/// Appends to a file in which a reader sees `count` records, if it can be opened at all. Both this object and the next
/// one must have the added records.
fn append(path: &Path, count: Option<u64>, is_cut_off: bool) {
    let options = OpenOptions::new().write(true).sync(SyncMode::None).threads(1);
    let header = || -> Vec<u8> {
        std::fs::read(path).expect("the file is there").into_iter().take(HEADER_SIZE).collect()
    };
    let before = header();
    let writer = may_be_damaged(options.open(path));
    // A writer also opens a file that is empty, or whose creation was interrupted: parts of its header are missing.
    let is_unmade = before.iter().zip(header()).all(|(&before, after)| before == 0 || before == after);
    let count = count.or_else(|| (is_unmade && writer.is_some()).then_some(0));
    assert_eq!(writer.is_some(), count.is_some() && !is_cut_off, "reading and writing disagree");
    let (Some(writer), Some(count)) = (writer, count) else {
        return;
    };
    assert_eq!(writer.record_count().expect("a writer has its count"), count);
    match add_some(&writer) {
        Ok(()) => check_added(&writer, count),
        Err(Error::IndexFull { .. }) => {
            writer.rollback().expect("a rollback");
            assert_eq!(writer.record_count().expect("a writer has its count"), count);
            return;
        }
        Err(error) => panic!("cannot append: {error}"),
    }
    drop(writer);
    let reader = CaptureFile::open(path).expect("a writer left it sound");
    check_added(&reader, count);
}

fn add_some(writer: &CaptureFile) -> Result<()> {
    for _ in 0..ADDED - 1 {
        writer.add_record(b"added")?;
    }
    writer.add_record(&LONG_RECORD)?;
    writer.set_metadata(Some(b"metadata"))?;
    writer.commit().map(drop)
}

fn check_added(file: &CaptureFile, count: u64) {
    let snapshot = file.snapshot().expect("there is a snapshot");
    assert_eq!(snapshot.record_count(), count + ADDED);
    for number in count + 1..count + ADDED {
        assert_eq!(&*snapshot.record(number).expect("it was added"), b"added");
    }
    assert_eq!(&*snapshot.record(count + ADDED).expect("it was added"), LONG_RECORD);
    let metadata = snapshot.metadata().expect("it was set").expect("it was set");
    assert_eq!(&*metadata, b"metadata");
}

fn assert_same(number: u64, one: Option<&[u8]>, other: Option<&[u8]>) {
    assert!(one == other, "record {number} read in two ways differs");
}
