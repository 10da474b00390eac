//! Runs and their pages: what is put in is found, and pages that were made to deceive do no harm.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::pages::{GROUPS_PER_PAGE, Part, Spread, decode_groups, decode_hashes, groups_with};
use super::run::{GROUP_SIZE, Pages, Run};
use super::value::{Interval, Value};

const KEY: &str = "a";
const CASES: u32 = if cfg!(miri) { 3 } else { 300 };

/// A run of records whose field has these values, in groups of `per_group`, from record `first` on.
fn run_of(values: &[&str], first: u64, per_group: usize) -> Run {
    let mut run = Run::new(&[KEY.to_owned()], first);
    for (group, start) in values.chunks(per_group).zip((first..).step_by(per_group)) {
        for (value, number) in group.iter().zip(start..) {
            run.add(number, format!("{{\"{KEY}\": {value}}}").as_bytes());
        }
        run.end_group();
    }
    run
}

/// The pages of the only key of a run.
fn pages_of(run: &mut Run) -> Pages {
    run.pages().pop().unwrap()
}

/// What the only key of a run with these pages is.
fn part_of(first: u64, groups: u32, pages: &Pages) -> Part {
    Part::new(first, KEY, Spread { groups: u64::from(groups), pages: pages.1.len() as u64 })
}

/// The groups that have a value, as the pages say.
fn found(value: &str, first: u64, groups: u32, pages: &Pages) -> Option<Vec<u32>> {
    let part = part_of(first, groups, pages);
    let hash = Value::parse(value.as_bytes())?.hash();
    let number = part.spread.page_of(hash);
    groups_with(pages.1.get(usize::try_from(number).ok()?)?, hash, part.hashes(number))
}

/// The last records of all groups.
fn ends(first: u64, groups: u32, pages: &Pages) -> Option<Vec<u64>> {
    let part = part_of(first, groups, pages);
    let mut all = Vec::new();
    for (page, number) in pages.0.iter().zip(0..) {
        all.extend(decode_groups(page, part.groups(number))?.1.into_iter().map(|(last, _)| last));
    }
    Some(all)
}

