//! Destroys each part of a real file in turn, and compares the recovered records one by one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::super::tests::Disk;
use super::super::{Damaged, Recovery};
use crate::error::Error;
use crate::file::{CaptureFile, OpenOptions, Replacement};
use crate::format::{Geometry, in_memory};
use crate::simulation::random::Random;
use crate::storage::Storage;
use crate::sync::progress::Monitor;
use crate::v3::format::Header;
use crate::v3::format::entry::EntryHeader;
use crate::v3::format::frame::{FrameHeader, Kind};
use crate::v3::shared::GivenTime;
use crate::write::options::{Compression, SyncMode};
use crate::{MetadataOutcome, Snapshot};

mod forged;
mod regions;

type Part = Range<usize>;

/// A sound file with its contents and their positions.
struct Sample {
    bytes: Vec<u8>,
    header: Header,
    records: Vec<(Vec<u8>, u64)>,
    metadata: Vec<u8>,
    /// The frames, and the numbers of their records.
    frames: Vec<(Part, FrameHeader)>,
    entries: Vec<(Part, EntryHeader)>,
    limit: usize,
}

fn contents(snapshot: &Snapshot) -> Vec<(Vec<u8>, u64)> {
    let time = |number| {
        let time = snapshot.commit_time(number).unwrap().unwrap();
        u64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
    };
    let record = |number| (snapshot.record(number).unwrap().to_vec(), time(number));
    (1..=snapshot.record_count()).map(record).collect()
}

/// Adds records of many lengths, none of them empty.
fn add_records(log: &CaptureFile, random: &mut Random, count: usize, longest: usize) {
    for _ in 0..count {
        let length = 1 + random.below(longest);
        let record: Vec<u8> = (0..length).map(|_| random.below(256).to_le_bytes()[0]).collect();
        log.add_record(&record).unwrap();
    }
}

