//! Performs random operations on a file and on a plain list, which must always agree.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use capturefile::{
    CaptureFile, Compression, CompressionLevel, Error, Geometry, OpenOptions, Snapshot, SyncMode, verify,
};

use crate::temporary_file;

/// The files that a run creates.
pub(crate) struct Format {
    version: u32,
    /// Page size, block size, fan-out, and log size, which version 2 does not have.
    sizes: &'static [(u32, u32, u32, u32)],
}

/// Sizes for deep trees, wide ones, a full index, and blocks of one entry, and the default.
pub(crate) const FORMAT_2: Format = Format {
    version: 2,
    sizes: &[
        (512, 512, 2, 0),
        (512, 1024, 3, 0),
        (512, 0, 4, 0),
        (512, 2560, 64, 0),
        (513, 1539, 5, 0),
        (4096, 4096, 32, 0),
        (4096, 32768, 32, 0),
    ],
};
/// Small logs, in which commits are large and space is soon reused, and the default.
pub(crate) const FORMAT_3: Format = Format {
    version: 3,
    sizes: &[
        (512, 512, 2, 4096),
        (512, 1024, 3, 8192),
        (520, 777, 5, 8 * 1040),
        (4096, 4096, 32, 32768),
        (4096, 131_072, 32, 1 << 20),
    ],
};
const CACHE_SIZES: [u64; 3] = [64 * 1024 * 1024, 0, 2000];
/// Maximum number of snapshots that are held.
const MAX_HELD: usize = 4;
/// Maximum number of records in a file; each operation adds few.
const MAX_RECORDS: usize = 3000;

/// Incompressible bytes; enough for the longest entry at the greatest start.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let step = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), step).map(|seed| seed.to_be_bytes()[0]).take(64 * 256 + 40_000).collect()
});

/// The content of a file at one moment.
#[derive(Clone, Default)]
struct State {
    records: Vec<Arc<[u8]>>,
    metadata: Option<Arc<[u8]>>,
}

/// The bytes that determine the operations; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, limit: usize) -> usize {
        let number = usize::from(u16::from_be_bytes([self.next(), self.next()]));
        number % limit.max(1)
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[usize::from(self.next()) % things.len()]
    }

    /// Returns a record or metadata: short or long, with equal or different bytes.
    fn entry(&mut self) -> Arc<[u8]> {
        let kind = self.next();
        // Long ones are rare, since one of them takes as long as a hundred short ones.
        let length = match kind {
            255 => self.below(40_000),
            _ if kind.is_multiple_of(16) => 0,
            _ if kind % 16 <= 12 => usize::from(self.next() % 64),
            _ => self.below(1500),
        };
        let start = 64 * usize::from(self.next());
        if kind & 16 == 0 { vec![kind; length].into() } else { NOISE[start..start + length].into() }
    }
}

/// The file and its model in memory.
struct World<'a> {
    choices: Choices<'a>,
    path: PathBuf,
    sizes: Sizes,
    writer: CaptureFile,
    committed: State,
    current: State,
    /// Another object that reads the file, and the state that it saw last.
    reader: CaptureFile,
    seen: State,
    held: Vec<(Arc<Snapshot>, State)>,
}

/// The sizes of a file, including that of its log.
#[derive(Clone, Copy)]
struct Sizes {
    geometry: Geometry,
    log: u32,
}

/// Performs the operations that `data` describes.
pub(crate) fn run(data: &[u8], format: &Format) {
    let mut world = World::new(Choices(data), format);
    while !world.choices.0.is_empty() {
        world.step();
    }
    world.check_everything();
}

fn options(choices: &mut Choices, sizes: Sizes) -> OpenOptions {
    // Slow operations are rare: high compression levels, and starting threads.
    let rare = choices.next();
    let level = if rare.is_multiple_of(16) { choices.one_of(&[6, 12]) } else { 1 };
    let options = OpenOptions::new()
        .write(true)
        .geometry(sizes.geometry)
        .sync(choices.one_of(&[SyncMode::None, SyncMode::Barrier, SyncMode::Full]))
        .threads(if rare % 32 == 1 { 2 } else { 1 })
        .cache_size(choices.one_of(&CACHE_SIZES))
        .compression_level(CompressionLevel::new(level).expect("from 1 to 12"));
    if sizes.log == 0 {
        return options;
    }
    let compression = choices.one_of(&[Compression::None, Compression::Zstd, Compression::Lz4]);
    options.log_size(sizes.log).compression(compression)
}

impl<'a> World<'a> {
    fn new(mut choices: Choices<'a>, format: &Format) -> Self {
        let (page_size, block_size, fan_out, log) = choices.one_of(format.sizes);
        let geometry = Geometry::of_version(format.version)
            .with_page_size(page_size)
            .with_block_size(block_size)
            .with_fan_out(fan_out);
        let sizes = Sizes { geometry, log };
        let path = temporary_file::empty();
        let metadata = (choices.next() % 2 == 1).then(|| choices.entry());
        let options = options(&mut choices, sizes).initial_metadata(metadata.as_deref().map(<[u8]>::to_vec));
        let writer = options.open(&path).expect("a new file");
        let reader = CaptureFile::open(&path).expect("a sound file");
        let state = State { records: Vec::new(), metadata };
        let (committed, current, seen) = (state.clone(), state.clone(), state);
        Self { choices, path, sizes, writer, committed, current, reader, seen, held: Vec::new() }
    }

