//! The new file, which gets its name only once it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::{TempDir, TempPath};

use crate::capture_file::{CaptureFile, OpenOptions, parent, resolve_links, sync_folder};
use crate::error::{Error, Result};
use crate::format::Geometry;

/// A file in the making, in a folder of its own beside its place.
pub(super) struct Target {
    pub(super) log: CaptureFile,
    place: PathBuf,
    overwrite: bool,
    folder: TempDir,
}

impl Target {
    pub(super) fn create(place: &Path, geometry: Geometry, overwrite: bool) -> Result<Self> {
        let place = resolve_links(place)?;
        let folder = tempfile::Builder::new()
            .prefix(".new-")
            .suffix(".capture.tmp")
            .tempdir_in(parent(&place))
            .map_err(|error| Error::io(&place, "create", system_error(error)))?;
        let options = OpenOptions::new().write(true).create_new(true).geometry(geometry);
        let log = options.open(file_in(&folder))?;
        Ok(Self { log, place, overwrite, folder })
    }

    /// The error with the name of the place in it, rather than that of the file in the making.
    pub(super) fn name_in(&self, error: Error) -> Error {
        match error {
            Error::Io { path, action, source } if path == self.log.path() => {
                Error::Io { path: self.place.clone(), action, source }
            }
            error => error,
        }
    }

    /// Makes the file durable, and moves it to its place.
    pub(super) fn finish(self) -> Result<()> {
        self.log.commit().map_err(|error| self.name_in(error))?;
        self.log.close();
        drop(self.log);
        let failed = |error| Error::io(&self.place, "create", error);
        if self.overwrite {
            fs::rename(file_in(&self.folder), &self.place).map_err(failed)?;
        } else {
            let file = TempPath::try_from_path(file_in(&self.folder)).map_err(failed)?;
            file.persist_noclobber(&self.place).map_err(|error| failed(system_error(error.error)))?;
        }
        sync_folder(parent(&self.place)).map_err(failed)
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("recovered")
}

/// The system's error inside one that a library has wrapped.
fn system_error(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source());
    let number = inner.and_then(|inner| inner.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    match error.raw_os_error().or(number) {
        Some(number) => io::Error::from_raw_os_error(number),
        None if error.kind() == io::ErrorKind::AlreadyExists => exists_already(),
        None => error,
    }
}

pub(super) fn exists_already() -> io::Error {
    io::Error::from_raw_os_error(libc::EEXIST)
}