fn values() -> impl Strategy<Value = Vec<&'static str>> {
    vec(prop::sample::select(&["1", "2", "\"x\"", "\"y\"", "null", "true", "[]", "-7.5", "NaN"][..]), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn the_groups_with_a_value_are_found_however_runs_were_merged(
        values in values(),
        first in 1..1000_u64,
        per_group in 1..6_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(values.len()) / per_group * per_group;
        let (earlier, later) = values.split_at(cut);
        let mut run = run_of(later, first + cut as u64, per_group);
        if cut > 0 {
            let mut before = run_of(earlier, first, per_group);
            let pages = before.pages();
            prop_assert!(run.prepend(first, before.groups(), &pages).is_some());
        }
        let pages = pages_of(&mut run);
        let expected = |value: &str| -> Vec<u32> {
            let equal = |other: &&&str| **other == value || (value == "1" && **other == "true");
            let has = values.chunks(per_group).map(|group| group.iter().any(|each| equal(&each)));
            has.zip(0..).filter(|(has, _)| *has).map(|(_, group)| group).collect()
        };
        for value in ["1", "2", "\"x\"", "null", "[]", "-7.5", "17"] {
            prop_assert_eq!(found(value, first, run.groups(), &pages), Some(expected(value)), "{}", value);
        }
        let last = first + values.len() as u64 - 1;
        let wanted: Vec<_> = (first - 1..last).skip(per_group).step_by(per_group).chain([last]).collect();
        prop_assert_eq!(ends(first, run.groups(), &pages), Some(wanted));
    }

    #[test]
    fn a_page_of_hashes_with_a_right_checksum_says_only_what_a_run_can_have(
        values in values(),
        change in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
        groups in prop_oneof![1..500_u64, 1..u64::from(u32::MAX)],
        pages in prop_oneof![1..4_u64, 1..1_u64 << 24],
        number in any::<prop::sample::Index>(),
    ) {
        let spread = Spread { groups, pages };
        let number = number.index(usize::try_from(pages).unwrap()) as u64;
        let place = Part::new(1, KEY, spread).hashes(number);
        let body = changed(&pages_of(&mut run_of(&values, 1, 2)).1[0], &change, length);
        let mut entries = Vec::new();
        decode_hashes(&place.seal(&body), place, |entry| {
            entries.push(entry);
            true
        });
        prop_assert!(entries.len() as u64 <= spread.max_entries());
        prop_assert!(entries.len() <= 8 * body.len());
        prop_assert!(entries.is_sorted_by(|one, next| one < next));
        for entry in entries {
            prop_assert!(entry & u64::from(u32::MAX) < groups);
            prop_assert_eq!(spread.page_of(entry << 8), number);
        }
    }

    #[test]
    fn a_page_of_groups_with_a_right_checksum_has_ascending_ones(
        values in values(),
        change in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
    ) {
        let place = Part::new(1, KEY, Spread { groups: 1, pages: 1 }).groups(0);
        let body = changed(&pages_of(&mut run_of(&values, 1, 2)).0[0], &change, length);
        if let Some((first, groups)) = decode_groups(&place.seal(&body), place) {
            prop_assert!(groups.len() <= GROUPS_PER_PAGE);
            prop_assert!(groups.iter().all(|(last, _)| *last >= first && *last < u64::MAX));
            prop_assert!(groups.is_sorted_by(|(one, _), (next, _)| one < next));
            for (_, bounds) in groups {
                Interval::Numbers(Some(1.0), None).meets(&bounds);
                Interval::Texts(None, Some(b"x".to_vec())).meets(&bounds);
            }
        }
    }

    #[test]
    fn runs_with_pages_of_right_checksums_are_merged_or_refused(
        values in values(),
        changes in vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 0..3),
        first in 1..3_u64,
        groups in prop_oneof![Just(None), (0..300_u32).prop_map(Some)],
    ) {
        let mut before = run_of(&values, 1, 1);
        let groups = groups.unwrap_or(before.groups());
        let mut pages = pages_of(&mut before);
        let part = part_of(first, groups, &pages);
        for (is_hashes, at, byte) in changes {
            let list = if is_hashes { &mut pages.1 } else { &mut pages.0 };
            let number = at.index(list.len());
            let place = if is_hashes { part.hashes(number as u64) } else { part.groups(number as u64) };
            list[number] = place.seal(&changed(&list[number], &[(at, byte)], at));
        }
        let mut run = run_of(&["1", "2"], values.len() as u64 + 1, 1);
        if run.prepend(first, groups, &[pages]).is_some() {
            prop_assert_eq!(run.groups(), groups + 2);
            let pages = pages_of(&mut run);
            prop_assert_eq!(ends(first, run.groups(), &pages).map(|ends| ends.len()), Some(run.groups() as usize));
            let groups = found("2", first, run.groups(), &pages);
            prop_assert!(groups.is_some_and(|found| found.contains(&(run.groups() - 1))));
        }
    }
}

/// The body of a page with some bytes changed, and truncated or extended.
fn changed(page: &[u8], change: &[(prop::sample::Index, u8)], length: prop::sample::Index) -> Vec<u8> {
    let mut body = page[4..].to_vec();
    for (at, byte) in change {
        let at = at.index(body.len());
        body[at] = *byte;
    }
    if !change.is_empty() {
        body.resize((length.index(2 * body.len())).max(1), 0);
    }
    body
}

