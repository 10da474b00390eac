//! Making each call of the disk fail once, and then all calls from some point on.

use super::careless::storage;
use super::commits::Mark;
use super::contents::{Outcome, expect, path, read_all, text};
use super::disk::{Disk, Event, Fault, Plan};
use super::disk_state::DiskState;
use super::habits::Habits;
use super::random::Random;
use super::workload::Life;
use crate::error::Error;
use crate::storage::errno;

/// Number of steps of a life whose calls fail one by one.
const STEPS: usize = 30;
const SEEDS: u64 = 5;
/// Creations are short.
const SEEDS_OF_CREATIONS: u64 = 200;

fn empty_disk(random: &Random) -> Disk<Mark> {
    Disk::new(DiskState::default(), random.clone())
}

fn live(format: u32, seed: u64, plan: Plan) -> Outcome<u64> {
    let mut random = Random::new(seed);
    let habits = Habits::new(format, &mut random, true);
    let created = Life::create(empty_disk(&random), habits.clone(), random.clone()).map_err(text)?;
    let disk = Disk::new(created.disk.state(), random.clone());
    let mut life = Life::new(disk, created.history, created.mark, habits, random);
    life.fail(plan);
    life.run(STEPS)?;
    let calls = life.disk.calls();
    life.disk.set_plan(Plan::None);
    life.reopen()?;
    Ok(calls)
}

/// Creates a file; a file with its name must then be complete, whether or not its creation was acknowledged.
fn create(format: u32, seed: u64, plan: Plan) -> Outcome<u64> {
    let mut random = Random::new(seed);
    let habits = Habits::new(format, &mut random, true);
    let disk = empty_disk(&random);
    disk.set_plan(plan);
    let created = Life::create(disk.clone(), habits.clone(), random.clone());
    let calls = disk.calls();
    disk.set_plan(Plan::None);
    let has_name = disk.take_log().iter().any(|event| matches!(event, Event::Named(_)));
    match created {
        Err(Error::Io { .. }) if !has_name => Ok(calls),
        Err(Error::Io { .. }) => read_new(&disk, &habits).map(|()| calls),
        Err(error) => Err(format!("creating fails: {error}")),
        Ok(_) if !has_name => Err("there is no file".into()),
        Ok(_) => read_new(&disk, &habits).map(|()| calls),
    }
}

fn read_new(disk: &Disk<Mark>, habits: &Habits) -> Outcome {
    let file = habits.options().read_storage(path(), storage(disk, habits.geometry)).map_err(text)?;
    let found = read_all(&file).map_err(text)?;
    let is_new = found.records.is_empty() && found.metadata.as_deref() == habits.initial_metadata.as_deref();
    expect(is_new, || "the new file holds something else".into())
}

/// Runs a life with a failure of each call, in both formats; returns the number of failures.
fn fail_each_call(
    seeds: u64,
    live: impl Fn(u32, u64, Plan) -> Outcome<u64>,
    plan: impl Fn(u64, Fault) -> Plan,
    meaningful: impl Fn(Fault) -> bool,
) -> u64 {
    let mut failures = 0;
    for (format, seed) in
        [2, 3].into_iter().flat_map(|format| (0..seeds * super::soak()).map(move |seed| (format, seed)))
    {
        let calls = match live(format, seed, Plan::None) {
            Ok(calls) => calls,
            Err(problem) => panic!("format {format}, seed {seed} without a fault: {problem}"),
        };
        for call in 0..calls {
            for fault in Fault::ALL.into_iter().filter(|&fault| meaningful(fault)) {
                if let Err(problem) = live(format, seed, plan(call, fault)) {
                    panic!("format {format}, seed {seed}, call {call}, {fault:?}: {problem}");
                }
                failures += 1;
            }
        }
    }
    failures
}

#[test]
fn a_call_that_fails_once_costs_no_acknowledged_commit() {
    let failures = fail_each_call(SEEDS, live, Plan::Once, |_| true);
    println!("single faults: {failures}");
}

#[test]
fn calls_that_fail_from_some_point_on_cost_no_acknowledged_commit() {
    // An interrupted call is tried again, for as long as it takes.
    let failures = fail_each_call(SEEDS, live, Plan::From, |fault| fault != Fault::Error(errno::INTERRUPTED));
    println!("lasting faults: {failures}");
}

#[test]
fn a_creation_that_fails_leaves_a_whole_file_or_none() {
    let once = fail_each_call(SEEDS_OF_CREATIONS, create, Plan::Once, |_| true);
    let lasting = fail_each_call(SEEDS_OF_CREATIONS, create, Plan::From, |fault| {
        fault != Fault::Error(errno::INTERRUPTED)
    });
    println!("faults in creations: {}", once + lasting);
}
