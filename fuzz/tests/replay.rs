//! The inputs that are known: the files that fuzzing starts from, and what it once found.

use std::fs;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("open_and_read", capturefile_fuzz::open_and_read),
    ("open_with_right_checksums", capturefile_fuzz::open_with_right_checksums),
    ("recover", capturefile_fuzz::recover),
    ("operate", capturefile_fuzz::operate),
];

/// The contents of the folder's files, in the order of their names.
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
    replay("corpus/operate", capturefile_fuzz::operate);
}

#[test]
fn what_fuzzing_once_found_stays_mended() {
    for (name, target) in TARGETS {
        replay(&format!("regressions/{name}"), target);
    }
}
