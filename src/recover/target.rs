//! The new file, which gets its name only once it is complete.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::file::{CaptureFile, OpenOptions, Replacement};
use crate::format::Geometry;
use crate::v3::format::{Codec, Header};
use crate::v3::shared::GivenTime;
use crate::write::options::{Compression, SyncMode};

/// An incomplete file, next to its final place; deleted unless it is moved there.
pub(super) struct Target {
    log: CaptureFile,
    place: Replacement,
    /// The clock, if commits have times.
    clock: Option<GivenTime>,
    /// The time of the commit in preparation.
    time: Cell<u64>,
}

impl Target {
    pub(super) fn create(path: &Path, place: Replacement, geometry: Geometry) -> Result<Self> {
        let log = OpenOptions::new().geometry(geometry).create_unnamed(path, place.temporary())?;
        Ok(Self { log, place, clock: None, time: Cell::default() })
    }

    /// Creates a file of version 3 with this header, but another identity.
    pub(super) fn create_version_3(path: &Path, place: Replacement, header: &Header) -> Result<Self> {
        let compression = match header.codec {
            Codec::None => Compression::None,
            Codec::Zstd => Compression::Zstd,
            Codec::Lz4 => Compression::Lz4,
        };
        let clock = GivenTime::default();
        clock.set(header.created);
        // A file without a name need not survive a crash: it is synced once, at the end.
        let options = OpenOptions::new().geometry(header.geometry()).sync(SyncMode::None);
        let options =
            options.log_size(header.log).compression(compression).environment(Arc::new(clock.clone()));
        let log = options.create_unnamed(path, place.temporary())?;
        Ok(Self { log, place, clock: Some(clock), time: Cell::new(header.created) })
    }

    pub(super) fn add_record(&self, record: &[u8]) -> Result<()> {
        self.log.add_record(record).map(drop)
    }

    pub(super) fn set_metadata(&self, metadata: Option<&[u8]>) -> Result<()> {
        self.log.set_metadata(metadata)
    }

    /// Commits what was added before, if what follows was committed later.
    pub(super) fn set_commit_time(&self, time: u64) -> Result<()> {
        let Some(clock) = self.clock.as_ref().filter(|_| time > self.time.get()) else {
            return Ok(());
        };
        self.log.commit()?;
        clock.set(time);
        self.time.set(time);
        Ok(())
    }

    /// Makes the file durable, and moves it to its final place.
    pub(super) fn finish(self) -> Result<()> {
        self.log.commit()?;
        self.place.finish(true)
    }
}
