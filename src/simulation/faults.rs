//! Each call of the disk made to fail once, and then all calls from some point on.

use nix::libc;

use super::disk::{Disk, Fault, Plan};
use super::random::Random;
use super::workload::{Habits, Life, Outcome};

/// Steps of a life whose calls fail one by one.
const STEPS: usize = 30;
const SEEDS: u64 = 12;

fn live(seed: u64, plan: Plan) -> Outcome<u64> {
    let mut random = Random::new(seed);
    let habits = Habits::new(&mut random, true);
    let created = Life::create(habits.clone(), random.clone())?;
    let disk = Disk::new(created.disk.state(), random.clone());
    let mut life = Life::new(disk, created.states, created.commits, habits, random);
    life.fail(plan);
    life.run(STEPS)?;
    let calls = life.disk.calls();
    life.disk.set_plan(Plan::None);
    life.reopen()?;
    Ok(calls)
}

/// Lives through every call's failure; returns how many failures that were.
fn fail_each_call(plan: impl Fn(u64, Fault) -> Plan, meaningful: impl Fn(Fault) -> bool) -> u64 {
    let mut failures = 0;
    for seed in 0..SEEDS * super::soak() {
        let Ok(calls) = live(seed, Plan::None) else {
            panic!("seed {seed} fails without a fault");
        };
        for call in 0..calls {
            for fault in Fault::ALL.into_iter().filter(|&fault| meaningful(fault)) {
                if let Err(problem) = live(seed, plan(call, fault)) {
                    panic!("seed {seed}, call {call}, {fault:?}: {problem}");
                }
                failures += 1;
            }
        }
    }
    failures
}

#[test]
fn a_call_that_fails_once_costs_no_acknowledged_commit() {
    let failures = fail_each_call(Plan::Once, |_| true);
    println!("single faults: {failures}");
}

#[test]
fn calls_that_fail_from_some_point_on_cost_no_acknowledged_commit() {
    // An interrupted call is tried again, for as long as it takes.
    let failures = fail_each_call(Plan::From, |fault| fault != Fault::Error(libc::EINTR));
    println!("lasting faults: {failures}");
}
