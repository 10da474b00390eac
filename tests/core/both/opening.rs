//! Opening, creating and replacing files, and the error messages.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use capturefile::{CaptureFile, Compression, CompressionLevel, Error, OpenOptions, SyncMode};

use super::super::FORMAT;
use super::support::{Place, add, all_of, metadata_of, record, records, refused, writing};

#[cfg(unix)]
mod numbers {
    pub(super) const NOT_FOUND: i32 = libc::ENOENT;
    pub(super) const EXISTS: i32 = libc::EEXIST;
    pub(super) const FOLDER: i32 = libc::EISDIR;
    pub(super) const NO_FOLDER: i32 = libc::ENOENT;
    pub(super) const BELOW_A_FILE: i32 = libc::ENOTDIR;
}
#[cfg(windows)]
mod numbers {
    use windows_sys::Win32::Foundation as system;

    pub(super) const NOT_FOUND: i32 = system::ERROR_FILE_NOT_FOUND.cast_signed();
    pub(super) const EXISTS: i32 = system::ERROR_FILE_EXISTS.cast_signed();
    pub(super) const FOLDER: i32 = system::ERROR_ACCESS_DENIED.cast_signed();
    pub(super) const NO_FOLDER: i32 = system::ERROR_PATH_NOT_FOUND.cast_signed();
    pub(super) const BELOW_A_FILE: i32 = NO_FOLDER;
}
use numbers::{BELOW_A_FILE, EXISTS, FOLDER, NO_FOLDER, NOT_FOUND};

/// Checks that an error is the system's, with its number, the file, and a message that names both.
pub(super) fn assert_system(error: &Error, action: &str, at: &Path, number: i32) {
    let Error::Io { path, action: tried, source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((path.as_path(), *tried, source.raw_os_error()), (at, action, Some(number)), "{error}");
    assert_eq!(error.to_string(), format!("cannot {action} {at:?}: {source}"));
    assert!(std::error::Error::source(error).is_some());
}

pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns a file with records 1 to 5, and metadata.
pub(super) fn with_records() -> Place {
    let place = Place::new();
    let file = place.writer();
    (1..=5).for_each(|number| add(&file, number));
    file.set_metadata(Some(b"old")).unwrap();
    file.commit().unwrap();
    drop(file);
    place
}

#[test]
fn reading_a_missing_file_does_not_create_it() {
    let place = Place::new();
    assert_system(&refused(CaptureFile::open(&place.path)), "open", &place.path, NOT_FOUND);
    assert!(names_in(place.folder.path()).is_empty());
}

#[test]
fn writing_creates_a_file_once_and_then_opens_it() {
    let place = Place::new();
    for count in 1..=3 {
        let file = OpenOptions::new().write(true).format(FORMAT).open(&place.path).unwrap();
        assert!(file.is_writer() && file.path() == place.path);
        add(&file, count);
        file.commit().unwrap();
    }
    assert_eq!(all_of(&place.reader()), records(3));
    assert_eq!(names_in(place.folder.path()), ["log.capture"]);
}

#[test]
fn create_new_refuses_an_existing_file_of_any_kind() {
    let place = with_records();
    let before = fs::read(&place.path).unwrap();
    for options in [writing().create_new(true), OpenOptions::new().format(FORMAT).create_new(true)] {
        assert_system(&refused(options.open(&place.path)), "create", &place.path, EXISTS);
    }
    let folder = place.folder.path();
    let error = refused(writing().create_new(true).open(folder));
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists),
        "{error}"
    );
    assert!(fs::read(&place.path).unwrap() == before);
    assert_eq!(names_in(folder), ["log.capture"]);
    let new = folder.join("new.capture");
    assert!(OpenOptions::new().format(FORMAT).create_new(true).open(&new).unwrap().is_writer());
}

