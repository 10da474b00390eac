//! One writer for a file, under any of its names.

use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use capturefile::{CaptureFile, Error, LockHolder, OpenOptions};

use super::stranger::{Stranger, WRITER_BYTE};
use super::support::{Place, add, all_of, records, refused, writing};

fn assert_held_here(result: capturefile::Result<CaptureFile>, path: &Path) {
    let error = refused(result);
    let expected = format!("{path:?} is already open for writing in this process");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(matches!(error, Error::Locked { path: of, by: LockHolder::ThisProcess, .. } if of == path));
}

/// Other paths of the same file.
fn paths_of(place: &Place) -> Vec<PathBuf> {
    let folder = place.folder.path();
    fs::create_dir(folder.join("sub")).unwrap();
    fs::hard_link(&place.path, folder.join("hard link")).unwrap();
    let mut names = vec!["./log.capture", "sub/../log.capture", "hard link", "log.capture"];
    #[cfg(unix)]
    {
        symlink(&place.path, folder.join("absolute link")).unwrap();
        symlink("log.capture", folder.join("relative link")).unwrap();
        symlink("relative link", folder.join("link to a link")).unwrap();
        symlink(folder, folder.join("sub/up")).unwrap();
        names.extend(["absolute link", "relative link", "link to a link"]);
        names.extend(["sub/up/log.capture", "sub/up/relative link"]);
    }
    // Only administrators can create links on Windows; names ignore case.
    #[cfg(windows)]
    names.push("LOG.CAPTURE");
    names.into_iter().map(|name| folder.join(name)).collect()
}

#[test]
fn a_second_writer_is_refused_under_every_name_of_the_file() {
    for os_lock in [true, false] {
        let place = Place::new();
        let file = writing().os_lock(os_lock).open(&place.path).unwrap();
        for path in paths_of(&place) {
            for second in [true, false] {
                assert_held_here(writing().os_lock(second).open(&path), &path);
                assert_held_here(writing().os_lock(second).replace(true).open(&path), &path);
            }
            assert!(!CaptureFile::open(&path).unwrap().is_writer());
        }
        drop(file);
        for path in paths_of(&Place::with(&fs::read(&place.path).unwrap())) {
            assert!(writing().open(&path).unwrap().is_writer(), "{path:?}");
        }
    }
}

#[test]
fn a_closed_writer_that_is_not_dropped_leaves_the_file_to_the_next() {
    let place = Place::new();
    let first = place.writer();
    (1..=3).for_each(|number| add(&first, number));
    first.close();
    let second = place.writer();
    assert!(first.add_record(b"x").is_err());
    assert_held_here(writing().open(&place.path), &place.path);
    drop(first);
    assert_held_here(writing().open(&place.path), &place.path);
    add(&second, 1);
    second.commit().unwrap();
    assert_eq!(all_of(&place.reader()), records(1));
}

#[test]
fn the_writers_byte_is_locked_for_as_long_as_the_file_is_open_for_writing() {
    let place = Place::new();
    let file = place.writer();
    let stranger = Stranger::new(&place.path);
    assert_eq!(stranger.conflict(), Some((WRITER_BYTE, 1)));
    // Closing another handle drops locks of the process, but not those of the open file.
    drop((place.reader(), file.reader().unwrap(), File::open(&place.path).unwrap()));
    assert_eq!(stranger.conflict(), Some((WRITER_BYTE, 1)));
    add(&file, 1);
    file.commit().unwrap();
    assert_eq!(stranger.conflict(), Some((WRITER_BYTE, 1)));
    file.close();
    assert_eq!(stranger.conflict(), None);
}

#[test]
fn a_writer_is_detected_by_its_lock_or_in_its_own_process_without_one() {
    let place = Place::new();
    let writer = place.writer();
    let reader = place.reader();
    assert!(reader.is_being_written().unwrap() && writer.is_being_written().unwrap());
    writer.close();
    assert!(!reader.is_being_written().unwrap() && !writer.is_being_written().unwrap());
    let stranger = Stranger::new(&place.path);
    assert!(stranger.take(WRITER_BYTE, 1));
    assert!(reader.is_being_written().unwrap());
    drop(stranger);
    assert!(!reader.is_being_written().unwrap());
    let unlocked = writing().os_lock(false).open(&place.path).unwrap();
    assert!(reader.is_being_written().unwrap());
    drop(unlocked);
    assert!(!reader.is_being_written().unwrap());
}

#[test]
fn nothing_is_locked_by_readers_or_without_locking() {
    let place = Place::new();
    let file = writing().os_lock(false).open(&place.path).unwrap();
    let reader = place.reader();
    assert_eq!(Stranger::new(&place.path).conflict(), None);
    add(&file, 1);
    file.commit().unwrap();
    assert!(reader.refresh(false).unwrap());
}

