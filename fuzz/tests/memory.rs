//! Files that are made to require memory, larger than those that fuzzing generates.

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use capturefile::{CaptureFile, Error, RecoverOptions, Recovery, Result, verify};
use libdeflater::{CompressionLvl, Compressor, crc32};

const PAGE: usize = 4096;
const MEBIBYTE: usize = 1024 * 1024;
/// More children than fit in a page, so that all records are on the rightmost path.
const WIDE: u32 = 1000;
/// Number of records that are read from each end.
const MAX_READ: u16 = 1000;

/// Memory is counted in all threads, so the tests run one after the other.
static TURN: Mutex<()> = Mutex::new(());

fn my_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The start of a file: its sizes, and the positions that its slots contain.
struct Head {
    block_size: usize,
    fan_out: u32,
}

impl Head {
    fn slot_size(&self) -> usize {
        2 * PAGE + self.block_size
    }

    fn data_start(&self) -> usize {
        PAGE + 2 * self.slot_size()
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"MioCapture\0".to_vec();
        for number in [2, PAGE, self.block_size, self.fan_out as usize] {
            header.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
        }
        header.resize(PAGE, 0);
        header
    }

    fn slot(&self, serial: u32, limit: usize, children: &[(u8, usize, u32)], tail: &[u8]) -> Vec<u8> {
        let mut slot = serial.to_be_bytes().to_vec();
        slot.extend_from_slice(&(limit as u64).to_be_bytes());
        slot.extend_from_slice(&[0; 16]);
        slot.extend_from_slice(&u32::try_from(children.len()).unwrap().to_be_bytes());
        for &(height, frame, offset) in children {
            slot.push(height);
            slot.extend_from_slice(&(frame as u64).to_be_bytes());
            slot.extend_from_slice(&offset.to_be_bytes());
        }
        slot.resize(PAGE - 4, 0);
        slot.extend_from_slice(tail);
        slot.resize(self.slot_size() - 4, 0);
        [crc32(&slot).to_be_bytes().to_vec(), slot].concat()
    }

    /// Returns a file of these frames; `children` returns the content of the rightmost path, given their positions.
    fn file(&self, frames: &[Vec<u8>], children: impl Fn(&[usize]) -> Vec<(u8, usize, u32)>) -> Vec<u8> {
        let mut limit = self.data_start();
        let mut positions = Vec::new();
        for frame in frames {
            positions.push(limit);
            limit += frame.len();
        }
        let data = frames.concat();
        let (pages, tail) = data.split_at(data.len() - limit % PAGE);
        let children = children(&positions);
        let slots = [2, 1].map(|serial| self.slot(serial, limit, &children, tail));
        [self.header(), slots.concat(), pages.to_vec()].concat()
    }
}

fn frame(block: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut frame = vec![0; 4 + compressor.zlib_compress_bound(block.len())];
    let length = compressor.zlib_compress(block, &mut frame[4..]).unwrap();
    frame.truncate(4 + length);
    frame[..4].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    frame
}

/// Returns a block of one record of zeros, with a total length of `size` bytes.
fn record_block(size: usize) -> Vec<u8> {
    let mut block = u32::try_from(size - 4).unwrap().to_be_bytes().to_vec();
    block.resize(size, 0);
    block
}

/// Returns one child of height 1 in each frame, and one after the end of the last block.
fn one_in_each_and_a_wrong_one(positions: &[usize]) -> Vec<(u8, usize, u32)> {
    let wrong = positions.last().map(|&last| (1, last, u32::MAX));
    positions.iter().map(|&at| (1, at, 0)).chain(wrong).collect()
}

/// Reads all records in two ways and verifies the file; each must find the damage within the allowed memory.
fn check(name: &str, data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, data).unwrap();
    let allowed = 16 * data.len() + 64 * MEBIBYTE;
    let target = folder.path().join("recovered");
    let uses: [(&str, &dyn Fn() -> bool); 5] = [
        ("in order", &|| is_refused(&read_in_order(&CaptureFile::open(&path).unwrap()))),
        ("together", &|| is_refused(&read_together(&CaptureFile::open(&path).unwrap()))),
        ("both", &|| {
            let file = CaptureFile::open(&path).unwrap();
            is_refused(&read_in_order(&file)) && is_refused(&read_together(&file))
        }),
        ("verify", &|| !verify(&path).unwrap().problems.is_empty()),
        ("recover", &|| ends(&recover(&path, &target, 200))),
    ];
    for (usage, work) in uses {
        let most = capturefile_fuzz::most_memory(|| assert!(work(), "{name}, {usage}: nothing was found"));
        println!("{name} of {} bytes, {usage}: {most} of {allowed} bytes", data.len());
        assert!(most <= allowed, "{name} of {} bytes, {usage}: {most} of {allowed} bytes", data.len());
    }
}

fn is_refused(result: &Result<()>) -> bool {
    matches!(result, Err(Error::Corrupt { .. }))
}

