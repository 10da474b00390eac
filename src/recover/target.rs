//! The new file, which gets its name only once it is whole.

use std::path::Path;

use crate::error::Result;
use crate::file::{CaptureFile, OpenOptions, Replacement};
use crate::format::Geometry;

/// A file in the making, beside its place; deleted unless it gets there.
pub(super) struct Target {
    log: CaptureFile,
    place: Replacement,
}

impl Target {
    pub(super) fn create(path: &Path, place: Replacement, geometry: Geometry) -> Result<Self> {
        let log = OpenOptions::new().geometry(geometry).create_unnamed(path, place.temporary())?;
        Ok(Self { log, place })
    }

    pub(super) fn log(&self) -> &CaptureFile {
        &self.log
    }

    /// Makes the file durable, and moves it to its place.
    pub(super) fn finish(self) -> Result<()> {
        self.log.commit()?;
        self.place.finish(true)
    }
}
