//! Features of Unix: links, pipes, permissions, and names of any bytes.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use capturefile::{CaptureFile, Error, OpenOptions};
use nix::unistd::{Uid, mkfifo};

use super::opening::{assert_system, names_in, with_records};
use super::support::{Place, add, all_of, records, refused, writing};

#[test]
fn pipes_and_devices_are_refused_without_waiting_for_them() {
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
fn links_stay_links_and_the_file_is_created_where_they_point() {
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
fn dangling_and_circular_links_are_system_errors() {
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

/// Runs `work` as a user who owns nothing here and to whom permissions apply.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let as_another = || {
        if Uid::effective().is_root() {
            // Only for this thread, which ends with the work. Only Linux supports this; elsewhere, the tests
            // must run as another user from the start.
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
fn a_lack_of_permission_is_a_system_error() {
    let place = with_records();
    let folder = place.folder.path();
    set_mode(folder, 0o555);
    for (mode, reads) in [(0o444, true), (0o000, false)] {
        set_mode(&place.path, mode);
        as_nobody(|| {
            assert_eq!(fs::read(&place.path).is_ok(), reads, "permissions have no effect here");
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
