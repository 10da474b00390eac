//! Any sequence of calls, compared with a plain list of records.

use std::collections::VecDeque;
use std::sync::Arc;

use capturefile::{CaptureFile, Geometry, OpenOptions, Records, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::FORMAT;
use super::support::{Place, all, all_of, check, metadata_of, noise, writing_as};
use crate::image::{SMALL, geometry};
use crate::parsed::Parsed;

/// A record, given by a seed for its bytes and its length.
#[derive(Debug, Clone, Copy)]
struct Made {
    seed: u64,
    length: usize,
}

impl Made {
    fn bytes(self) -> Vec<u8> {
        if self.seed.is_multiple_of(2) {
            noise(self.seed, self.length)
        } else {
            self.seed.to_be_bytes().iter().copied().cycle().take(self.length).collect()
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Made>),
    AddMany(Vec<Made>),
    /// A batch that is abandoned; after this many of its records, the changes before it are committed.
    GiveUp(Vec<Made>, usize),
    Metadata(Option<Made>),
    Commit,
    Rollback,
    Reopen {
        threads: usize,
        cache_size: u64,
    },
    /// Keeps a snapshot of the writer or the reader, which is then read repeatedly.
    Keep {
        of_writer: bool,
    },
    /// Keeps an iterator that starts after this many thousandths of the records.
    Iterate {
        of_writer: bool,
        start: u64,
    },
    /// Takes some records from the front and the back of each kept iterator.
    Advance {
        front: usize,
        back: usize,
    },
    Refresh {
        durable: bool,
    },
    Gather(Vec<u64>),
    LookAtAll,
}

fn made() -> impl Strategy<Value = Made> {
    let length = prop_oneof![8 => 0_usize..40, 3 => 0_usize..1200, 1 => 1000_usize..9000];
    (any::<u64>(), length).prop_map(|(seed, length)| Made { seed, length })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec(made(), 1..30).prop_map(Step::Add),
        3 => vec(made(), 0..30).prop_map(Step::AddMany),
        2 => (vec(made(), 0..30), 0_usize..60).prop_map(|(records, commit)| Step::GiveUp(records, commit)),
        2 => proptest::option::of(made()).prop_map(Step::Metadata),
        5 => Just(Step::Commit),
        2 => Just(Step::Rollback),
        1 => (1_usize..=4, cache_size()).prop_map(|(threads, cache_size)| Step::Reopen { threads, cache_size }),
        2 => any::<bool>().prop_map(|of_writer| Step::Keep { of_writer }),
        2 => (any::<bool>(), 0_u64..1100).prop_map(|(of_writer, start)| Step::Iterate { of_writer, start }),
        4 => (0_usize..20, 0_usize..20).prop_map(|(front, back)| Step::Advance { front, back }),
        3 => prop::bool::weighted(0.1).prop_map(|durable| Step::Refresh { durable }),
        2 => vec(0_u64..1000, 0..50).prop_map(Step::Gather),
        1 => Just(Step::LookAtAll),
    ]
}

fn cache_size() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(3000), Just(1 << 26)]
}

