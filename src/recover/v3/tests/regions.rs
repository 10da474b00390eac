//! Destroys every region of a real file in turn, among them those with the header and both heads.

use super::{Sample, noise};
use crate::v3::format::frame::Kind;
use crate::write::options::Compression;

/// Destroys each region between two of the places that are this far apart; returns their number.
fn destroy_regions(sample: &Sample, step: usize) -> usize {
    let mut regions = 0;
    for start in (0..sample.limit).step_by(step) {
        for end in (start..sample.limit).step_by(step).skip(1).chain([sample.limit]) {
            sample.check(&format!("{start}..{end}"), &[start..end], noise);
            regions += 1;
        }
    }
    regions
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn every_region_of_a_file_is_destroyed_in_turn_and_all_else_comes_back() {
    let sample = Sample::new(47, Compression::Zstd);
    assert!(destroy_regions(&sample, 700) > 300);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn every_region_of_a_file_without_frames_is_destroyed_in_turn_and_all_else_comes_back() {
    let sample = Sample::new(4, Compression::Lz4);
    assert!(sample.frames.is_empty());
    assert!(destroy_regions(&sample, 170) > 300);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn nothing_is_lost_with_the_header_and_both_heads() {
    for commits in [4, 47, 150] {
        let sample = Sample::new(commits, Compression::None);
        let recovery = sample.check(&format!("{commits} commits"), &[0..1536], noise);
        assert_eq!(recovery.recovered, sample.records.len() as u64, "{commits} commits");
        assert!(recovery.lost.is_empty() && recovery.uncertain.is_empty(), "{commits} commits: {recovery:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn the_last_block_of_a_file_suffices_to_know_what_it_was() {
    let sample = Sample::new(150, Compression::Zstd);
    let is_block = |kind| kind == Kind::Records;
    let (last, frame) = sample.frames.iter().rfind(|(_, frame)| is_block(frame.kind)).unwrap();
    let recovery = sample.check("all but the last block", &[0..last.start, last.end..sample.limit], noise);
    assert_eq!(recovery.recovered, u64::from(frame.count));
    assert_eq!(recovery.lost[0].last, frame.first - 1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn records_of_a_destroyed_beginning_are_lost_under_their_numbers() {
    let sample = Sample::new(150, Compression::Zstd);
    let blocks: Vec<_> = sample.frames.iter().filter(|(_, frame)| frame.kind == Kind::Records).collect();
    for (part, frame) in blocks[..blocks.len() - 5].iter().step_by(5).skip(1) {
        let recovery = sample.check(&format!("0..{}", part.start), &[0..part.start], noise);
        let lost: Vec<_> = recovery.lost.iter().map(|lost| (lost.first, lost.last, lost.exact)).collect();
        assert_eq!(lost, [(1, frame.first - 1, true)]);
    }
}
