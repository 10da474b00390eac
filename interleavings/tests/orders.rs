//! Runs each scenario in many orders: random ones, and orders in which threads are delayed at critical steps.
//!
//! A failure prints the order; `shuttle::replay` runs it again.

use capturefile_interleavings::{commits, scenarios};

const RANDOM: usize = 4000;
const HELD_UP: usize = 2000;
/// Number of delays in one order.
const DEPTH: usize = 3;

fn in_many_orders(scenario: fn()) {
    shuttle::check_random(scenario, RANDOM);
    shuttle::check_pct(scenario, HELD_UP, DEPTH);
}

#[test]
fn a_pipeline_hands_over_in_order() {
    in_many_orders(scenarios::a_pipeline_hands_over_in_order);
}

#[test]
fn a_pipeline_is_cleared_while_threads_are_at_work() {
    in_many_orders(scenarios::a_pipeline_is_cleared_while_threads_are_at_work);
}

#[test]
fn a_failure_leaves_nobody_waiting() {
    in_many_orders(scenarios::a_failure_leaves_nobody_waiting);
}

#[test]
fn a_dropped_pipeline_leaves_nobody_at_work() {
    in_many_orders(scenarios::a_dropped_pipeline_leaves_nobody_at_work);
}

#[test]
fn a_state_that_is_shown_is_never_behind() {
    in_many_orders(scenarios::a_state_that_is_shown_is_never_behind);
}

#[test]
fn a_reader_never_goes_back() {
    in_many_orders(scenarios::a_reader_never_goes_back);
}

#[test]
fn frames_are_saved_before_they_are_written_over() {
    in_many_orders(scenarios::frames_are_saved_before_they_are_written_over);
}

#[test]
fn commits_are_shared_and_return_when_they_are_done() {
    in_many_orders(commits::commits_are_shared_and_return_when_they_are_done);
}

#[test]
fn a_commit_that_fails_is_an_error_for_all_in_it() {
    in_many_orders(commits::a_commit_that_fails_is_an_error_for_all_in_it);
}

#[test]
fn closing_waits_for_a_commit() {
    in_many_orders(commits::closing_waits_for_a_commit);
}

#[test]
fn started_commits_have_what_was_added_before() {
    in_many_orders(commits::started_commits_have_what_was_added_before);
}

#[test]
fn closing_does_what_was_started() {
    in_many_orders(commits::closing_does_what_was_started);
}

#[test]
fn an_error_of_a_started_commit_is_told() {
    in_many_orders(commits::an_error_of_a_started_commit_is_told);
}
