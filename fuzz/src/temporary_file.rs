//! A file for one run after the other, in memory where the system has a folder for that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    /// Made once in a thread, since making it takes longer than many a run.
    static FOLDER: TempDir = make_folder();
}

fn make_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("capturefile-fuzz-").tempdir_in(parent).expect("a folder for the file")
}

fn path() -> PathBuf {
    FOLDER.with(|folder| folder.path().join("log"))
}

/// The path of a file with this content, which nobody else uses.
pub(crate) fn holding(data: &[u8]) -> PathBuf {
    let path = path();
    fs::write(&path, data).expect("room for the file");
    path
}

/// A path at which there is no file.
pub(crate) fn empty() -> PathBuf {
    let path = path();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("cannot remove the file: {error}"),
        _ => path,
    }
}
