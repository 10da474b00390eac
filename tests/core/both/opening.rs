//! Opening, creating and replacing files, and what the errors say.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use capturefile::{CaptureFile, Compression, CompressionLevel, Error, OpenOptions, SyncMode};
use nix::libc;
use nix::unistd::{Uid, mkfifo};

use super::super::FORMAT;
use super::support::{Place, add, all_of, metadata_of, record, records, refused, writing};

/// Checks that an error is the system's, with its number, the file and a message that names both.
fn assert_system(error: &Error, action: &str, at: &Path, number: i32) {
    let Error::Io { path, action: tried, source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((path.as_path(), *tried, source.raw_os_error()), (at, action, Some(number)), "{error}");
    assert_eq!(error.to_string(), format!("cannot {action} {at:?}: {source}"));
    assert!(std::error::Error::source(error).is_some());
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A file with records 1 to 5, and metadata.
fn with_records() -> Place {
    let place = Place::new();
    let file = place.writer();
    (1..=5).for_each(|number| add(&file, number));
    file.set_metadata(Some(b"old")).unwrap();
    file.commit().unwrap();
    drop(file);
    place
}

#[test]
fn reading_a_missing_file_makes_none() {
    let place = Place::new();
    assert_system(&refused(CaptureFile::open(&place.path)), "open", &place.path, libc::ENOENT);
    assert!(names_in(place.folder.path()).is_empty());
}

#[test]
fn writing_makes_a_file_once_and_opens_it_from_then_on() {
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
fn create_new_refuses_a_file_that_is_there_whatever_it_is() {
    let place = with_records();
    let before = fs::read(&place.path).unwrap();
    for options in [writing().create_new(true), OpenOptions::new().format(FORMAT).create_new(true)] {
        assert_system(&refused(options.open(&place.path)), "create", &place.path, libc::EEXIST);
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
fn replacing_starts_anew_for_writing_and_for_reading() {
    for write in [true, false] {
        let place = with_records();
        let options = writing().write(write).replace(true).initial_metadata(Some(b"new".to_vec()));
        let file = options.open(&place.path).unwrap();
        assert_eq!(file.is_writer(), write);
        assert_eq!((all_of(&file).len(), metadata_of(&file)), (0, Some(b"new".to_vec())));
        assert_eq!(names_in(place.folder.path()), ["log.capture"]);
        fs::remove_file(&place.path).unwrap();
        drop(file);
        let error = refused(options.clone().create(false).open(&place.path));
        assert_system(&error, "open", &place.path, libc::ENOENT);
        drop(options.open(&place.path).unwrap());
        assert_eq!(metadata_of(&place.reader()).unwrap(), b"new");
        drop(options.create(false).open(&place.path).unwrap());
    }
    let other = Place::with(b"something else altogether");
    drop(writing().replace(true).open(&other.path).unwrap());
    assert!(all_of(&other.reader()).is_empty());
}

#[test]
fn a_replacement_that_cannot_be_made_leaves_the_old_file() {
    let place = with_records();
    let before = fs::read(&place.path).unwrap();
    let unusable = capturefile::Geometry::new().with_page_size(1);
    let error = refused(writing().replace(true).geometry(unusable).open(&place.path));
    assert_eq!(error.to_string(), "page_size cannot be 1: it must be at least 512 bytes");
    assert!(fs::read(&place.path).unwrap() == before);
}

#[test]
fn folders_and_missing_folders_are_the_systems_errors() {
    let place = Place::new();
    let folder = place.folder.path();
    assert_system(&refused(CaptureFile::open(folder)), "open", folder, libc::EISDIR);
    assert_system(&refused(writing().open(folder)), "open", folder, libc::EISDIR);
    assert_system(&refused(writing().replace(true).open(folder)), "open", folder, libc::EISDIR);
    let nowhere = folder.join("no such folder/log.capture");
    assert_system(&refused(CaptureFile::open(&nowhere)), "open", &nowhere, libc::ENOENT);
    for options in [writing(), writing().replace(true), writing().create_new(true)] {
        assert_system(&refused(options.open(&nowhere)), "create", &nowhere, libc::ENOENT);
    }
    fs::write(folder.join("file"), b"").unwrap();
    let below_a_file = folder.join("file/log.capture");
    for options in [OpenOptions::new(), writing(), writing().replace(true)] {
        assert_system(&refused(options.open(&below_a_file)), "open", &below_a_file, libc::ENOTDIR);
    }
    assert!(matches!(refused(writing().open("")), Error::Io { .. }));
}

#[test]
fn pipes_and_devices_are_no_capture_files_and_nobody_waits_for_them() {
    let place = Place::new();
    mkfifo(&place.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [&place.path, Path::new("/dev/null")] {
        for options in [OpenOptions::new(), writing()] {
            let expected = format!(
                "{path:?} is not a sound capture file: found a device, pipe or socket, expected a regular file"
            );
            assert_eq!(refused(options.open(path)).to_string(), expected);
        }
    }
}

#[test]
fn links_stay_links_and_the_file_is_made_where_they_point() {
    for options in [writing(), writing().replace(true), writing().create_new(true)] {
        let place = Place::new();
        let folder = place.folder.path();
        fs::create_dir(folder.join("sub")).unwrap();
        symlink("sub/target.capture", folder.join("first")).unwrap();
        symlink("first", folder.join("second")).unwrap();
        let second = folder.join("second");
        assert_system(&refused(CaptureFile::open(&second)), "open", &second, libc::ENOENT);
        let file = options.open(&second).unwrap();
        assert_eq!(file.path(), second);
        add(&file, 1);
        file.commit().unwrap();
        drop(file);
        assert_eq!(names_in(folder), ["first", "second", "sub"]);
        assert_eq!(names_in(&folder.join("sub")), ["target.capture"]);
        assert!(fs::symlink_metadata(&second).unwrap().is_symlink());
        assert_eq!(all_of(&CaptureFile::open(&second).unwrap()), records(1));
        let old = fs::metadata(folder.join("sub/target.capture")).unwrap().ino();
        drop(writing().replace(true).open(&second).unwrap());
        assert!(all_of(&CaptureFile::open(folder.join("first")).unwrap()).is_empty());
        assert_ne!(fs::metadata(folder.join("sub/target.capture")).unwrap().ino(), old);
        assert!(fs::symlink_metadata(&second).unwrap().is_symlink());
    }
}

#[test]
fn links_that_lead_nowhere_are_the_systems_errors() {
    let place = Place::new();
    let folder = place.folder.path();
    let (round, lost) = (folder.join("round"), folder.join("lost"));
    symlink("round", &round).unwrap();
    symlink("no such folder/log.capture", &lost).unwrap();
    for options in [OpenOptions::new(), writing(), writing().replace(true)] {
        assert_system(&refused(options.open(&round)), "open", &round, libc::ELOOP);
        assert!(
            matches!(refused(options.open(&lost)), Error::Io { source, .. } if source.kind() == ErrorKind::NotFound)
        );
    }
}

/// Does something as a user who owns nothing here, and for whom permissions count.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let as_another = || {
        if Uid::effective().is_root() {
            // Of this thread alone, which ends with the work. Only Linux has it; elsewhere be somebody else from the start.
            #[cfg(target_os = "linux")]
            nix::unistd::setfsuid(Uid::from_raw(65_534));
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(as_another).join().unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read_or_written_is_the_systems_error() {
    let place = with_records();
    let folder = place.folder.path();
    set_mode(folder, 0o555);
    for (mode, reads) in [(0o444, true), (0o000, false)] {
        set_mode(&place.path, mode);
        as_nobody(|| {
            assert_eq!(fs::read(&place.path).is_ok(), reads, "permissions mean nothing here");
            assert_eq!(CaptureFile::open(&place.path).is_ok(), reads);
            for options in [writing(), writing().replace(true)] {
                assert_system(&refused(options.open(&place.path)), "open", &place.path, libc::EACCES);
            }
        });
    }
    let new = folder.join("new.capture");
    as_nobody(|| assert_system(&refused(writing().open(&new)), "create", &new, libc::EACCES));
    set_mode(folder, 0o000);
    as_nobody(|| {
        for options in [OpenOptions::new(), writing(), writing().replace(true)] {
            assert_system(&refused(options.open(&new)), "open", &new, libc::EACCES);
        }
    });
    set_mode(folder, 0o700);
    set_mode(&place.path, 0o600);
    assert_eq!(all_of(&place.reader()), records(5));
    assert_eq!(names_in(folder), ["log.capture"]);
}

#[test]
fn new_files_have_the_usual_permissions() {
    let place = Place::new();
    fs::write(place.folder.path().join("usual"), b"").unwrap();
    let usual = fs::metadata(place.folder.path().join("usual")).unwrap().mode();
    drop(place.writer());
    assert_eq!(fs::metadata(&place.path).unwrap().mode(), usual);
}

#[test]
fn a_name_may_be_any_bytes_and_relative() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let odd = std::ffi::OsStr::from_bytes(b"\xFF\n spaces.\xC3\xA4");
    let path = place.folder.path().join(odd);
    drop(writing().open(&path).unwrap());
    let relative: PathBuf = {
        let here = std::env::current_dir().unwrap();
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        up.join(path.strip_prefix("/").unwrap())
    };
    assert!(writing().open(&relative).unwrap().is_writer());
    assert!(CaptureFile::open(&relative).is_ok());
}

#[test]
fn calls_that_write_are_refused_on_a_reader_with_the_files_name() {
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
fn a_file_stays_in_its_format_whatever_is_asked_for() {
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
fn what_is_left_of_a_file_whose_making_was_cut_off_becomes_one() {
    let whole = Place::new();
    drop(place_of_an_empty_file(&whole).writer());
    let mut bytes = std::fs::read(&whole.path).unwrap();
    // The header is written last, and the opening entry of format 3 behind it.
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

/// The place, with an empty file in it.
fn place_of_an_empty_file(place: &Place) -> &Place {
    std::fs::write(&place.path, b"").unwrap();
    place
}

#[test]
fn what_is_printed_for_debugging_names_the_file_and_spares_its_bytes() {
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
fn a_file_has_one_identity_under_all_its_names_and_another_one_none_of_it() {
    let place = with_records();
    let link = place.folder.path().join("link");
    symlink(&place.path, &link).unwrap();
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