/// Recovers until it has asked this often whether to continue: a small file can hold too many records to wait for.
fn recover(source: &Path, target: &Path, mut patience: u32) -> Result<Recovery> {
    let stop = |_| {
        patience -= 1;
        if patience > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    RecoverOptions::new().overwrite(true).progress(stop).recover(source, target)
}

/// Returns whether recovery succeeded, gave up, or was cancelled.
fn ends(result: &Result<Recovery>) -> bool {
    match result {
        Err(Error::Io { source, .. }) => source.kind() == ErrorKind::Interrupted,
        result => matches!(result, Ok(_) | Err(Error::Corrupt { .. })),
    }
}

fn read_in_order(file: &CaptureFile) -> Result<()> {
    let snapshot = file.snapshot()?;
    let last = snapshot.record_count().saturating_sub(MAX_READ.into());
    let first = snapshot.records(1).take(MAX_READ.into());
    first.chain(snapshot.records(last + 1)).try_for_each(|record| record.map(drop))
}

fn read_together(file: &CaptureFile) -> Result<()> {
    let snapshot = file.snapshot()?;
    let count = snapshot.record_count();
    let last = count.saturating_sub(MAX_READ.into());
    let numbers: Vec<u64> = (1..=count.min(MAX_READ.into())).chain(last + 1..=count).collect();
    snapshot.records_at(&numbers)?.try_for_each(|batch| batch.map(drop))
}

#[test]
fn files_that_blow_up_cost_no_more_than_they_may() {
    let _turn = my_turn();
    let small = Head { block_size: 4096, fan_out: WIDE };
    for size in [8192, 500_000, MEBIBYTE] {
        let frames = vec![frame(&record_block(size)); 250];
        check(&format!("250 blocks of {size}"), &small.file(&frames, one_in_each_and_a_wrong_one));
    }
}

#[test]
fn large_blocks_cost_no_more_than_they_may() {
    let _turn = my_turn();
    for (count, block_size) in [(80, MEBIBYTE), (30, 4 * MEBIBYTE)] {
        let head = Head { block_size, fan_out: WIDE };
        let frames = vec![frame(&record_block(2 * block_size)); count];
        let name = format!("{count} blocks of two of {block_size}");
        check(&name, &head.file(&frames, one_in_each_and_a_wrong_one));
    }
}

/// Frames of empty entries would require far more memory than the file if each entry were remembered.
#[test]
fn entries_that_no_node_points_at_cost_no_more_than_they_may() {
    let _turn = my_turn();
    let head = Head { block_size: 4096, fan_out: WIDE };
    let frames = vec![frame(&vec![0; MEBIBYTE]); 60];
    check("sixty blocks of empty entries", &head.file(&frames, one_in_each_and_a_wrong_one));
    let mut data = head.file(&frames, one_in_each_and_a_wrong_one);
    data[PAGE..head.data_start()].fill(0);
    check_recovering("the same without slots", &data);
}

/// Small frames have damage between them, so that each is a separate gap.
#[test]
fn gaps_without_number_cost_no_more_than_they_may() {
    let _turn = my_turn();
    let head = Head { block_size: 0, fan_out: 2 };
    let small = frame(&record_block(4));
    let frames = vec![[&small[..], &[0]].concat(); 120_000];
    let mut data = head.file(&frames, |_| Vec::new());
    data[PAGE..head.data_start()].fill(0);
    check_recovering("gaps", &data);
}

fn check_recovering(name: &str, data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, data).unwrap();
    let allowed = 16 * data.len() + 64 * MEBIBYTE;
    let work = || {
        let result = recover(&path, &folder.path().join("recovered"), 2000);
        println!(
            "{name}: {:?}",
            result.as_ref().map(|found| (found.recovered, found.lost.len(), found.uncertain.len()))
        );
        assert!(ends(&result), "{name}");
    };
    let most = capturefile_fuzz::most_memory(work);
    println!("{name} of {} bytes, recover: {most} of {allowed} bytes", data.len());
    assert!(most <= allowed, "{name} of {} bytes, recover: {most} of {allowed} bytes", data.len());
}

/// The index alternates between two records, whose blocks are too large for the cache, and would be inflated each time.
#[test]
fn an_index_that_leads_back_and_forth_is_given_up_soon() {
    let _turn = my_turn();
    let head = Head { block_size: 4 * MEBIBYTE, fan_out: WIDE };
    let mut block = record_block(40 * MEBIBYTE);
    let noise =
        std::iter::successors(Some(1_u32), |n| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    block[4..].iter_mut().zip(noise.take(6 * MEBIBYTE)).for_each(|(byte, n)| *byte = n.to_be_bytes()[0]);
    let frames = vec![frame(&block); 2];
    let in_turn = |positions: &[usize]| (0..300).map(|n| (1, positions[n % 2], 0)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, head.file(&frames, in_turn)).unwrap();
    let start = Instant::now();
    let problems = verify(&path).unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.to_string().contains("keeps leading back")),
        "{problems:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn wide_index_nodes_cost_no_more_than_they_may() {
    let _turn = my_turn();
    for fan_out in [1000, 80_000, 1_000_000, 8_000_000] {
        let head = Head { block_size: 4096, fan_out };
        let node = |at: usize| {
            let child = [(at as u64).to_be_bytes().to_vec(), vec![0; 4]].concat();
            frame(&child.repeat(fan_out as usize))
        };
        // The children of each node are the frame before it; the first frame is a record.
        let mut frames = vec![frame(&record_block(100))];
        for _ in 0..2 {
            let at = head.data_start() + frames[..frames.len() - 1].iter().map(Vec::len).sum::<usize>();
            frames.push(node(at));
        }
        let children = |positions: &[usize]| {
            let nodes = positions[1..].iter().take(2).rev().zip([3, 2]);
            let wrong = (1, positions[0], u32::MAX);
            std::iter::once(wrong).chain(nodes.map(|(&at, height)| (height, at, 0)).rev()).collect()
        };
        check(&format!("nodes of {fan_out} children"), &head.file(&frames, children));
    }
}
