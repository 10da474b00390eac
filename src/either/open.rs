//! Creating files of either format, and detecting the format of a file.

use std::io;
use std::sync::Arc;

use crate::codec::level::{CompressionLevel, ZlibLevel};
use crate::either::file::AnyFile;
use crate::either::snapshot::{AnyState, Snapshot};
use crate::either::writer::AnyWriter;
use crate::error::{Damage, Error, Result};
use crate::format::{Geometry, has_checksum};
use crate::lock::WriteRight;
use crate::read::cache::Cache;
use crate::read::fan_out::check_fan_out;
use crate::read::open_file::{OpenFile, Opened};
use crate::storage::{Storage, read_up_to};
use crate::v3::codec::Level;
use crate::v3::format::{Codec, Header, VERSION};
use crate::v3::open::repeated::find_repeated;
use crate::v3::shared::{Environment, Shared};
use crate::v3::write as v3;
use crate::write::options::{Compression, Making, SyncMode, WriterOptions};
use crate::write::unmade::is_unmade;
use crate::write::writer as v2;

/// The settings for creating, reading and writing a file.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The version of the format, and the sizes, of a new file.
    pub(crate) geometry: Geometry,
    /// The log size of a new file in version 3, unless it is the default.
    pub(crate) log_size: Option<u32>,
    /// The compression of a new file, unless it is the default.
    pub(crate) compression: Option<Compression>,
    pub(crate) level: Option<CompressionLevel>,
    pub(crate) sync: SyncMode,
    pub(crate) cache_size: u64,
    pub(crate) environment: Arc<dyn Environment>,
}

/// What is known about the header of an existing file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeaderCheck {
    /// Its checksum is correct.
    Right,
    /// It has no checksum.
    Missing,
}

