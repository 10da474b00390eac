//! Known inputs: the files from which fuzzing starts, and the inputs that once failed.

use std::fs;
use std::path::{Path, PathBuf};

use capturefile::{Compression, Geometry, OpenOptions, SyncMode};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("open_and_read", capturefile_fuzz::open_and_read),
    ("open_with_right_checksums", capturefile_fuzz::open_with_right_checksums),
    ("recover", capturefile_fuzz::recover),
    ("operate", capturefile_fuzz::operate),
];

/// Returns the contents of the folder's files, in the order of their names.
fn contents(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (fs::read(&path).expect("it can be read"), path))
        .map(|(data, path)| (path, data))
        .collect()
}

fn replay(folder: &str, target: Target) {
    for (path, data) in contents(folder) {
        println!("{}", path.display());
        target(&data);
    }
}

#[test]
fn what_fuzzing_starts_from_has_no_fault() {
    for folder in ["corpus/files", "corpus/bombs"] {
        replay(folder, capturefile_fuzz::open_and_read);
        replay(folder, capturefile_fuzz::open_with_right_checksums);
        replay(folder, capturefile_fuzz::recover);
    }
    replay("corpus/files_3", capturefile_fuzz::open_and_read);
    replay("corpus/files_3", capturefile_fuzz::open_with_right_checksums);
    replay("corpus/files_3", capturefile_fuzz::recover);
    replay("corpus/operate", capturefile_fuzz::operate);
    replay("corpus/operate", capturefile_fuzz::operate_3);
    replay("corpus/index", capturefile_fuzz::index_pages);
}

#[test]
fn what_fuzzing_once_found_stays_mended() {
    for (name, target) in TARGETS {
        replay(&format!("regressions/{name}"), target);
    }
}

/// Writes the files from which fuzzing of version 3 starts: with records in the log and in frames, with and without
/// metadata, with large commits, with a reused log ring, and by several writers in succession.
#[test]
#[ignore = "makes the files again"]
fn make_files_of_version_3() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/files_3");
    fs::create_dir_all(&folder).expect("a folder");
    for compression in [Compression::None, Compression::Zstd, Compression::Lz4] {
        for (name, commits, records, length) in [
            ("empty", 0, 0, 0),
            ("log", 3, 2, 20),
            ("frames", 12, 4, 90),
            ("large", 2, 30, 70),
            ("round", 120, 1, 9),
        ] {
            let path = folder.join(format!("{name}-{compression}.capture"));
            let geometry = Geometry::of_version(3).with_page_size(512).with_block_size(512).with_fan_out(2);
            let options = OpenOptions::new().write(true).geometry(geometry).log_size(4096).threads(1);
            let options = options.sync(SyncMode::None).compression(compression);
            let log = options.clone().replace(true).open(&path).expect("a new file");
            for commit in 0..commits {
                for record in 0..records {
                    let record = format!("record {record} of commit {commit} ").repeat(9);
                    log.add_record(&record.as_bytes()[..length]).expect("room");
                }
                if commit % 5 == 1 {
                    log.set_metadata(Some(&vec![b'm'; 40 * commit])).expect("room");
                }
                log.commit().expect("room");
            }
            drop(log);
            options.open(&path).expect("a sound file");
        }
    }
}

#[test]
#[ignore = "makes the files again"]
fn make_pages_of_indexes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/index");
    fs::create_dir_all(&folder).expect("a folder");
    for (name, data) in capturefile_fuzz::index_seeds() {
        fs::write(folder.join(name), data).expect("room");
    }
}