    fn step(&mut self) {
        match self.choices.next() % 20 {
            0..=3 => self.add(),
            4 => self.try_add(),
            5 => self.add_many(),
            6 => self.batch(),
            7 => self.set_metadata(),
            8..=10 => self.commit(),
            11 => self.rollback(),
            12 => self.reopen(),
            13 => self.hold(),
            14 => self.check_held(),
            15 => self.look_at_records(),
            16 => self.refresh(),
            17 => self.verify(),
            18 => self.litter(),
            _ => self.replace(),
        }
        assert_eq!(self.writer.record_count().expect("a count"), self.current.records.len() as u64);
    }

    fn has_room(&self) -> bool {
        self.current.records.len() < MAX_RECORDS
    }

    fn add(&mut self) {
        let record = self.choices.entry();
        if self.has_room() {
            let count = self.writer.add_record(&record).expect("a record can be added");
            self.current.records.push(record);
            assert_eq!(count, self.current.records.len() as u64);
        }
    }

    fn try_add(&mut self) {
        let record = self.choices.entry();
        if self.has_room() && self.writer.try_add_record(&record).expect("a healthy writer").is_some() {
            self.current.records.push(record);
        }
    }

    fn add_many(&mut self) {
        let records: Vec<_> = (0..self.choices.next() % 100).map(|_| self.choices.entry()).collect();
        if self.has_room() {
            self.writer.add_records(&records).expect("records can be added");
            self.current.records.extend(records);
        }
    }

    /// Adds a batch, with other operations on the same object in between, and finishes or drops it.
    fn batch(&mut self) {
        if !self.has_room() {
            return;
        }
        let mut batch = self.writer.batch().expect("a healthy writer");
        let mut records = Vec::new();
        for _ in 0..self.choices.next() % 8 {
            let record = self.choices.entry();
            if self.choices.next().is_multiple_of(4) {
                self.writer.add_record(&record).expect("a record can be added");
                self.current.records.push(record);
            } else if batch.try_add(&record).expect("a healthy writer") {
                records.push(record);
            }
        }
        if self.choices.next().is_multiple_of(4) {
            return;
        }
        batch.finish().expect("records can be added");
        self.current.records.extend(records);
    }

    fn set_metadata(&mut self) {
        self.current.metadata = (!self.choices.next().is_multiple_of(4)).then(|| self.choices.entry());
        self.writer.set_metadata(self.current.metadata.as_deref()).expect("metadata can be set");
    }

    fn commit(&mut self) {
        match self.writer.commit() {
            Ok(_) => self.committed = self.current.clone(),
            Err(Error::IndexFull { .. }) if self.sizes.geometry.fan_out == 64 => {}
            Err(error) => panic!("cannot commit: {error}"),
        }
    }

    fn rollback(&mut self) {
        self.writer.rollback().expect("a rollback");
        self.current = self.committed.clone();
    }

    fn close(&mut self) {
        let lost = self.writer.close();
        assert_eq!(lost, (self.current.records.len() - self.committed.records.len()) as u64);
        self.current = self.committed.clone();
    }

    fn reopen(&mut self) {
        self.close();
        let options = options(&mut self.choices, self.sizes);
        self.writer = options.open(&self.path).expect("a sound file");
    }

    fn hold(&mut self) {
        if self.held.len() == MAX_HELD {
            let dropped = self.choices.below(MAX_HELD);
            self.held.swap_remove(dropped);
        }
        let held = if self.choices.next().is_multiple_of(4) {
            (self.reader.snapshot().expect("a reader has its snapshot"), self.seen.clone())
        } else {
            (self.writer.snapshot().expect("a snapshot of a healthy writer"), self.current.clone())
        };
        self.held.push(held);
    }

    fn check_held(&mut self) {
        if let Some((snapshot, state)) = self.held.last() {
            check_some(snapshot, state, &mut self.choices);
        }
    }

    fn look_at_records(&mut self) {
        let snapshot = self.writer.snapshot().expect("a snapshot of a healthy writer");
        check_some(&snapshot, &self.current, &mut self.choices);
    }

    fn refresh(&mut self) {
        let is_new = self.reader.refresh(self.choices.next() % 2 == 1).expect("a sound file");
        let changed = self.seen.records.len() != self.committed.records.len()
            || self.seen.metadata != self.committed.metadata;
        assert!(is_new || !changed, "a reader missed a commit");
        self.seen = self.committed.clone();
        let snapshot = self.reader.snapshot().expect("a reader has its snapshot");
        check_some(&snapshot, &self.seen, &mut self.choices);
    }

    fn verify(&mut self) {
        let report = verify(&self.path).expect("a sound file");
        assert_eq!(report.problems, []);
        assert_eq!(report.record_count, self.committed.records.len() as u64);
        assert_eq!(report.records_checked, report.record_count);
    }

