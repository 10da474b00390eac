//! Files that no writer has made, with correct checksums.

use super::{Sample, recovered};
use crate::format::in_memory;
use crate::simulation::random::Random;
use crate::v3::format::checksum;
use crate::v3::format::frame::FrameHeader;
use crate::v3::format::head::{FrameArea, Head};
use crate::write::options::Compression;

/// Returns the file with a number changed in a head, an entry or a frame, and with correct checksums.
fn forged(sample: &Sample, random: &mut Random) -> Vec<u8> {
    let mut bytes = sample.bytes.clone();
    let seed = sample.header.seed();
    let numbers = [0, 1, 2, 7, 512, 4096, 1 << 31, u64::from(u32::MAX), (1 << 62) - 1, 1 << 62, u64::MAX];
    for _ in 0..=random.below(3) {
        let (part, start) = match random.below(5) {
            0 | 1 => {
                let slot = 1 + random.below(2);
                (512 * slot..512 * slot + 512, 8)
            }
            2 | 3 => (sample.entries[random.below(sample.entries.len())].0.clone(), 0),
            _ => (sample.frames[random.below(sample.frames.len())].0.clone(), 8),
        };
        if part.end > bytes.len() || part.end > in_memory(sample.header.log_end()) && start == 0 {
            continue;
        }
        let at = part.start + start + random.below((part.len() - start).min(160));
        let number = numbers[random.below(numbers.len())].to_be_bytes();
        let number = &number[[0, 4, 7][random.below(3)]..];
        let end = (at + number.len()).min(part.end);
        bytes[at..end].copy_from_slice(&number[..end - at]);
        if start == 0 {
            let before = u64::from_be_bytes(bytes[part.start - 8..part.start].try_into().unwrap());
            let sum = checksum(&bytes[part.start..part.end - 8], before);
            bytes[part.end - 8..part.end].copy_from_slice(&sum.to_be_bytes());
        } else if part.start < 1536 {
            let sum = checksum(&bytes[part.start + 8..part.end], seed);
            bytes[part.start..part.start + 8].copy_from_slice(&sum.to_be_bytes());
        } else {
            let (start, body) = (part.start, part.start + FrameHeader::SIZE);
            let sum = checksum(&bytes[body..part.end], seed);
            bytes[start + 64..start + 72].copy_from_slice(&sum.to_be_bytes());
            let sum = checksum(&bytes[start..body - 8], seed);
            bytes[body - 8..body].copy_from_slice(&sum.to_be_bytes());
        }
    }
    // Without heads, the headers of frames are trusted.
    if random.below(3) == 0 {
        bytes[512..1536].fill(0);
    }
    bytes
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn numbers_that_cannot_be_behind_right_checksums_are_no_more_than_damage() {
    let sample = Sample::new(47, Compression::None);
    let mut random = Random::new(3);
    for round in 0..400 {
        match recovered(forged(&sample, &mut random), round % 2 == 0) {
            Ok((recovery, ..)) => assert!(recovery.recovered < 100_000, "{round}: {recovery:?}"),
            Err(error) => assert!(error.is_corrupt(), "{round}: {error}"),
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no C")]
fn entries_before_a_head_without_frames_for_them_are_not_commits() {
    let sample = Sample::new(3, Compression::None);
    let (last, entry) = sample.entries.iter().max_by_key(|(_, entry)| entry.position).unwrap();
    let seed = u64::from_be_bytes(sample.bytes[last.end - 8..last.end].try_into().unwrap());
    let mut bytes = sample.bytes.clone();
    for serial in [2, 3] {
        let (begin, frames) = (entry.end(), FrameArea::none(&sample.header));
        let head = Head { serial, begin, seed, sure: begin, time: entry.time, frames };
        let at = in_memory(sample.header.head_position(serial));
        bytes[at..at + 512].copy_from_slice(&head.encode(&sample.header));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged.capture");
    std::fs::write(&path, &bytes).unwrap();
    let report = crate::verify(&path).unwrap();
    assert!(report.is_sound() && report.record_count == 0, "{report:?}");
    let (recovery, records, metadata) = recovered(bytes, false).unwrap();
    assert!(recovery.is_complete(), "{recovery:?}");
    assert_eq!((records, metadata), (vec![], None));
}
