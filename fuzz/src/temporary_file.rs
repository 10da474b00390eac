//! A temporary file for each run, in memory if the system has a folder for that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    /// Created once per thread, because creating it takes longer than many runs.
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

/// Creates a file with this content, for the current thread only, and returns its path.
pub(crate) fn holding(data: &[u8]) -> PathBuf {
    let path = path();
    fs::write(&path, data).expect("room for the file");
    path
}

/// Returns a path at which there is no file.
pub(crate) fn empty() -> PathBuf {
    let path = path();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("cannot remove the file: {error}"),
        _ => path,
    }
}