fn any_geometry() -> impl Strategy<Value = Geometry> {
    prop::sample::select(vec![
        SMALL,
        geometry(512, 0, 2),
        geometry(512, 512, 2),
        geometry(513, 1026, 3),
        geometry(1000, 3000, 7),
        geometry(4096, 32768, 32),
        geometry(16384, 16384, 1000),
    ])
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
struct Content {
    records: Vec<Vec<u8>>,
    metadata: Option<Vec<u8>>,
}

impl Content {
    fn add(&mut self, records: &[Made]) {
        self.records.extend(records.iter().map(|made| made.bytes()));
    }

    fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Compares everything, without a copy of either in a message.
    fn is(&self, snapshot: &Arc<Snapshot>) -> bool {
        let metadata = snapshot.metadata().unwrap();
        snapshot.record_count() == self.count()
            && metadata.as_deref() == self.metadata.as_deref()
            && all(snapshot) == self.records
    }
}

/// A writer and a reader of one file, the content that each must see, and kept earlier states.
struct Machine {
    place: Place,
    geometry: Geometry,
    file: CaptureFile,
    reader: CaptureFile,
    draft: Content,
    committed: Content,
    seen: Content,
    snapshots: Vec<(Arc<Snapshot>, Content)>,
    iterators: Vec<(Records, VecDeque<Vec<u8>>)>,
}

impl Machine {
    fn new(geometry: Geometry, threads: usize, cache_size: u64) -> Self {
        let place = Place::new();
        let options = writing_as(geometry).threads(threads).cache_size(cache_size);
        let file = options.open(&place.path).unwrap();
        let reader = OpenOptions::new().cache_size(cache_size).open(&place.path).unwrap();
        Self {
            place,
            geometry,
            file,
            reader,
            draft: Content::default(),
            committed: Content::default(),
            seen: Content::default(),
            snapshots: Vec::new(),
            iterators: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(records) => self.add(records),
            Step::AddMany(records) => {
                self.draft.add(records);
                let count = self.file.add_records(records.iter().map(|made| made.bytes())).unwrap();
                assert_eq!(count, self.draft.count());
            }
            Step::GiveUp(records, commit_after) => self.give_up(records, *commit_after),
            Step::Metadata(made) => {
                self.draft.metadata = made.map(Made::bytes);
                self.file.set_metadata(self.draft.metadata.as_deref()).unwrap();
            }
            Step::Commit => self.commit(),
            Step::Rollback => {
                self.file.rollback().unwrap();
                self.draft = self.committed.clone();
            }
            Step::Reopen { threads, cache_size } => self.reopen(*threads, *cache_size),
            Step::Keep { of_writer } => {
                let kept = self.look(*of_writer);
                self.snapshots.push(kept);
            }
            Step::Iterate { of_writer, start } => self.iterate(*of_writer, *start),
            Step::Advance { front, back } => self.advance(*front, *back),
            Step::Refresh { durable } => self.refresh(*durable),
            Step::Gather(numbers) => self.gather(numbers),
            Step::LookAtAll => self.look_at_all(),
        }
        assert_eq!(self.file.record_count().unwrap(), self.draft.count());
    }

    fn add(&mut self, records: &[Made]) {
        for made in records {
            self.draft.add(&[*made]);
            let record = made.bytes();
            let quickly = self.file.try_add_record(&record).unwrap();
            let count = quickly.map_or_else(|| self.file.add_record(&record), Ok);
            assert_eq!(count.unwrap(), self.draft.count());
        }
    }

    fn give_up(&mut self, records: &[Made], commit_after: usize) {
        let mut batch = self.file.batch().unwrap();
        for (index, made) in records.iter().enumerate() {
            if index == commit_after {
                self.file.commit().unwrap();
                self.committed = self.draft.clone();
            }
            batch.add(&made.bytes()).unwrap();
        }
        drop(batch);
    }

    fn commit(&mut self) {
        self.file.commit().unwrap();
        self.committed = self.draft.clone();
    }

    fn reopen(&mut self, threads: usize, cache_size: u64) {
        assert_eq!(self.file.close(), self.draft.count() - self.committed.count());
        let options = writing_as(self.geometry).threads(threads).cache_size(cache_size);
        self.file = options.open(&self.place.path).unwrap();
        self.draft = self.committed.clone();
    }

    fn look(&self, of_writer: bool) -> (Arc<Snapshot>, Content) {
        let (file, content) = if of_writer { (&self.file, &self.draft) } else { (&self.reader, &self.seen) };
        (file.snapshot().unwrap(), content.clone())
    }

    fn iterate(&mut self, of_writer: bool, start: u64) {
        let (snapshot, content) = self.look(of_writer);
        let start = content.count() * start / 1000;
        let rest = content.records.into_iter().skip(usize::try_from(start.max(1) - 1).unwrap());
        self.iterators.push((snapshot.records(start), rest.collect()));
    }

    fn advance(&mut self, front: usize, back: usize) {
        for (records, expected) in &mut self.iterators {
            assert_eq!(records.remaining(), expected.len() as u64);
            for _ in 0..front {
                let found = records.next_cached().map(<[u8]>::to_vec);
                let found = found.or_else(|| records.next().map(|found| found.unwrap().to_vec()));
                assert!(found == expected.pop_front());
            }
            for _ in 0..back {
                let found = records.next_back();
                assert!(found.map(|found| found.unwrap().to_vec()) == expected.pop_back());
            }
        }
    }

    fn refresh(&mut self, durable: bool) {
        // Setting metadata to the same bytes again counts as a change.
        let news = self.reader.refresh(durable).unwrap();
        assert!(news || self.seen == self.committed);
        self.seen = self.committed.clone();
        assert_eq!(metadata_of(&self.reader), self.seen.metadata);
        assert!(!self.reader.refresh(false).unwrap());
    }

    fn gather(&self, numbers: &[u64]) {
        for of_writer in [true, false] {
            let (snapshot, content) = self.look(of_writer);
            let numbers: Vec<u64> =
                numbers.iter().filter_map(|n| Some(1 + n.checked_rem(content.count())?)).collect();
            let batches = snapshot.records_at(&numbers).unwrap();
            let mut found = 0;
            for batch in batches {
                let batch = batch.unwrap();
                found += batch.len();
                for (place, record) in batch {
                    assert!(*record == content.records[numbers[place] as usize - 1]);
                }
            }
            assert_eq!(found, numbers.len());
        }
    }

    fn look_at_all(&self) {
        assert!(self.draft.is(&self.file.snapshot().unwrap()));
        assert!(self.seen.is(&self.reader.snapshot().unwrap()));
        assert!(self.committed.is(&self.place.reader().snapshot().unwrap()));
        for (snapshot, content) in &self.snapshots {
            assert!(content.is(snapshot));
        }
    }

    fn finish(mut self) {
        self.look_at_all();
        self.commit();
        self.look_at_all();
        self.file.close();
        self.look_at_all();
        self.advance(usize::MAX >> 50, 0);
        if FORMAT == 2 {
            let parsed = Parsed::read(&self.place.path);
            let found = (parsed.records(), parsed.metadata());
            assert!(found == (self.committed.records.clone(), self.committed.metadata.clone()));
        }
        check(&self.place.path);
        assert!(all_of(&self.place.writer()) == self.committed.records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Each case is a long sequence of steps. `PROPTEST_CASES` sets their number.
        cases: ProptestConfig::default().cases.div_ceil(2),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_file_behaves_like_a_list_of_records(
        geometry in any_geometry(),
        threads in 1_usize..=4,
        cache_size in cache_size(),
        steps in vec(step(), 1..60),
    ) {
        let mut machine = Machine::new(geometry, threads, cache_size);
        steps.iter().for_each(|step| machine.take(step));
        machine.finish();
    }
}