    /// Leaves what a crash can leave: garbage after the committed data, and a torn slot that is not current.
    fn litter(&mut self) {
        self.close();
        let reader = CaptureFile::open(&self.path).expect("a sound file");
        let snapshot = reader.snapshot().expect("a reader has its snapshot");
        let geometry = self.sizes.geometry;
        let page = u64::from(geometry.page_size);
        let (unused, slot, old_slot) = if geometry.version == 2 {
            let slot = 2 * page + u64::from(geometry.block_size);
            let is_even = snapshot.serial_number().is_multiple_of(2);
            (snapshot.file_limit() / page * page, slot, page + u64::from(is_even) * slot)
        } else {
            (snapshot.file_limit(), page, self.older_head(page))
        };
        drop((reader, snapshot));
        let rubbish = self.choices.entry();
        let file = fs::OpenOptions::new().write(true).open(&self.path).expect("the file is there");
        file.write_all_at(&rubbish, unused).expect("room for rubbish");
        if self.choices.next() % 2 == 1 {
            let torn = &rubbish[..rubbish.len().min(usize::try_from(slot).expect("a small slot"))];
            file.write_all_at(torn, old_slot).expect("room for rubbish");
        }
        self.reopen();
    }

    /// Returns the position of the head with the lower serial number in a file of format 3.
    fn older_head(&self, page: u64) -> u64 {
        let file = fs::File::open(&self.path).expect("the file is there");
        let serial = |head: u64| {
            let mut serial = [0; 8];
            file.read_exact_at(&mut serial, head + 8).expect("a head");
            u64::from_be_bytes(serial)
        };
        if serial(page) < serial(2 * page) { page } else { 2 * page }
    }

    /// Replaces the file by a new one; objects that have the old file open can still read it.
    fn replace(&mut self) {
        self.close();
        let options = options(&mut self.choices, self.sizes).replace(true);
        self.writer = options.open(&self.path).expect("a new file");
        self.check_reader();
        self.reader = self.writer.reader().expect("a sound file");
        self.committed = State::default();
        self.current = State::default();
        self.seen = State::default();
    }

    fn check_reader(&self) {
        check_all(&self.reader.snapshot().expect("a reader has its snapshot"), &self.seen);
    }

    fn check_everything(&mut self) {
        check_all(&self.writer.snapshot().expect("a snapshot of a healthy writer"), &self.current);
        self.check_reader();
        self.refresh();
        self.check_reader();
        self.close();
        for (snapshot, state) in &self.held {
            check_all(snapshot, state);
        }
        self.verify();
        let reader = CaptureFile::open(&self.path).expect("a sound file");
        check_all(&reader.snapshot().expect("a reader has its snapshot"), &self.committed);
    }
}

/// Checks parts of a snapshot: its size, its metadata, a record, and a few records in one call.
fn check_some(snapshot: &Arc<Snapshot>, state: &State, choices: &mut Choices) {
    check_outline(snapshot, state);
    let count = state.records.len();
    if count == 0 {
        return;
    }
    let first = choices.below(count);
    let number = first as u64 + 1;
    if let Some(record) = snapshot.record_cached(number).expect("a sound file").found() {
        assert_record(&record, state, first);
    }
    assert_record(&snapshot.record(number).expect("a sound file"), state, first);
    let indices: Vec<usize> = (0..choices.next() % 16).map(|_| choices.below(count)).collect();
    let numbers: Vec<u64> = indices.iter().map(|&index| index as u64 + 1).collect();
    let batches = snapshot.records_at(&numbers).expect("these records exist");
    let mut given = 0;
    for batch in batches {
        let batch = batch.expect("a sound file");
        for (place, record) in batch {
            assert_record(&record, state, indices[place]);
            given += 1;
        }
    }
    assert_eq!(given, indices.len());
}

/// Checks all records of a snapshot, from both ends.
fn check_all(snapshot: &Arc<Snapshot>, state: &State) {
    check_outline(snapshot, state);
    let mut records = snapshot.records(1);
    for index in 0..state.records.len() {
        if let Some(record) = records.next_cached() {
            assert_record(record, state, index);
        } else {
            assert_record(&records.next().expect("a record is left").expect("a sound file"), state, index);
        }
    }
    assert!(records.next().is_none());
    let mut records = snapshot.records(1);
    for index in (0..state.records.len()).rev().take(100) {
        assert_record(&records.next_back().expect("a record is left").expect("a sound file"), state, index);
    }
}

fn check_outline(snapshot: &Snapshot, state: &State) {
    let count = state.records.len() as u64;
    assert_eq!(snapshot.record_count(), count);
    for outside in [0, count + 1] {
        assert!(matches!(snapshot.record(outside), Err(Error::NoSuchRecord { .. })));
    }
    let metadata = snapshot.metadata().expect("a sound file");
    assert_eq!(metadata.as_deref(), state.metadata.as_deref());
}

fn assert_record(record: &[u8], state: &State, index: usize) {
    assert!(*record == *state.records[index], "record {} is not the one that was added", index + 1);
}