#[test]
fn a_run_has_as_many_pages_as_its_values_need() {
    let texts: Vec<_> = (0..9000).map(|number| format!("\"{number}\"")).collect();
    let values: Vec<_> = texts.iter().map(String::as_str).collect();
    let mut run = run_of(&values, 5, 60);
    assert_eq!(run.groups(), 150);
    let pages = pages_of(&mut run);
    assert_eq!((pages.0.len(), pages.1.len()), (2, 5));
    let size: usize = pages.1.iter().map(Vec::len).sum();
    // 24 bits of a hash in 150 groups, 9,000 times: log2(2^24 * 150 / 9000) bits, and 1.5 for the code.
    assert!(size * 8 < 9000 * 20, "{size} bytes");
    for (value, number) in values.iter().zip(0..) {
        let groups = found(value, 5, run.groups(), &pages).unwrap();
        assert!(groups.contains(&(number / 60)), "{value}");
    }
}

#[test]
fn a_page_with_more_entries_than_its_run_can_have_is_refused() {
    let place = Part::new(1, KEY, Spread { groups: 1 << 20, pages: 1 }).hashes(0);
    // 2,049 entries of one bit each: all gaps are 0.
    let page = |count: u16| [&[count.to_le_bytes()[0] | 0x80, 16, 0][..], &[0; 300]].concat();
    assert!(groups_with(&place.seal(&page(0)), 0, place).is_some_and(|groups| groups.len() == 2048));
    assert_eq!(groups_with(&place.seal(&page(1)), 0, place), None);
}

#[test]
fn runs_whose_groups_do_not_follow_each_other_are_not_merged() {
    let pages = pages_of(&mut run_of(&["1"; 150], 1, 1));
    let merged = |pages: &Pages, start: u64| {
        let mut run = run_of(&["2"], start, 1);
        run.prepend(1, 150, std::slice::from_ref(pages)).map(|()| pages_of(&mut run))
    };
    assert!(merged(&pages, 151).is_some());
    // The last of its groups are in the later run, too.
    assert!(merged(&pages, 150).is_none());
    // The second page repeats groups of the first one: 22 of one record each, from record 1 on.
    let part = part_of(1, 150, &pages);
    let body = [&[1][..], &[0; 44]].concat();
    let forged = (vec![pages.0[0].clone(), part.groups(1).seal(&body)], pages.1.clone());
    assert!(merged(&forged, 151).is_none());
}

#[test]
fn a_page_is_only_read_where_it_belongs() {
    let mut run = run_of(&["1", "2", "3"], 1, 1);
    let pages = pages_of(&mut run);
    let part = part_of(1, 3, &pages);
    assert!(decode_groups(&pages.0[0], part.groups(0)).is_some());
    for other in [
        Part { first: 2, ..part }.groups(0),
        Part::new(1, "b", part.spread).groups(0),
        part_of(1, 4, &pages).groups(0),
        part.hashes(0),
        part.groups(1),
    ] {
        assert!(decode_groups(&pages.0[0], other).is_none(), "{other:?}");
    }
    let invalid =
        [(0, 1), (1, 0), (1, 1 << 25), (1 << 33, 1)].map(|(groups, pages)| Spread { groups, pages });
    assert!(invalid.iter().all(|spread| !spread.is_valid()));
}

#[test]
fn a_group_ends_with_its_size_and_unreadable_records_are_noted_in_stretches() {
    let mut run = Run::new(&[KEY.to_owned()], 1);
    run.end_group();
    assert_eq!(run.groups(), 0);
    run.add(1, &vec![b' '; GROUP_SIZE]);
    assert!(run.is_group_full());
    run.end_group();
    assert_eq!((run.groups(), run.is_group_full()), (1, false));
    for number in [2, 3, 5, 6, 7] {
        assert!(run.add_unreadable(number).is_some());
    }
    run.end_group();
    assert_eq!((run.groups(), &run.unreadable[..]), (2, &[(2, 3), (5, 7)][..]));
    let stretches: BTreeSet<_> = (0..1001).map(|each| run.add_unreadable(10 + 2 * each).is_some()).collect();
    assert_eq!(stretches, BTreeSet::from([true, false]));
}
