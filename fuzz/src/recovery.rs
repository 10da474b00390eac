//! Recovers a file, and checks the new file.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use capturefile::{CaptureFile, Error, MetadataOutcome, RecoverOptions, Recovery, Snapshot, verify};

/// Maximum number of progress reports before recovery is cancelled: a small file can hold too many records to
/// wait for.
const PATIENCE: u32 = 5;
/// Number of records that are compared, from each end.
const COMPARED: u64 = 20;

/// Recovers the file at `source` into a new one, and compares the two.
pub(crate) fn recover_and_compare(source: &Path, keep_numbers: bool) {
    let target = source.with_extension("recovered");
    let mut patience = PATIENCE;
    let stop = |_| {
        patience -= 1;
        if patience > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = RecoverOptions::new().overwrite(true).keep_numbers(keep_numbers).progress(stop);
    match options.recover(source, &target) {
        Ok(recovery) => {
            let new = check_new(&target, &recovery);
            compare(source, &new, &recovery);
        }
        // The index of the new file can be full if the old file specifies a small one.
        Err(Error::Corrupt { .. } | Error::IndexFull { .. }) => {}
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::Interrupted => {}
        Err(error) => panic!("not the error for a file that cannot be recovered: {error}"),
    }
}

/// Checks that the new file is sound and agrees with the report.
fn check_new(target: &Path, recovery: &Recovery) -> Arc<Snapshot> {
    let report = verify(target).expect("a new file");
    assert_eq!(report.problems, []);
    assert_eq!(report.record_count, recovery.record_count);
    assert!(recovery.recovered <= recovery.record_count);
    let snapshot = CaptureFile::open(target).and_then(|file| file.snapshot()).expect("a new file");
    let has_metadata = snapshot.metadata().expect("a new file").is_some();
    assert_eq!(has_metadata, recovery.metadata == MetadataOutcome::Recovered);
    snapshot
}

/// Checks that everything in a sound file is recovered. Recovery of a damaged file may find more than can be read, but
/// nothing different, if it reports that it is complete. A log that ends with part of a commit is sound, but may be
/// damaged.
fn compare(source: &Path, new: &Arc<Snapshot>, recovery: &Recovery) {
    let Ok(report) = verify(source) else {
        return;
    };
    let sound = report.problems.is_empty() && report.repairable.is_empty();
    let is_torn = recovery.problems.iter().any(|problem| problem.found.starts_with("a log that breaks off"));
    let has_all = recovery.is_complete() || is_torn && sound;
    assert!(has_all || !sound, "not all of a sound file was recovered: {recovery:?}");
    if !has_all {
        return;
    }
    let old = CaptureFile::open(source).and_then(|file| file.snapshot()).expect("it was verified");
    let count = old.record_count();
    let may_be_more = is_torn || !sound;
    assert!(count == new.record_count() || may_be_more && count < new.record_count(), "{recovery:?}");
    for number in (1..=count.min(COMPARED)).chain(count.saturating_sub(COMPARED) + 1..=count) {
        let recovered = new.record(number).expect("a new file");
        let same = old.record(number).map_or(!sound, |record| *record == *recovered);
        assert!(same, "record {number} differs");
    }
    if !recovery.is_complete() {
        return;
    }
    let recovered = new.metadata().expect("a new file");
    let same = old.metadata().map_or(!sound, |metadata| metadata.as_deref() == recovered.as_deref());
    assert!(same, "the metadata differs");
}
