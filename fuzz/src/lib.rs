//! What a fuzzer does with a capture file, as functions of the bytes that it made up.
//!
//! Each function panics if the library does what it must not: panics itself, gives an error of the wrong
//! kind, contradicts itself, or takes more memory than a file of that length may cost. The programs in
//! `fuzz_targets/` give them to a coverage-guided engine; `tests/` gives them known inputs.

mod checksums;
mod checksums_3;
mod exercise;
mod memory;
mod model;
mod recovery;
mod temporary_file;

/// Opens a file of these bytes, reads everything in it, and writes to it.
pub fn open_and_read(data: &[u8]) {
    memory::bounded(data.len(), || exercise::use_fully(&temporary_file::holding(data)));
}

/// The same after putting its checksums right, so that what is damaged inside gets past them.
pub fn open_with_right_checksums(data: &[u8]) {
    let mut data = data.to_vec();
    checksums::put_right(&mut data);
    open_and_read(&data);
}

/// Runs `work` and returns by how many bytes the memory in use grew at most meanwhile, in all threads.
pub fn most_memory(work: impl FnOnce()) -> usize {
    memory::peak_during(work)
}

/// Recovers what a file of these bytes holds; with its checksums put right if their number is odd.
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

/// Does the operations that these bytes stand for to a file, and to a plain list beside it.
pub fn operate(data: &[u8]) {
    model::run(data, &model::FORMAT_2);
}

/// The same with a file in version 3 of the format.
pub fn operate_3(data: &[u8]) {
    model::run(data, &model::FORMAT_3);
}