impl HeaderCheck {
    /// Returns an error if the index of a snapshot shows that the header is wrong.
    pub(crate) fn confirm(self, snapshot: &Snapshot) -> Result<()> {
        match (self, snapshot.state()) {
            (Self::Missing, AnyState::V2(state)) => check_fan_out(state),
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// Checks the settings of a caller for a new file.
    pub(crate) fn check(&self) -> Result<()> {
        if self.geometry.version == VERSION {
            return self.header()?.check_settings();
        }
        self.geometry.check_settings()?;
        match self.compression {
            None | Some(Compression::Zlib) => ZlibLevel::new(self.level).map(drop),
            Some(other) => Err(refused(other, "it must be \"zlib\" in format 2; format 3 has others")),
        }
    }

    /// Returns the header of a new file in version 3.
    fn header(&self) -> Result<Header> {
        let codec = match self.compression {
            None | Some(Compression::Zstd) => Codec::Zstd,
            Some(Compression::Lz4) => Codec::Lz4,
            Some(Compression::None) => Codec::None,
            Some(other @ Compression::Zlib) => {
                return Err(refused(other, "it must be \"zstd\", \"lz4\" or \"none\" in format 3"));
            }
        };
        let mut identity = [0; 16];
        let random = || self.environment.random().to_be_bytes();
        identity.chunks_mut(8).for_each(|part| part.copy_from_slice(&random()));
        Ok(Header::of(&self.geometry, self.log_size, codec, identity, self.environment.now()))
    }

    /// Returns whether a file contains only what an interrupted creation with these settings, and without metadata, can
    /// have left.
    pub(crate) fn is_unmade(&self, storage: &dyn Storage, length: u64) -> io::Result<bool> {
        if self.geometry.version == VERSION {
            v3::is_unmade(
                storage,
                length,
                &Header::of(&self.geometry, self.log_size, Codec::None, [0; 16], 0),
            )
        } else {
            is_unmade(storage, length, &self.geometry)
        }
    }

    /// Turns an empty file into a capture file. The caller has the right to write it.
    pub(crate) fn make(
        &self,
        opened: Opened,
        right: Box<dyn WriteRight>,
        metadata: Option<&[u8]>,
        making: Making,
    ) -> Result<(AnyFile, AnyWriter)> {
        if self.geometry.version == VERSION {
            let file = Arc::new(Shared::in_environment(
                opened,
                self.header()?,
                self.cache_size,
                Arc::clone(&self.environment),
            ));
            let writer = v3::Writer::create(&file, right, metadata, self.v3_options(), making)?;
            return Ok((AnyFile::V3(file), AnyWriter::V3(Box::new(writer))));
        }
        let file = Arc::new(OpenFile::new(opened, self.geometry, Cache::new(self.cache_size)));
        let writer = v2::Writer::create(&file, right, metadata, self.v2_options()?, making)?;
        Ok((AnyFile::V2(file), AnyWriter::V2(Box::new(writer))))
    }

    /// Opens a file for writing. The caller has the right to write it.
    pub(crate) fn write(&self, file: &AnyFile, right: Box<dyn WriteRight>) -> Result<AnyWriter> {
        Ok(match file {
            AnyFile::V2(file) => {
                AnyWriter::V2(Box::new(v2::Writer::open(Arc::clone(file), right, self.v2_options()?)?))
            }
            AnyFile::V3(file) => {
                AnyWriter::V3(Box::new(v3::Writer::open(Arc::clone(file), right, self.v3_options())?))
            }
        })
    }

    fn v2_options(&self) -> Result<WriterOptions> {
        Ok(WriterOptions { sync: self.sync, level: ZlibLevel::new(self.level)? })
    }

    fn v3_options(&self) -> v3::WriterOptions {
        v3::WriterOptions { sync: self.sync, level: Level::new(self.level) }
    }

    /// Reads the header of an existing file, which determines its format.
    pub(crate) fn attach(&self, opened: Opened) -> Result<(AnyFile, HeaderCheck)> {
        const _: () = assert!(Geometry::HEADER_SIZE <= Header::SIZE, "the longer one is read");
        let mut header = [0; Header::SIZE];
        let length = read_up_to(&*opened.storage, &mut header, 0).map_err(opened.failed("read"))?;
        let header = &header[..length];
        if Geometry::numbers_said(header)[0] == Some(VERSION) {
            let header = Header::decode(header).map_err(|damage| opened.corrupt(damage))?;
            let file = Shared::in_environment(opened, header, self.cache_size, Arc::clone(&self.environment));
            return Ok((AnyFile::V3(Arc::new(file)), HeaderCheck::Right));
        }
        let header = &header[..length.min(Geometry::HEADER_SIZE)];
        let geometry = Geometry::decode(header).map_err(|damage| opened.corrupt(damage))?;
        let check = if has_checksum(header) { HeaderCheck::Right } else { HeaderCheck::Missing };
        let length = opened.storage.length().map_err(opened.failed("read"))?;
        if length < geometry.data_start() {
            let found = format!("a file of {length} bytes");
            let expected = format!("at least {}, which its master nodes need", geometry.data_start());
            return Err(opened.corrupt(Damage::new(found, expected)));
        }
        let file = OpenFile::new(opened, geometry, Cache::new(self.cache_size));
        Ok((AnyFile::V2(Arc::new(file)), check))
    }
}

/// Returns whether a file has version 3 of the format, from its header or, if that is damaged, from a head.
pub(crate) fn is_version_3(storage: &dyn Storage) -> io::Result<bool> {
    let mut start = [0; Header::SIZE];
    let length = read_up_to(storage, &mut start, 0)?;
    let start = &start[..length];
    if Header::decode(start).is_ok() {
        return Ok(true);
    }
    let is_other = Geometry::decode(&start[..length.min(Geometry::HEADER_SIZE)]).is_ok();
    Ok(!is_other && find_repeated(storage)?.is_some())
}

fn refused(compression: Compression, expected: &'static str) -> Error {
    Error::InvalidOption { name: "compression", got: format!("{:?}", compression.as_str()), expected }
}
