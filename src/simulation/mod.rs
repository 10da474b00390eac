//! Crash tests: the library on a simulated disk, with crashes at every step and every kind of failure.
//!
//! The amounts are those of a normal run: several times what it takes to notice each mistake that is made on purpose, here
//! and in `tests/mutants.py`. `CAPTUREFILE_SOAK` multiplies them.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod careless;
mod commits;
mod contents;
mod crashes;
pub(crate) mod disk;
pub(crate) mod disk_state;
mod environment;
mod faults;
mod habits;
mod in_place;
pub(crate) mod meanwhile;
pub(crate) mod random;
mod sharing;
mod v3;
mod workload;

use std::time::{Duration, Instant};

use careless::Mistake;
use crashes::{Explorer, Search};
use disk::{Mapped, Plan};

/// Power cuts and kills at every step.
const CRASHES: Search = Search {
    format: 2,
    steps: 25,
    one_end_in: 1,
    later: 6,
    repeats: false,
    power_cuts: 4,
    one_life_in: 25,
    faults: Plan::None,
    mapped: Mapped::Nothing,
};
/// Syncs that fail, and then power cuts and kills.
const FAILED_SYNCS: Search = Search {
    steps: 10,
    one_end_in: 8,
    power_cuts: 1,
    faults: Plan::Random { syncs: 25, others: 1 },
    ..CRASHES
};
/// Failed syncs with readers, whose maps keep pages in memory that the writer tries to drop.
const FAILED_SYNCS_BESIDE_READERS: Search = Search { mapped: Mapped::All, ..FAILED_SYNCS };
/// A disk that is full from time to time, and does some calls only partially.
const FULL_DISK: Search = Search {
    steps: 15,
    one_end_in: 1,
    power_cuts: 2,
    faults: Plan::Random { syncs: 0, others: 15 },
    ..CRASHES
};
/// Long lives that rarely crash.
const LONG_LIVES: Search = Search { steps: 100, one_end_in: 200, power_cuts: 1, ..CRASHES };
/// Seeds that once revealed a mistake of the library, or a deliberate one. Add the seed that a failure prints.
const ONCE_FAILED: [(Search, u64); 11] = [
    (CRASHES, 0),
    (CRASHES, 1),
    (CRASHES, 2),
    (CRASHES, 7),
    (FAILED_SYNCS, 4),
    (FAILED_SYNCS, 12),
    (FAILED_SYNCS, 116),
    (FULL_DISK, 0),
    (FULL_DISK, 3),
    (FULL_DISK, 26),
    (LONG_LIVES, 1),
];
/// Maximum time in which a mistake must be noticed.
const MISTAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the factor by which the amounts are multiplied.
pub(crate) fn soak() -> u64 {
    std::env::var("CAPTUREFILE_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Explores one seed after another until `enough` of them, or of their crash images, have been checked.
fn search(what: &str, search: Search, first_seed: u64, enough: impl Fn(u64, u64) -> bool) {
    let mut images = 0;
    for seed in first_seed.. {
        let mut explorer = Explorer::new(seed, search);
        if let Err(problem) = explorer.explore() {
            panic!("{what}: seed {seed}, image {}: {problem}", explorer.images);
        }
        images += explorer.images;
        if enough(images, seed - first_seed + 1) {
            println!("{what}: {images} crash images of seeds {first_seed} to {seed}");
            return;
        }
    }
}

/// One of two halves, to use two cores.
fn crash(half: u64) {
    search("crashes", CRASHES, half << 32, |images, _| images >= 60_000 * soak());
}

fn fail_syncs(half: u64) {
    search("failed syncs", FAILED_SYNCS, half << 32, |_, seeds| seeds >= 10_000 * soak());
}

#[test]
fn seeds_that_once_failed_fail_no_more() {
    for (search, seed) in ONCE_FAILED {
        if let Err(problem) = Explorer::new(seed, search).explore() {
            panic!("seed {seed} of {search:?}: {problem}");
        }
    }
}

#[test]
fn crashes_leave_every_acknowledged_commit() {
    crash(0);
}

#[test]
fn crashes_leave_every_acknowledged_commit_of_other_seeds() {
    crash(1);
}

#[test]
fn failed_syncs_cost_no_acknowledged_commit() {
    fail_syncs(0);
}

#[test]
fn failed_syncs_cost_no_acknowledged_commit_of_other_seeds() {
    fail_syncs(1);
}

#[test]
fn failed_syncs_beside_readers_cost_no_acknowledged_commit() {
    search("failed syncs during reads", FAILED_SYNCS_BESIDE_READERS, 0, |_, seeds| seeds >= 5000 * soak());
}

#[test]
fn a_full_disk_costs_no_acknowledged_commit() {
    search("full disks", FULL_DISK, 0, |images, _| images >= 40_000 * soak());
}

#[test]
fn long_lives_show_what_was_written() {
    search("long lives", LONG_LIVES, 0, |_, seeds| seeds >= 500 * soak());
}

#[test]
fn every_mistake_is_noticed() {
    for mistake in Mistake::ALL {
        notice(mistake, where_it_shows(mistake));
    }
}

/// Explores one seed after another until a mistake is noticed.
fn notice(mistake: Mistake, search: Search) {
    let start = Instant::now();
    let found = careless::with(mistake, || {
        (0..)
            .take_while(|_| start.elapsed() < MISTAKE_TIMEOUT)
            .find_map(|seed| Some((seed, Explorer::new(seed, search).explore().err()?)))
    });
    let seconds = start.elapsed().as_secs_f32();
    match found {
        Some((seed, problem)) => println!("{mistake:?}: seed {seed}, after {seconds:.2} s: {problem}"),
        None => panic!("{mistake:?} is not noticed in {seconds:.0} s"),
    }
}

/// Returns the search that is most likely to reveal a mistake.
fn where_it_shows(mistake: Mistake) -> Search {
    match mistake {
        Mistake::SyncRetried | Mistake::PageCacheTrusted => FAILED_SYNCS,
        Mistake::ShortSlotAccepted => FULL_DISK,
        _ => CRASHES,
    }
}
