//! Helpers of the tests: a folder for files, records of known content, and comparisons.

use std::path::{Path, PathBuf};

use capturefile::{CaptureFile, Geometry, OpenOptions, Snapshot, SyncMode, verify};
use tempfile::TempDir;

use super::super::FORMAT;

/// A folder that is deleted at the end of the test, and the path of a file in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.capture");
        Self { folder, path }
    }

    /// A place with a file of these bytes.
    pub(crate) fn with(bytes: &[u8]) -> Self {
        let place = Self::new();
        std::fs::write(&place.path, bytes).unwrap();
        place
    }

    pub(crate) fn writer(&self) -> CaptureFile {
        writing().open(&self.path).unwrap()
    }

    pub(crate) fn reader(&self) -> CaptureFile {
        CaptureFile::open(&self.path).unwrap()
    }
}

/// Options for a writer that does not wait for the disk.
pub(crate) fn writing() -> OpenOptions {
    OpenOptions::new().write(true).sync(SyncMode::None).format(FORMAT)
}

/// The same for a file with these sizes, or the nearest that the format allows, and with a small log.
pub(crate) fn writing_as(geometry: Geometry) -> OpenOptions {
    if FORMAT == 2 {
        return writing().geometry(geometry);
    }
    let geometry = geometry
        .with_version(FORMAT)
        .with_page_size(geometry.page_size.next_multiple_of(8))
        .with_block_size(geometry.block_size.max(512))
        .with_fan_out(geometry.fan_out.min(256));
    let least = 8 * geometry.block_size.max(geometry.page_size);
    writing().geometry(geometry).log_size(least.next_multiple_of(geometry.page_size))
}

/// Verifies the whole file if it is in format 2.
pub(crate) fn check(path: &Path) {
    if FORMAT == 2 {
        assert_eq!(verify(path).unwrap().problems, []);
    }
}

/// Incompressible bytes, different for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Record `number` of files with known content: the lengths vary and include 0.
pub(crate) fn record(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * number % 97).unwrap();
    match number % 7 {
        0 => Vec::new(),
        1 => noise(number, 10 * length),
        _ => format!("record {number} ").into_bytes().repeat(1 + length / 10),
    }
}

/// Adds record `number`.
pub(crate) fn add(file: &CaptureFile, number: u64) {
    assert_eq!(file.add_record(&record(number)).unwrap(), number);
}

/// The error of a call that must fail.
pub(crate) fn refused<T>(result: capturefile::Result<T>) -> capturefile::Error {
    result.err().unwrap_or_else(|| panic!("the call succeeded"))
}

pub(crate) fn records(count: u64) -> Vec<Vec<u8>> {
    (1..=count).map(record).collect()
}

/// All records that a snapshot shows.
pub(crate) fn all(snapshot: &std::sync::Arc<Snapshot>) -> Vec<Vec<u8>> {
    snapshot.records(1).map(|record| record.unwrap().to_vec()).collect()
}

pub(crate) fn all_of(file: &CaptureFile) -> Vec<Vec<u8>> {
    all(&file.snapshot().unwrap())
}

pub(crate) fn metadata_of(file: &CaptureFile) -> Option<Vec<u8>> {
    file.snapshot().unwrap().metadata().unwrap().map(|metadata| metadata.to_vec())
}
