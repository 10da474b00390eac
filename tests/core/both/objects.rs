//! Reading objects in stores: the number of requests, and failed requests.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use capturefile::{CaptureFile, CompressionLevel, Error, ObjectHead, ObjectSource, OpenOptions, Records};

use super::super::FORMAT;
use super::support::{Place, writing};

const NAME: &str = "memory://bucket/log.capture";

/// What happens to the reads of ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Refuse,
    CutShort,
    Panic,
}

/// A store with one object that records its requests.
#[derive(Debug)]
struct Store(Mutex<Object>);

#[derive(Debug)]
struct Object {
    bytes: Vec<u8>,
    version: u64,
    fault: Fault,
    heads: usize,
    requests: Vec<Range<u64>>,
}

impl Store {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Object {
            bytes,
            version: 1,
            fault: Fault::None,
            heads: 0,
            requests: Vec::new(),
        })))
    }

    fn of(place: &Place) -> Arc<Self> {
        Self::new(std::fs::read(&place.path).unwrap())
    }

    fn replace(&self, bytes: Vec<u8>) {
        let mut object = self.0.lock().unwrap();
        object.version += 1;
        object.bytes = bytes;
    }

    fn fail(&self, fault: Fault) {
        self.0.lock().unwrap().fault = fault;
    }

    /// The requests since the last call.
    fn requests(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    fn open(self: &Arc<Self>) -> capturefile::Result<CaptureFile> {
        OpenOptions::new().open_object(NAME, Arc::clone(self) as Arc<dyn ObjectSource>)
    }
}

impl Object {
    fn head(&self) -> ObjectHead {
        ObjectHead::new(self.bytes.len() as u64, Some(self.version.to_string()))
    }

    fn take(&mut self, range: Range<u64>) -> Vec<u8> {
        self.requests.push(range.clone());
        self.bytes[range.start as usize..range.end as usize].to_vec()
    }
}

impl ObjectSource for Store {
    fn head(&self) -> io::Result<ObjectHead> {
        let mut object = self.0.lock().unwrap();
        object.heads += 1;
        Ok(object.head())
    }

    fn start(&self, length: u64) -> io::Result<(ObjectHead, Vec<u8>)> {
        let mut object = self.0.lock().unwrap();
        let length = length.min(object.bytes.len() as u64);
        let bytes = object.take(0..length);
        Ok((object.head(), bytes))
    }

    fn read(&self, range: Range<u64>, head: &ObjectHead) -> io::Result<Vec<u8>> {
        let mut object = self.0.lock().unwrap();
        if *head != object.head() {
            return Err(io::Error::other("precondition failed"));
        }
        let fault = object.fault;
        let mut bytes = object.take(range);
        drop(object);
        match fault {
            Fault::None => {}
            Fault::Refuse => {
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, "service unavailable"));
            }
            Fault::CutShort => bytes.truncate(bytes.len() / 2),
            Fault::Panic => panic!("a broken source"),
        }
        Ok(bytes)
    }
}

/// Record `number` of the files that `written` creates.
fn text(number: u64) -> Vec<u8> {
    let noise = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ number;
    format!("{number:>12} {noise:016x}{:016x} GET /index.html", noise.wrapping_mul(noise | 1)).into_bytes()
}

fn add_until(file: &CaptureFile, last: u64) {
    for number in file.record_count().unwrap() + 1..=last {
        file.add_record(&text(number)).unwrap();
    }
    file.commit().unwrap();
}

/// A file of this many records.
fn written(count: u64) -> Place {
    let place = Place::new();
    let file = writing().compression_level(CompressionLevel::new(1).unwrap()).open(&place.path).unwrap();
    for last in (0..count).step_by(50_000).skip(1).chain([count]) {
        add_until(&file, last);
    }
    place
}

/// How many bytes were requested, and how many of these more than once.
fn fetched(requests: &[Range<u64>]) -> (u64, u64) {
    let mut sorted = requests.to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    let (mut total, mut twice, mut end) = (0, 0, 0);
    for range in sorted {
        total += range.end - range.start;
        twice += range.end.min(end).saturating_sub(range.start);
        end = end.max(range.end);
    }
    (total, twice)
}

fn check(records: Records, first: u64) -> u64 {
    let mut number = first;
    for record in records {
        assert_eq!(*record.unwrap(), *text(number), "record {number}");
        number += 1;
    }
    number - 1
}

