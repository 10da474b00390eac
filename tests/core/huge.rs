//! Records at the limit of the format, which take too much memory and time for a normal test run:
//! `cargo test --profile fast --test core -- --ignored`.

use capturefile::{CompressionLevel, Error, OpenOptions, SyncMode};

use crate::image::geometry;
use crate::support::{Place, noise, refused};

const MAX_RECORD_LEN: usize = u32::MAX as usize;

fn options() -> OpenOptions {
    let level = CompressionLevel::new(1).unwrap();
    let geometry = geometry(4096, 32768, 2);
    OpenOptions::new().write(true).sync(SyncMode::None).compression_level(level).geometry(geometry)
}

#[test]
#[ignore = "takes 13 GB of memory and some minutes"]
fn the_longest_record_is_stored_together_with_the_node_that_it_fills() {
    let place = Place::new();
    let file = options().open(&place.path).unwrap();
    file.add_record(b"first").unwrap();
    file.add_record(&vec![b'x'; MAX_RECORD_LEN]).unwrap();
    file.add_record(b"last").unwrap();
    file.commit().unwrap();
    drop(file);
    let snapshot = place.reader().snapshot().unwrap();
    assert_eq!(&*snapshot.record(1).unwrap(), b"first");
    assert_eq!(&*snapshot.record(3).unwrap(), b"last");
    let longest = snapshot.record(2).unwrap();
    assert!(longest.len() == MAX_RECORD_LEN && longest.iter().all(|&byte| byte == b'x'));
}

#[test]
#[ignore = "takes 13 GB of memory and some minutes"]
fn records_that_are_too_long_for_the_format_are_refused_and_nothing_else_is_lost() {
    let place = Place::new();
    let file = options().open(&place.path).unwrap();
    file.add_record(b"first").unwrap();
    // An incompressible record becomes longer than the length field of the stream allows.
    let mut record = noise(1, 1 << 20).repeat(4097);
    record.truncate(MAX_RECORD_LEN);
    let error = refused(file.add_record(&record));
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    record.resize(MAX_RECORD_LEN + 1, 0);
    let error = refused(file.add_record(&record));
    let expected = matches!(error, Error::TooLarge { length, limit, .. } if length == 1 << 32 && limit == MAX_RECORD_LEN as u64);
    assert!(expected, "{error}");
    assert!(matches!(refused(file.set_metadata(Some(&record))), Error::TooLarge { .. }));
    drop(record);
    file.add_record(b"last").unwrap();
    file.commit().unwrap();
    let snapshot = place.reader().snapshot().unwrap();
    assert_eq!(snapshot.record_count(), 2);
    assert_eq!(&*snapshot.record(2).unwrap(), b"last");
}
