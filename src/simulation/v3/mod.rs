//! Crash tests of format 3: the library on a simulated disk, with crashes at every step, every kind of failure, and
//! readers in between.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod decay;
mod example;
mod film;
mod held;
mod small_file;

use film::watch;

use super::careless::Mistake;
use super::crashes::Search;
use super::disk::{Mapped, Plan};
use super::{notice, soak};

/// Power cuts and kills at every step.
const CRASHES: Search = Search {
    format: 3,
    steps: 40,
    one_end_in: 2,
    later: 8,
    repeats: false,
    power_cuts: 3,
    one_life_in: 25,
    faults: Plan::None,
    mapped: Mapped::Some,
};
/// Short consecutive lives, each of which finds what others have left.
const SHORT_LIVES: Search = Search { steps: 12, one_life_in: 6, ..CRASHES };
/// More lives, each with fewer crashes.
const MANY_LIVES: Search = Search { one_end_in: 8, one_life_in: 200, ..CRASHES };
/// Short lives with the same records, so that each writes what another one has left.
const SAME_RECORDS: Search =
    Search { steps: 5, one_end_in: 1, later: 3, repeats: true, one_life_in: 10, ..CRASHES };
/// Syncs that fail, and then power cuts and kills.
const FAILED_SYNCS: Search = Search {
    steps: 14,
    one_end_in: 6,
    power_cuts: 1,
    faults: Plan::Random { syncs: 15, others: 1 },
    ..CRASHES
};
/// A disk that is sometimes full, and does some calls only partially.
const FULL_DISK: Search =
    Search { steps: 20, power_cuts: 2, faults: Plan::Random { syncs: 0, others: 12 }, ..CRASHES };
/// Explores one seed after another until `enough` crash images have been checked.
fn search(what: &str, search: Search, first_seed: u64, enough: u64) {
    super::search(what, search, first_seed, |images, _| images >= enough * soak());
}

#[test]
fn crashes_leave_every_acknowledged_commit() {
    search("crashes", CRASHES, 0, 60_000);
}

#[test]
fn short_lives_leave_every_acknowledged_commit() {
    search("short lives", SHORT_LIVES, 1 << 32, 30_000);
}

#[test]
fn many_lives_leave_every_acknowledged_commit() {
    search("many lives", MANY_LIVES, 5 << 32, 60_000);
}

#[test]
fn what_a_dead_writer_has_left_is_not_taken_for_a_commit() {
    search("same records", SAME_RECORDS, 4 << 32, 60_000);
}

#[test]
fn failed_syncs_cost_no_acknowledged_commit() {
    search("failed syncs", FAILED_SYNCS, 2 << 32, 60_000);
}

#[test]
fn a_full_disk_costs_no_acknowledged_commit() {
    search("full disks", FULL_DISK, 3 << 32, 60_000);
}

#[test]
fn readers_beside_a_writer_see_whole_commits_and_are_never_behind() {
    let mut looks = 0;
    let mut seed = 0;
    while looks < 60_000 * soak() {
        match watch(seed) {
            Ok(more) => looks += more,
            Err(problem) => panic!("readers: seed {seed}: {problem}"),
        }
        seed += 1;
    }
    println!("readers: {looks} looks of seeds 0 to {seed}");
}

#[test]
fn a_sync_that_is_tried_again_is_noticed() {
    notice(Mistake::SyncRetried, FAILED_SYNCS);
}