impl Sample {
    /// Creates a file of `commits` commits, some of them large; the log does not hold all of them.
    fn new(commits: usize, compression: Compression) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.capture");
        let geometry = Geometry { page_size: 512, block_size: 512, fan_out: 2, ..Geometry::of_version(3) };
        let options = OpenOptions::new().write(true).geometry(geometry).log_size(4096);
        let clock = GivenTime::default();
        let options = options
            .compression(compression)
            .sync(SyncMode::Full)
            .threads(1)
            .environment(Arc::new(clock.clone()));
        let log = options.open(&path).unwrap();
        let mut random = Random::new(7);
        for commit in 0..commits {
            clock.set(1 << 40 | (commit as u64) << 20);
            let count = if commit % 11 == 5 { 60 } else { 1 + commit % 5 };
            add_records(&log, &mut random, count, 90);
            if commit % 4 == 1 {
                log.set_metadata(Some(format!("after commit {commit}").as_bytes())).unwrap();
            }
            log.commit().unwrap();
        }
        let snapshot = log.snapshot().unwrap();
        let (records, limit) = (contents(&snapshot), in_memory(snapshot.file_limit()));
        let metadata = snapshot.metadata().unwrap().map(|metadata| metadata.to_vec()).unwrap_or_default();
        drop((snapshot, log));
        let bytes = std::fs::read(&path).unwrap();
        let header = Header::decode(&bytes).unwrap();
        let mut sample =
            Self { bytes, header, records, metadata, frames: Vec::new(), entries: Vec::new(), limit };
        sample.find_parts();
        sample
    }

    fn find_parts(&mut self) {
        let mut at = in_memory(self.header.data_start());
        while at < self.limit {
            let frame = FrameHeader::decode(&self.bytes[at..], at as u64, &self.header).unwrap();
            let end = at + in_memory(frame.total());
            self.frames.push((at..end, frame));
            at = end;
        }
        let (start, size) = (in_memory(self.header.log_start()), self.header.log as usize);
        let ring = self.bytes[start..start + size].repeat(2);
        for at in (0..size).step_by(8) {
            let position = u64::from_be_bytes(ring[at + 8..at + 16].try_into().unwrap());
            if let Some(entry) = EntryHeader::decode(&ring[at..], position, self.header.log)
                && in_memory(position) % size == at
            {
                self.entries.push((start + at..start + at + entry.total as usize, entry));
            }
        }
    }

    /// Returns the parts of an entry in the file, which may continue at the start of the ring.
    fn parts_of(&self, entry: &Part) -> Vec<Part> {
        let (start, end) = (in_memory(self.header.log_start()), in_memory(self.header.log_end()));
        if entry.end <= end {
            vec![entry.clone()]
        } else {
            vec![entry.start..end, start..start + entry.end - end]
        }
    }

    /// Counts, for each record, the frames and entries that hold it and that none of these parts overlaps.
    fn left(&self, destroyed: &[Part]) -> BTreeMap<u64, usize> {
        let meets =
            |part: &Part| destroyed.iter().any(|other| part.start < other.end && other.start < part.end);
        let frames = self.frames.iter().filter(|(part, frame)| frame.kind == Kind::Records && !meets(part));
        let frames = frames.map(|(_, frame)| (frame.first, u64::from(frame.count)));
        let entries = self.entries.iter().filter(|(part, _)| !self.parts_of(part).iter().any(meets));
        let entries = entries.map(|(_, entry)| (entry.first, u64::from(entry.records)));
        let mut left = BTreeMap::new();
        for number in frames.chain(entries).flat_map(|(first, count)| first..first + count) {
            *left.entry(number).or_default() += 1;
        }
        left
    }

    /// Returns whether the log ends with destroyed entries, the first of which has lost its mark and the positions in it.
    fn leaves_no_trace(&self, destroyed: &[Part]) -> bool {
        let meets =
            |part: &Part| destroyed.iter().any(|other| part.start < other.end && other.start < part.end);
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.position);
        let lost = entries.iter().rev().take_while(|(part, _)| self.parts_of(part).iter().any(meets)).last();
        lost.is_some_and(|(part, _)| {
            let at = |field: Part| part.start + field.start..part.start + field.end;
            [0..4, 8..16, 64..72].into_iter().all(|field| self.parts_of(&at(field)).iter().any(meets))
        })
    }

    /// Recovers the file after destroying these parts; checks that everything outside of them is recovered,
    /// and nothing else.
    fn check(&self, what: &str, destroyed: &[Part], fill: impl Fn(usize) -> u8) -> Recovery {
        let mut bytes = self.bytes.clone();
        for part in destroyed {
            bytes[part.clone()].iter_mut().enumerate().for_each(|(at, byte)| *byte = fill(at));
        }
        let left = self.left(destroyed);
        let (recovery, records, metadata) = match recovered(bytes, true) {
            // Nothing shows any more that it was a capture file.
            Err(Error::Corrupt { .. }) if left.is_empty() => return Recovery::default(),
            found => found.unwrap(),
        };
        let lost = |number: u64| recovery.lost.iter().any(|lost| (lost.first..=lost.last).contains(&number));
        let uncertain = |number: u64| recovery.uncertain.iter().any(|numbers| numbers.contains(&number));
        let highest = left.keys().max().copied().unwrap_or(0);
        assert!(records.len() as u64 >= highest, "{what}: {} of {highest} records", records.len());
        assert!(records.len() <= self.records.len(), "{what}: more records than there were");
        for (number, (found, original)) in (1..).zip(records.iter().zip(&self.records)) {
            if lost(number) {
                assert!(!left.contains_key(&number), "{what}: record {number} is reported as lost");
                assert_eq!(found.0, b"", "{what}: record {number}");
            } else if left.contains_key(&number) || !uncertain(number) {
                assert_eq!(found, original, "{what}: record {number}");
            }
        }
        match recovery.metadata {
            MetadataOutcome::Recovered => {
                let same = metadata.as_ref() == Some(&self.metadata);
                assert!(same || self.leaves_no_trace(destroyed), "{what}: {metadata:?}");
            }
            MetadataOutcome::Lost => assert_eq!(metadata, None, "{what}"),
            MetadataOutcome::None => panic!("{what}: it had metadata"),
        }
        let complete = records.len() == self.records.len() && recovery.lost.is_empty();
        assert!(
            complete || !recovery.is_complete() || self.leaves_no_trace(destroyed),
            "{what}: {recovery:?}"
        );
        recovery
    }
}

