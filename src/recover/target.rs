//! The new file, which gets its name only once it is whole.

use std::io;
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::file::{CaptureFile, OpenOptions};
use crate::format::Geometry;
use crate::storage::{parent, resolve_links};

/// A file in the making, beside its place; deleted unless it gets there.
pub(super) struct Target {
    file: NamedTempFile<CaptureFile>,
    place: PathBuf,
    overwrite: bool,
}

impl Target {
    pub(super) fn create(place: &Path, geometry: Geometry, overwrite: bool) -> Result<Self> {
        let place = resolve_links(place)?;
        let options = OpenOptions::new().write(true).create_new(true).geometry(geometry);
        let mut refused = None;
        let create = |path: &Path| options.open(path).map_err(|error| kind_of(error, &mut refused));
        let file = tempfile::Builder::new()
            .prefix(".new-")
            .suffix(".capture.tmp")
            .make_in(parent(&place), create)
            .map_err(|error| refused.unwrap_or_else(|| Error::io(&place, "create", error)))?;
        Ok(Self { file, place, overwrite })
    }

    pub(super) fn log(&self) -> &CaptureFile {
        self.file.as_file()
    }

    /// The error with the name of the place in it, rather than that of the file in the making.
    pub(super) fn name_in(&self, error: Error) -> Error {
        match error {
            Error::Io { path, action, source } if path == self.log().path() => {
                Error::Io { path: self.place.clone(), action, source }
            }
            error => error,
        }
    }

    /// Makes the file durable, and moves it to its place.
    pub(super) fn finish(self) -> Result<()> {
        self.log().commit().map_err(|error| self.name_in(error))?;
        let moved = if self.overwrite {
            self.file.persist(&self.place)
        } else {
            self.file.persist_noclobber(&self.place)
        };
        let failed = |error| Error::io(&self.place, "create", error);
        moved.map_err(|error| failed(error.error))?.sync_name(&self.place).map_err(failed)
    }
}

/// The system's error for what makes temporary files; any other is kept in `refused`.
fn kind_of(error: Error, refused: &mut Option<Error>) -> io::Error {
    match error {
        Error::Io { source, .. } => source,
        error => {
            *refused = Some(error);
            io::ErrorKind::Other.into()
        }
    }
}

pub(super) fn exists_already() -> io::Error {
    io::Error::from_raw_os_error(libc::EEXIST)
}
