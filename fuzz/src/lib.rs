//! The fuzz targets, as functions of the bytes that a fuzzer generates.
//!
//! Each function panics if the library panics, returns an error of the wrong kind, contradicts itself, or takes more
//! memory than a file of that length may require. The programs in `fuzz_targets/` pass these functions to a
//! coverage-guided engine; `tests/` calls them with known inputs.

mod checksums;
mod checksums_3;
mod exercise;
#[expect(dead_code, reason = "the crate uses the rest")]
#[path = "../../src/field_index/mod.rs"]
mod field_index;
mod index;
mod memory;
mod model;
mod recovery;
mod temporary_file;

/// Opens a file of these bytes, reads everything in it, and writes to it.
pub fn open_and_read(data: &[u8]) {
    memory::bounded(data.len(), || exercise::use_fully(&temporary_file::holding(data)));
}

/// Does the same as [`open_and_read`] after correcting the checksums, so that they do not reveal damage inside.
pub fn open_with_right_checksums(data: &[u8]) {
    let mut data = data.to_vec();
    checksums::put_right(&mut data);
    open_and_read(&data);
}

/// Runs `work` and returns the peak growth of the memory in use, in bytes, in all threads.
pub fn most_memory(work: impl FnOnce()) -> usize {
    memory::peak_during(work)
}

/// Recovers a file of these bytes; if their number is odd, with corrected checksums.
pub fn recover(data: &[u8]) {
    let mut data = data.to_vec();
    if !data.len().is_multiple_of(2) {
        checksums::put_right(&mut data);
    }
    let keep_numbers = data.len() % 4 > 1;
    memory::bounded(data.len(), || {
        recovery::recover_and_compare(&temporary_file::holding(&data), keep_numbers);
    });
}

/// Performs the operations that these bytes describe on a file, and on a plain list.
pub fn operate(data: &[u8]) {
    model::run(data, &model::FORMAT_2);
}

/// Does the same as [`operate`] with a file of format 3.
pub fn operate_3(data: &[u8]) {
    model::run(data, &model::FORMAT_3);
}

/// Reads and merges pages of an index that are made of these bytes, with right checksums.
pub fn index_pages(data: &[u8]) {
    memory::bounded(data.len(), || index::use_pages(data));
}

/// What fuzzing of `index_pages` starts from, by name.
#[must_use]
pub fn index_seeds() -> Vec<(String, Vec<u8>)> {
    index::seeds()
}