#[test]
fn opening_and_reading_one_record_takes_few_requests() {
    let place = written(300_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    let opening = store.requests();
    assert!(opening.len() <= 2, "{opening:?}");
    assert_eq!(*file.snapshot().unwrap().record(100_000).unwrap(), *text(100_000));
    let cold = store.requests();
    assert!(cold.len() <= 4, "{cold:?}");
    assert_eq!(*file.snapshot().unwrap().record(100_700).unwrap(), *text(100_700));
    let warm = store.requests();
    assert!(warm.len() <= 2, "{warm:?}");
    assert_eq!(*file.snapshot().unwrap().record(300_000).unwrap(), *text(300_000));
    assert!(store.requests().len() <= 2);
}

#[test]
fn a_scan_takes_few_large_requests_and_each_byte_once() {
    let place = written(400_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    assert_eq!(check(file.snapshot().unwrap().records(1), 1), 400_000);
    let requests = store.requests();
    let (total, twice) = fetched(&requests);
    let size = file.file_size().unwrap();
    assert!(total <= size && twice == 0, "{total} of {size} bytes, {twice} twice");
    let large = size / (2 << 20);
    assert!(
        requests.len() as u64 <= large + 12,
        "{} requests for {size} bytes: {requests:?}",
        requests.len()
    );
}

#[test]
fn a_partial_scan_fetches_little_more_than_its_part() {
    let place = written(400_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    store.requests();
    let part = file.snapshot().unwrap().records_between(200_000, 220_000);
    assert_eq!(check(part, 200_000), 220_000);
    let (total, _) = fetched(&store.requests());
    let share = file.file_size().unwrap() / 20;
    assert!(total < share + (2 << 20), "{total} bytes for a share of {share}");
}

#[test]
fn a_set_of_records_is_fetched_in_parallel() {
    let place = written(300_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    let numbers: Vec<u64> = (1..=300).map(|index| index * 7919 % 300_000 + 1).collect();
    for batch in file.snapshot().unwrap().records_at(&numbers).unwrap() {
        for (index, record) in batch.unwrap() {
            assert_eq!(*record, *text(numbers[index]));
        }
    }
    let (_, twice) = fetched(&store.requests());
    assert_eq!(twice, 0);
}

#[test]
fn a_failed_request_ends_the_read_and_the_next_read_succeeds() {
    let place = written(100_000);
    for fault in [Fault::Refuse, Fault::CutShort, Fault::Panic] {
        let store = Store::of(&place);
        let file = store.open().unwrap();
        let snapshot = file.snapshot().unwrap();
        store.fail(fault);
        let error = snapshot.record(50_000).map(drop).unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if path.as_os_str() == NAME), "{fault:?}: {error}");
        assert!(snapshot.records(40_000).any(|record| record.is_err()), "{fault:?}");
        assert!(snapshot.records_at(&[60_000, 50_000]).map(Iterator::count).is_err(), "{fault:?}");
        store.fail(Fault::None);
        assert_eq!(check(snapshot.records(1), 1), 100_000, "{fault:?}");
    }
}

#[test]
fn a_replaced_object_is_never_mixed_with_its_successor() {
    let place = written(100_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    assert!(file.newer_version(&OpenOptions::new()).unwrap().is_none());
    assert_eq!(
        store.requests().len(),
        if FORMAT == 2 { 1 } else { 2 },
        "the same version is told by its head"
    );
    add_until(&writing().open(&place.path).unwrap(), 120_000);
    store.replace(std::fs::read(&place.path).unwrap());
    assert!(file.snapshot().unwrap().record(50_000).is_err());
    let newer = file.newer_version(&OpenOptions::new()).unwrap().unwrap();
    assert_eq!(check(newer.snapshot().unwrap().records(1), 1), 120_000);
    assert_eq!(file.record_count().unwrap(), 100_000);
}

#[test]
fn a_different_object_in_its_place_is_refused() {
    let place = written(20_000);
    let store = Store::of(&place);
    let file = store.open().unwrap();
    let other = Place::new();
    {
        let writer = writing().open(&other.path).unwrap();
        for number in 0..30_000_u64 {
            writer.add_record(&number.to_be_bytes()).unwrap();
        }
        writer.commit().unwrap();
    }
    for bytes in [
        std::fs::read(&other.path).unwrap(),
        std::fs::read(&written(10_000).path).unwrap(),
        vec![7; 9000],
        vec![],
    ] {
        store.replace(bytes);
        let error = file.newer_version(&OpenOptions::new()).map(drop).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
    }
}

#[test]
fn operations_that_need_a_file_are_clear_errors() {
    let place = written(10);
    let file = Store::of(&place).open().unwrap();
    assert_eq!(check(file.snapshot().unwrap().records(1), 1), 10);
    let message = file.follow(1).map(drop).unwrap_err().to_string();
    assert!(message.contains("one version"), "{message}");
    assert!(file.add_record(b"x").is_err());
    assert!(!file.is_being_written().unwrap() && file.is_in_place().unwrap());
    assert!(!file.refresh(true).unwrap());
    assert_eq!(file.path().as_os_str(), NAME);
    assert_eq!(file.identity().unwrap(), Store::of(&place).open().unwrap().identity().unwrap());
}
