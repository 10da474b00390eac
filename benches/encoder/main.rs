//! Compares the crate's encoder with libdeflate, in time and size: `cargo bench --bench encoder -- [LEVEL | NAME ...]`.
//!
//! Both compress the same blocks alternately, and the shortest time of each counts. Ratios are the crate's result
//! divided by that of libdeflate, so values below 1 are better.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libdeflater::{CompressionLvl, Compressor};

use self::corpora::Corpus;

mod corpora;

#[allow(dead_code, unused_imports, reason = "its tests are not run here")]
#[path = "../../src/codec/deflate/mod.rs"]
mod deflate;
#[allow(dead_code, unreachable_pub, reason = "the crate uses the rest")]
#[path = "../../src/error.rs"]
mod error;

const ROUNDS: usize = 15;

/// Number of bytes that one encoder compresses before the other continues.
const TURN: usize = 1 << 18;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let (levels, names): (Vec<_>, Vec<_>) = wanted.iter().partition(|word| word.parse::<u32>().is_ok());
    let levels: Vec<u32> = levels.iter().map(|word| word.parse().unwrap()).collect();
    let corpora = corpora::all();
    for level in if levels.is_empty() { deflate::LEVELS.collect() } else { levels } {
        println!("\n| level {level} | blocks | KB | ratio of libdeflate | MB/s | time | size |");
        println!("|---|---:|---:|---:|---:|---:|---:|");
        let mut kinds = BTreeMap::new();
        for corpus in &corpora {
            if !corpus.blocks.is_empty()
                && (names.is_empty()
                    || names.iter().any(|name| corpus.name.contains(*name) || corpus.kind == *name))
            {
                let (time, size) = compare(corpus, level);
                kinds.entry(corpus.kind).or_insert_with(Vec::new).push((time, size));
            }
        }
        for (kind, results) in kinds {
            let worst = |of: fn(&(f64, f64)) -> f64| results.iter().map(of).fold(0.0, f64::max);
            println!("{kind}: at most {:.2} of the time, {:.4} of the size", worst(|r| r.0), worst(|r| r.1));
        }
    }
}

/// Prints one row of the table, and returns the ratios of time and size.
#[expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
fn compare(corpus: &Corpus, level: u32) -> (f64, f64) {
    let mut compressor = Compressor::new(CompressionLvl::new(i32::try_from(level).unwrap()).unwrap());
    let longest = corpus.blocks.iter().map(Vec::len).max().unwrap_or(0);
    let mut room = vec![0; compressor.zlib_compress_bound(longest)];
    let mut stream = Vec::with_capacity(room.len());
    let mut theirs = |blocks: &[Vec<u8>]| -> usize {
        blocks.iter().map(|block| compressor.zlib_compress(block, &mut room).unwrap()).sum()
    };
    let mut ours = |blocks: &[Vec<u8>]| -> usize {
        let compress = |block: &Vec<u8>| {
            stream.clear();
            deflate::compress(block, level, &mut stream).unwrap();
            stream.len()
        };
        blocks.iter().map(compress).sum()
    };
    let bytes: usize = corpus.blocks.iter().map(Vec::len).sum();
    let in_a_turn = (TURN * corpus.blocks.len() / bytes).max(1);
    let (mut their_time, mut own_time, mut their_size, mut own_size) = (Duration::ZERO, Duration::ZERO, 0, 0);
    for turn in corpus.blocks.chunks(in_a_turn) {
        let (mut their_best, mut own_best, mut sizes) = (Duration::MAX, Duration::MAX, (0, 0));
        for _ in 0..ROUNDS {
            let start = Instant::now();
            sizes.0 = theirs(turn);
            their_best = their_best.min(start.elapsed());
            let start = Instant::now();
            sizes.1 = ours(turn);
            own_best = own_best.min(start.elapsed());
        }
        their_time += their_best;
        own_time += own_best;
        their_size += sizes.0;
        own_size += sizes.1;
    }
    let time = own_time.as_secs_f64() / their_time.as_secs_f64();
    let size = own_size as f64 / their_size as f64;
    println!(
        "| {} | {} | {} | {:.3} | {:.0} | {time:.3} | {size:.4} |",
        corpus.name,
        corpus.blocks.len(),
        bytes / 1024,
        bytes as f64 / their_size as f64,
        bytes as f64 / 1e6 / own_time.as_secs_f64(),
    );
    (time, size)
}
