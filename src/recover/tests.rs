//! Tests how often recovery reads the same bytes, with a damaged file in memory that records each read.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::file::OpenOptions;
use crate::format::{Geometry, LENGTH_SIZE, Slot, get_u32, in_memory};
use crate::storage::{Map, errno};

type Reads = Arc<Mutex<Vec<Range<usize>>>>;

/// A disk, some of whose bytes cannot be read.
#[derive(Debug)]
pub(super) struct Disk {
    bytes: Vec<u8>,
    bad: Range<usize>,
    /// What was read, in order.
    reads: Reads,
}

impl Disk {
    pub(super) fn new(bytes: Vec<u8>, bad: Range<usize>) -> Self {
        Self { bytes, bad, reads: Reads::default() }
    }
}

impl Storage for Disk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let start = in_memory(position).min(self.bytes.len());
        let end = (start + buffer.len()).min(self.bytes.len());
        self.reads.lock().unwrap().push(start..end);
        if start < self.bad.end && self.bad.start < end {
            return Err(io::Error::from_raw_os_error(errno::UNREADABLE));
        }
        buffer[..end - start].copy_from_slice(&self.bytes[start..end]);
        Ok(end - start)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn drop_cached(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn map(&self, _: u64) -> io::Result<Option<Map>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A sound file of incompressible records, so that all frames are long.
struct Sample {
    bytes: Vec<u8>,
    header: Range<usize>,
    slots: [Range<usize>; 2],
    frames: Vec<Range<usize>>,
    records: u64,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.capture");
        let log = OpenOptions::new().write(true).threads(1).open(&path).unwrap();
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()
        };
        let records = 2000;
        for part in 0..4 {
            for _ in 0..records / 4 {
                log.add_record(&std::array::from_fn::<_, 25, _>(|_| noise()).concat()).unwrap();
            }
            log.set_metadata(Some(&[part])).unwrap();
            log.commit().unwrap();
        }
        let limit = in_memory(log.snapshot().unwrap().file_limit());
        drop(log);
        let bytes = std::fs::read(&path).unwrap();
        let geometry = Geometry::default();
        let slot = |slot| {
            let start = geometry.slot_position(slot);
            in_memory(start)..in_memory(start + geometry.slot_size())
        };
        // Up to the last whole page, since the rest of the last frame is in a slot.
        let whole = in_memory(geometry.whole_pages(limit as u64));
        let next = |frame: &Range<usize>| {
            let end = frame.end + LENGTH_SIZE + get_u32(&bytes, frame.end)? as usize;
            (end <= whole).then_some(frame.end..end)
        };
        let start = in_memory(geometry.data_start());
        let frames = std::iter::successors(next(&(0..start)), next).collect();
        let slots = Slot::BOTH.map(slot);
        Self { bytes, header: 0..Geometry::HEADER_SIZE, slots, frames, records }
    }

    /// Recovers the file after destroying these parts; returns the report and the reads.
    fn recovered_without(&self, destroyed: &[Range<usize>]) -> (Recovery, Vec<Range<usize>>) {
        let mut bytes = self.bytes.clone();
        for part in destroyed {
            bytes[part.clone()].fill(0xA5);
        }
        let disk = Disk::new(bytes, 0..0);
        let reads = Arc::clone(&disk.reads);
        let path = Path::new("damaged.capture");
        let damaged = Damaged::look(path, disk, Monitor::new(path, None)).unwrap();
        let recovery = damaged.recover_into(None, false).unwrap();
        let reads = reads.lock().unwrap().clone();
        (recovery, reads)
    }
}

/// Returns the number of reads that cover all of `part`.
fn times(reads: &[Range<usize>], part: &Range<usize>) -> usize {
    reads.iter().filter(|read| read.start <= part.start && part.end <= read.end).count()
}

/// Returns the number of reads of exactly the stream of a frame.
fn times_inflated(reads: &[Range<usize>], frame: &Range<usize>) -> usize {
    let stream = frame.start + LENGTH_SIZE;
    reads.iter().filter(|read| read.start == stream && read.end >= frame.end).count()
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn no_slot_is_read_and_no_frame_is_inflated_more_often_than_it_has_to_be() {
    let sample = Sample::new();
    assert!(sample.frames.len() >= 10, "{}", sample.frames.len());
    let [a, b] = &sample.slots;
    let (header, frame) = (&sample.header, &sample.frames[5]);
    // The destroyed parts, and how often a slot may then be read. A torn slot is read again, since a writer
    // may be active. Without a header, the start of the file is searched for a copy of one as in version 3.
    // If the sizes are unknown, all possible slots are read once more to find them.
    let cases: [(&[&Range<usize>], usize); 7] = [
        (&[], 1),
        (&[header], 2),
        (&[frame], 1),
        (&[header, frame], 2),
        (&[a], 2),
        (&[a, b], 2),
        (&[header, a, b], 4),
    ];
    for (destroyed, most) in cases {
        let destroyed: Vec<Range<usize>> = destroyed.iter().map(|part| (*part).clone()).collect();
        let (recovery, reads) = sample.recovered_without(&destroyed);
        for slot in &sample.slots {
            assert!(times(&reads, slot) <= most, "slot {slot:?} without {destroyed:?}");
        }
        let sound = sample.frames.iter().filter(|frame| !destroyed.contains(frame));
        for frame in sound {
            // Not at all if its end is in a slot.
            assert!(times_inflated(&reads, frame) <= 1, "frame {frame:?} without {destroyed:?}");
        }
        let is_all = destroyed.iter().all(|part| part == header);
        assert_eq!(recovery.recovered == sample.records, is_all, "{destroyed:?}");
    }
}
