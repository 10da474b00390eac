//! Lists of problems, with a maximum length.

use std::ops::RangeInclusive;

use crate::error::Damage;

/// Maximum number of problems in a report.
const MAX_PROBLEMS: usize = 1000;

/// Adds a problem to a list, unless it is there already or the list is full.
pub(crate) fn list_problem(problems: &mut Vec<Damage>, damage: Damage) {
    if problems.len() < MAX_PROBLEMS && !problems.contains(&damage) {
        problems.push(damage);
    }
}

/// A range of record numbers, with what is known about them.
pub(crate) trait Run: Sized {
    /// Returns whether `next` continues this range, so that they can be merged.
    fn is_continued_by(&self, next: &Self) -> bool;

    /// Extends this range to the end of `next`, including any numbers in between.
    fn extend_over(&mut self, next: &Self);
}

/// Adds a range to an ascending list of at most `limit`. The last one of a full list is extended instead.
pub(crate) fn list_run<R: Run>(runs: &mut Vec<R>, next: R, limit: usize) {
    let is_full = runs.len() >= limit;
    match runs.last_mut() {
        Some(last) if is_full || last.is_continued_by(&next) => last.extend_over(&next),
        _ => runs.push(next),
    }
}

impl Run for RangeInclusive<u64> {
    fn is_continued_by(&self, next: &Self) -> bool {
        self.end().checked_add(1) == Some(*next.start())
    }

    fn extend_over(&mut self, next: &Self) {
        *self = *self.start()..=*next.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_and_the_last_of_a_full_list_takes_in_what_follows() {
        let mut runs = Vec::new();
        for (next, expected) in [
            (1..=1, vec![1..=1]),
            (2..=4, vec![1..=4]),
            (9..=9, vec![1..=4, 9..=9]),
            (20..=u64::MAX, vec![1..=4, 9..=u64::MAX]),
            (u64::MAX..=u64::MAX, vec![1..=4, 9..=u64::MAX]),
        ] {
            list_run(&mut runs, next, 2);
            assert_eq!(runs, expected);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_problem_is_listed_once_and_at_most_a_thousand_are() {
        let mut problems = Vec::new();
        for number in 0..3000 {
            list_problem(&mut problems, Damage::new("something", "nothing").at(number / 2));
        }
        assert_eq!(problems.len(), MAX_PROBLEMS);
        assert!(problems.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