#[test]
fn a_file_that_another_process_is_writing_is_refused_and_left_unchanged() {
    let place = Place::new();
    drop(place.writer());
    let stranger = Stranger::new(&place.path);
    assert!(stranger.take(WRITER_BYTE, 1));
    let before = fs::read(&place.path).unwrap();
    for options in [writing(), writing().replace(true)] {
        let error = refused(options.open(&place.path));
        assert!(error.to_string().contains("is already open for writing in another process"), "{error}");
        assert!(matches!(error, Error::Locked { by: LockHolder::OtherProcess, .. }));
    }
    assert!(fs::read(&place.path).unwrap() == before);
    assert!(all_of(&place.reader()).is_empty());
    drop(writing().os_lock(false).open(&place.path).unwrap());
    drop(stranger);
    drop(place.writer());
}

#[test]
fn a_refused_writer_leaves_the_file_unlocked() {
    let place = Place::new();
    drop(place.writer());
    let stranger = Stranger::new(&place.path);
    assert!(stranger.take(WRITER_BYTE, 1));
    refused(writing().open(&place.path));
    drop(stranger);
    drop(place.writer());
    let damaged = Place::with(b"no capture file");
    for _ in 0..2 {
        assert!(matches!(refused(writing().open(&damaged.path)), Error::Corrupt { .. }));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_holds_the_slots_cannot_stop_a_commit() {
    let place = Place::new();
    let file = place.writer();
    let stranger = Stranger::new(&place.path);
    assert!(stranger.take(4096, 2 * 40_960));
    add(&file, 1);
    file.commit().unwrap();
    assert_eq!(all_of(&place.reader()), records(1));
}

#[cfg(unix)]
#[test]
fn after_a_file_is_replaced_its_readers_keep_the_old_one_and_others_get_the_new_one() {
    let place = Place::new();
    let old = place.writer();
    (1..=20).for_each(|number| add(&old, number));
    old.commit().unwrap();
    old.close();
    let reader = place.reader();
    let new = writing().replace(true).initial_metadata(Some(b"new".to_vec())).open(&place.path).unwrap();
    assert_held_here(writing().open(&place.path), &place.path);
    add(&new, 1);
    new.commit().unwrap();
    assert!(!reader.refresh(true).unwrap());
    assert_eq!(all_of(&reader), records(20));
    assert_eq!(all_of(&place.reader()), records(1));
    assert_eq!(Stranger::new(&place.path).conflict(), Some((WRITER_BYTE, 1)));
}

#[cfg(windows)]
#[test]
fn a_mapped_file_is_not_replaced_and_no_temporary_file_is_left() {
    let place = Place::new();
    let old = place.writer();
    (1..=20).for_each(|number| add(&old, number));
    old.commit().unwrap();
    old.close();
    let reader = place.reader();
    assert_eq!(all_of(&reader), records(20));
    let error = refused(writing().replace(true).open(&place.path));
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
    assert_eq!(all_of(&place.reader()), records(20));
}

#[test]
fn a_writer_keeps_a_renamed_file_and_the_old_name_is_free() {
    let place = Place::new();
    let file = place.writer();
    let moved = place.folder.path().join("moved.capture");
    fs::rename(&place.path, &moved).unwrap();
    assert_held_here(writing().open(&moved), &moved);
    let other = place.writer();
    add(&file, 1);
    file.commit().unwrap();
    (1..=2).for_each(|number| add(&other, number));
    other.commit().unwrap();
    assert_eq!(all_of(&CaptureFile::open(&moved).unwrap()), records(1));
    assert_eq!(all_of(&place.reader()), records(2));
}

#[test]
fn of_many_threads_that_open_one_file_exactly_one_writes() {
    for existing in [false, true] {
        for options in [writing(), writing().os_lock(false), OpenOptions::new().create_new(true)] {
            let place = Place::new();
            if existing {
                drop(place.writer());
            }
            let opened = open_in_threads(&options, &place.path);
            let refused = opened.iter().filter(|opened| opened.is_err()).count();
            let nobody_can = existing && refused == 8;
            assert!(refused == 7 || nobody_can, "{refused} were refused");
            assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
        }
    }
}

fn open_in_threads(options: &OpenOptions, path: &Path) -> Vec<capturefile::Result<CaptureFile>> {
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        let open = || {
            start.wait();
            options.open(path)
        };
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|opening| opening.join().unwrap()).collect()
    })
}

#[test]
fn writers_that_replace_a_file_at_the_same_time_leave_one_complete_file() {
    let place = Place::new();
    drop(place.writer());
    for _ in 0..5 {
        let opened = open_in_threads(&writing().replace(true), &place.path);
        let writers: Vec<_> = opened.into_iter().filter_map(Result::ok).collect();
        assert_eq!(writers.len(), 1);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
        assert!(all_of(&place.reader()).is_empty());
        assert_held_here(writing().open(&place.path), &place.path);
    }
}