#[test]
fn replacing_gives_an_empty_file_for_writing_and_for_reading() {
    for write in [true, false] {
        let place = with_records();
        let options = writing().write(write).replace(true).initial_metadata(Some(b"new".to_vec()));
        let file = options.open(&place.path).unwrap();
        assert_eq!(file.is_writer(), write);
        assert_eq!((all_of(&file).len(), metadata_of(&file)), (0, Some(b"new".to_vec())));
        assert_eq!(names_in(place.folder.path()), ["log.capture"]);
        drop(file);
        fs::remove_file(&place.path).unwrap();
        let error = refused(options.clone().create(false).open(&place.path));
        assert_system(&error, "open", &place.path, NOT_FOUND);
        drop(options.open(&place.path).unwrap());
        assert_eq!(metadata_of(&place.reader()).unwrap(), b"new");
        drop(options.create(false).open(&place.path).unwrap());
    }
    let other = Place::with(b"something else altogether");
    drop(writing().replace(true).open(&other.path).unwrap());
    assert!(all_of(&other.reader()).is_empty());
}

#[test]
fn a_failed_replacement_leaves_the_old_file() {
    let place = with_records();
    let before = fs::read(&place.path).unwrap();
    let unusable = capturefile::Geometry::new().with_page_size(1);
    let error = refused(writing().replace(true).geometry(unusable).open(&place.path));
    assert_eq!(error.to_string(), "page_size cannot be 1: it must be at least 512 bytes");
    assert!(fs::read(&place.path).unwrap() == before);
}

#[test]
fn folders_and_missing_folders_are_system_errors() {
    let place = Place::new();
    let folder = place.folder.path();
    assert_system(&refused(CaptureFile::open(folder)), "open", folder, FOLDER);
    assert_system(&refused(writing().open(folder)), "open", folder, FOLDER);
    assert_system(&refused(writing().replace(true).open(folder)), "open", folder, FOLDER);
    let nowhere = folder.join("no such folder/log.capture");
    assert_system(&refused(CaptureFile::open(&nowhere)), "open", &nowhere, NO_FOLDER);
    for options in [writing(), writing().replace(true), writing().create_new(true)] {
        assert_system(&refused(options.open(&nowhere)), "create", &nowhere, NO_FOLDER);
    }
    fs::write(folder.join("file"), b"").unwrap();
    let below_a_file = folder.join("file/log.capture");
    // Windows does not distinguish a file where a folder is expected from a missing folder.
    let to_write = if cfg!(windows) { "create" } else { "open" };
    for (options, action) in
        [(OpenOptions::new(), "open"), (writing(), to_write), (writing().replace(true), to_write)]
    {
        assert_system(&refused(options.open(&below_a_file)), action, &below_a_file, BELOW_A_FILE);
    }
    assert!(matches!(refused(writing().open("")), Error::Io { .. }));
}

#[test]
fn the_error_of_a_call_that_writes_on_a_reader_names_the_file() {
    let place = with_records();
    let reader = place.reader();
    let errors = [
        refused(reader.add_record(b"x")),
        refused(reader.try_add_record(b"x")),
        refused(reader.add_records([b"x"])),
        refused(reader.batch()),
        refused(reader.set_metadata(None)),
        refused(reader.commit()),
        refused(reader.rollback()),
    ];
    for error in errors {
        assert_eq!(
            error.to_string(),
            format!("{:?} is open for reading; open it for writing first", place.path)
        );
        assert!(matches!(error, Error::NotOpenForWrite { path, .. } if path == place.path));
    }
    assert_eq!(reader.close(), 0);
    assert_eq!(all_of(&reader), records(5));
}

#[test]
fn compression_levels_go_from_1_to_12_and_with_zstandard_to_22() {
    let most = if FORMAT == 2 { 12 } else { 22 };
    for level in 1..=most {
        let place = Place::new();
        let level = CompressionLevel::new(level).unwrap();
        add(&writing().compression_level(level).open(&place.path).unwrap(), 1);
    }
    for level in [0, most + 1, 23, u32::MAX] {
        let place = Place::new();
        let open = |level| writing().compression_level(level).open(&place.path);
        let result = refused(CompressionLevel::new(level).and_then(open)).to_string();
        let expected = format!(
            "compression_level cannot be {level}: it must be from 1, the fastest, to 12, the smallest"
        );
        assert!(result.starts_with(&expected), "{result}");
        assert!(!place.path.exists());
    }
}