type Found = (Recovery, Vec<(Vec<u8>, u64)>, Option<Vec<u8>>);

/// Recovers a file with these bytes.
fn recovered(bytes: Vec<u8>, keep_numbers: bool) -> crate::Result<Found> {
    recovered_from(Disk::new(bytes, 0..0), keep_numbers)
}

fn recovered_from(disk: impl Storage + 'static, keep_numbers: bool) -> crate::Result<Found> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.capture");
    let damaged = Damaged::look(Path::new("damaged.capture"), disk, Monitor::new(&path, None))?;
    let target = damaged.create_target(&path, Replacement::new(&path, false)?)?;
    let recovery = damaged.recover_into(Some(&target), keep_numbers)?;
    target.finish()?;
    let snapshot = CaptureFile::open(&path)?.snapshot()?;
    let metadata = snapshot.metadata()?.as_ref().map(|metadata| metadata.to_vec());
    assert_eq!(snapshot.record_count(), recovery.record_count);
    assert!(crate::verify(&path)?.is_sound());
    Ok((recovery, contents(&snapshot), metadata))
}

/// Returns a byte of noise, which resembles nothing in the file.
fn noise(at: usize) -> u8 {
    0x5A ^ at.to_le_bytes()[0]
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn a_sound_file_comes_back_whole_with_its_times() {
    for commits in [2, 3, 40, 140] {
        let sample = Sample::new(commits, Compression::Zstd);
        let (recovery, records, metadata) = recovered(sample.bytes.clone(), false).unwrap();
        assert!(recovery.is_complete(), "{recovery:?}");
        assert_eq!(recovery.problems, []);
        assert_eq!((records, metadata), (sample.records, Some(sample.metadata)));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn every_page_and_every_part_of_a_file_is_destroyed_in_turn_and_all_else_comes_back() {
    let sample = Sample::new(47, Compression::Zstd);
    assert!(sample.frames.iter().any(|(_, frame)| frame.kind == Kind::Node));
    assert!(sample.frames.iter().any(|(_, frame)| frame.kind == Kind::Metadata));
    assert!(sample.frames.len() > 40 && sample.entries.len() > 5);
    let pages = (0..sample.limit).step_by(512).map(|at| at..(at + 512).min(sample.limit));
    for part in pages {
        sample.check(&format!("{part:?} with noise"), &[part], noise);
    }
    let headers = sample.frames.iter().map(|(part, _)| part.start..part.start + FrameHeader::SIZE);
    let bodies = sample.frames.iter().map(|(part, _)| part.start + FrameHeader::SIZE..part.end);
    let entries = sample.entries.iter().map(|(part, _)| part.start..part.start + 16);
    for part in headers.chain(bodies).chain(entries) {
        sample.check(&format!("{part:?} with zeros"), &[part], |_| 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn nothing_is_lost_with_the_header_or_a_head() {
    let sample = Sample::new(47, Compression::Lz4);
    for destroyed in
        [vec![0..512], vec![512..1024], vec![1024..1536], vec![0..1024], vec![0..512, 1024..1536]]
    {
        let recovery = sample.check(&format!("{destroyed:?}"), &destroyed, noise);
        assert_eq!(recovery.recovered, sample.records.len() as u64, "{destroyed:?}");
        assert!(recovery.is_complete() && !recovery.problems.is_empty(), "{destroyed:?}: {recovery:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn metadata_is_known_whatever_is_left_of_entries_before_the_heads_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.capture");
    let geometry = Geometry { page_size: 512, block_size: 512, fan_out: 2, ..Geometry::of_version(3) };
    let log =
        OpenOptions::new().write(true).geometry(geometry).log_size(4096).threads(1).open(&path).unwrap();
    log.set_metadata(Some(b"kept")).unwrap();
    log.commit().unwrap();
    for commit in 0..100 {
        // An entry of 128 bytes, which overwrites exactly one of the previous lap.
        log.add_record(&[commit; 44]).unwrap();
        log.commit().unwrap();
    }
    drop(log);
    let (recovery, records, metadata) = recovered(std::fs::read(&path).unwrap(), false).unwrap();
    assert!(recovery.is_complete() && records.len() == 100, "{recovery:?}");
    assert_eq!(metadata, Some(b"kept".to_vec()));
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn an_entry_with_damage_of_its_own_is_told_of_where_nothing_precedes_it() {
    let sample = Sample::new(0, Compression::None);
    let mut bytes = sample.bytes.clone();
    // Its `sure` is the start of the log, so it proves nothing.
    bytes[1536 + 64..1536 + 72].copy_from_slice(&4096_u64.to_be_bytes());
    let (recovery, ..) = recovered(bytes, false).unwrap();
    assert!(recovery.later_commit_lost && !recovery.problems.is_empty(), "{recovery:?}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn without_heads_frames_and_log_prove_themselves() {
    let sample = Sample::new(47, Compression::Zstd);
    let recovery = sample.check("both heads", &[512..1536], noise);
    assert_eq!(recovery.recovered, sample.records.len() as u64);
    assert!(recovery.lost.is_empty() && recovery.uncertain.is_empty(), "{recovery:?}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn without_a_log_all_comes_back_that_is_in_frames() {
    let sample = Sample::new(47, Compression::Zstd);
    let log = in_memory(sample.header.log_start())..in_memory(sample.header.log_end());
    for destroyed in [log.clone(), 512..log.end] {
        let recovery = sample.check("the log", &[destroyed], |_| 0);
        assert!(recovery.later_commit_lost);
        let framed = sample.frames.iter().map(|(_, frame)| frame.first + u64::from(frame.count) - 1);
        assert!(Some(recovery.recovered) >= framed.max());
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn whatever_is_destroyed_at_random_the_rest_comes_back() {
    let samples = [Sample::new(47, Compression::Zstd), Sample::new(150, Compression::None)];
    let mut random = Random::new(11);
    for round in 0..300 {
        let sample = &samples[round % 2];
        // One of the three copies of the header remains.
        let start = if random.below(2) == 0 { 512 } else { 1536 };
        let mut parts = Vec::new();
        for _ in 0..=random.below(4) {
            let at = start + random.below(sample.limit - start);
            let longest = [8, 100, 3000][random.below(3)];
            parts.push(at..(at + 1 + random.below(longest)).min(sample.limit));
        }
        sample.check(&format!("round {round}: {parts:?}"), &parts, |at| noise(at + round));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn flipped_bits_cost_no_more_than_what_they_are_in() {
    let sample = Sample::new(47, Compression::Zstd);
    let mut random = Random::new(5);
    for _ in 0..150 {
        let at = random.below(sample.limit);
        let flipped = sample.bytes[at] ^ (1 << random.below(8));
        sample.check(&format!("a bit of byte {at}"), &[at..at + 1], |_| flipped);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn a_file_that_is_cut_short_gives_what_is_left() {
    let sample = Sample::new(47, Compression::Zstd);
    for length in (512..sample.limit).step_by(391) {
        let (recovery, records, _) = recovered(sample.bytes[..length].to_vec(), true).unwrap();
        let left = sample.left(&[length..usize::MAX]);
        for &number in left.keys() {
            let at = in_memory(number - 1);
            assert_eq!(records[at], sample.records[at], "{length}: record {number}");
        }
        assert!(!recovery.problems.is_empty(), "{length}");
    }
}

#[test]
fn a_file_of_which_nothing_is_left_gives_nothing() {
    for length in [0, 100, 5000] {
        match recovered(vec![7; length], true) {
            Ok((recovery, records, _)) => assert!(records.is_empty() && !recovery.is_complete()),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }
}