#[test]
fn each_format_has_its_own_compressions() {
    use Compression::{Lz4, None, Zlib, Zstd};
    let own: &[Compression] = if FORMAT == 2 { &[Zlib] } else { &[Zstd, Lz4, None] };
    for compression in [Zlib, Zstd, Lz4, None] {
        let place = Place::new();
        let opened = writing().compression(compression).open(&place.path);
        if own.contains(&compression) {
            let file = opened.unwrap();
            let long: Vec<_> = (1..=5000).map(record).collect();
            file.add_records(&long).unwrap();
            file.commit().unwrap();
            drop(file);
            assert_eq!(all_of(&place.reader()), long);
        } else {
            let result = refused(opened).to_string();
            let expected = format!("compression cannot be \"{compression}\": it must be");
            assert!(result.starts_with(&expected), "{result}");
            assert!(!place.path.exists());
        }
    }
}

#[test]
fn an_existing_file_stays_in_its_format() {
    let place = Place::new();
    drop(place.writer());
    let other = OpenOptions::new().write(true).sync(SyncMode::None).format(5 - FORMAT);
    for number in 1..=3 {
        let file = other.open(&place.path).unwrap();
        add(&file, number);
        file.commit().unwrap();
        assert_eq!(file.snapshot().unwrap().geometry().version, FORMAT);
    }
    assert_eq!(all_of(&place.reader()), records(3));
    assert_eq!(other.clone().replace(true).open(&place.path).unwrap().record_count().unwrap(), 0);
    assert_eq!(place.reader().snapshot().unwrap().geometry().version, 5 - FORMAT);
}

#[test]
fn a_file_whose_creation_was_interrupted_is_completed() {
    let whole = Place::new();
    drop(place_of_an_empty_file(&whole).writer());
    let mut bytes = std::fs::read(&whole.path).unwrap();
    // The header is written last, before the opening entry of format 3.
    bytes[..72].fill(0);
    if FORMAT == 3 {
        bytes[3 * 4096..4 * 4096].fill(0);
    }
    let page = 4096;
    for cut in [bytes.len(), 0] {
        for missing in [0..0, page..2 * page, page..3 * page] {
            let mut left = bytes[..cut].to_vec();
            if cut > 0 {
                left[missing].fill(0);
            }
            let place = Place::with(&left);
            add(&place.writer(), 1);
            assert_eq!(place.reader().record_count().unwrap(), 0);
        }
    }
    bytes[3 * page + 100] = 1;
    let place = Place::with(&bytes);
    assert!(refused(writing().open(&place.path)).is_corrupt());
    assert_eq!(std::fs::read(&place.path).unwrap(), bytes);
}

/// The same place, with an empty file in it.
fn place_of_an_empty_file(place: &Place) -> &Place {
    std::fs::write(&place.path, b"").unwrap();
    place
}

#[test]
fn debug_output_names_the_file_and_omits_its_bytes() {
    let place = with_records();
    let file = place.writer();
    add(&file, 6);
    let snapshot = file.snapshot().unwrap();
    let printed = [
        format!("{file:?}"),
        format!("{:?}", place.reader()),
        format!("{snapshot:?}"),
        format!("{:?}", snapshot.records(1)),
        format!("{:?}", snapshot.records_at(&[1, 2]).unwrap()),
        format!("{:?}", file.batch().unwrap()),
    ];
    for printed in printed {
        assert!(printed.contains(&format!("{:?}", place.path)), "{printed}");
        assert!(printed.len() < 500, "{} bytes of debug output", printed.len());
    }
}

#[test]
fn a_file_has_one_identity_under_all_its_names_and_a_copy_has_another() {
    let place = with_records();
    let link = place.folder.path().join("link");
    fs::hard_link(&place.path, &link).unwrap();
    let file = place.reader();
    let identity = file.identity().unwrap();
    assert_eq!(CaptureFile::open(&link).unwrap().identity().unwrap(), identity);
    add(&place.writer(), 6);
    let moved = place.folder.path().join("moved");
    fs::rename(&place.path, &moved).unwrap();
    fs::copy(&moved, &place.path).unwrap();
    assert_eq!(file.identity().unwrap(), identity);
    assert_ne!(place.reader().identity().unwrap(), identity);
}
