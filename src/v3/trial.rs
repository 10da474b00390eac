//! A way in for measurements, as long as nothing else leads here.

use std::path::Path;
use std::sync::Arc;

use super::codec::Level;
use super::format::{Codec, Header};
use super::open::reader;
use super::read::frames::FrameSource;
use super::read::snapshot::Snapshot;
use super::shared::{Environment, Shared, System};
use super::write::{Writer, WriterOptions};
use crate::error::{Error, Result};
use crate::lock::WriterLock;
use crate::storage::{FileStorage, open_plain, read_up_to};
use crate::write::options::SyncMode;

/// A writer of a new file.
#[derive(Debug)]
pub struct Append(Writer);

impl Append {
    /// Makes a new file with blocks of this many bytes.
    pub fn create(
        path: &Path,
        codec: &str,
        level: u32,
        block: u32,
        sync: SyncMode,
        threads: usize,
    ) -> Result<Self> {
        let failed = |error| Error::io(path, "create", error);
        let codec = match codec {
            "none" => Codec::None,
            "lz4" => Codec::Lz4,
            _ => Codec::Zstd,
        };
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&System.random().to_be_bytes());
        let header =
            Header { block, log: (8 * block).max(1 << 20), ..Header::new(codec, identity, System.now()) };
        header.check_settings()?;
        let options =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).to_owned();
        let file = options.open(path).map_err(failed)?;
        let shared = Shared::new(path, Box::new(FileStorage::new(file)), header, 48 << 20, threads);
        let right = WriterLock::take(|| open_plain(path, true), true)
            .map_err(|_| failed(std::io::ErrorKind::WouldBlock.into()))?;
        let options = WriterOptions { sync, level: Level::new(level)? };
        Writer::create(Arc::new(shared), Box::new(right), None, options).map(Self)
    }

    /// Adds a record.
    #[inline]
    pub fn add(&mut self, record: &[u8]) -> Result<u64> {
        match self.0.try_add(record)? {
            Some(count) => Ok(count),
            None => self.0.add_record(record),
        }
    }

    /// Commits.
    pub fn commit(&mut self) -> Result<()> {
        self.0.commit().map(drop)
    }
}

/// A reader.
#[derive(Debug)]
pub struct Look(Snapshot);

impl Look {
    /// Opens a file with a cache of this many bytes.
    pub fn open(path: &Path, cache: u64) -> Result<Self> {
        let failed = |error| Error::io(path, "open", error);
        let storage = FileStorage::new(std::fs::File::open(path).map_err(failed)?);
        let mut start = [0; Header::SIZE];
        read_up_to(&storage, &mut start, 0).map_err(failed)?;
        let header = Header::decode(&start).map_err(|damage| Error::corrupt(path, damage))?;
        let file = Arc::new(Shared::new(path, Box::new(storage), header, cache, 1));
        let state = reader::open(&file)?;
        let frames = FrameSource { file, limit: state.frames.limit, open: None };
        Ok(Self(Snapshot::committed(frames, state)))
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.0.record_count()
    }

    /// Length of a record.
    pub fn length(&self, number: u64) -> Result<usize> {
        Ok(self.0.record(number)?.len())
    }

    /// Length of all records.
    pub fn scan(&self) -> Result<usize> {
        self.0.records(1).try_fold(0, |sum, record| Ok(sum + record?.len()))
    }

    /// The first record at or after a time.
    pub fn number_at(&self, time: u64) -> Result<Option<u64>> {
        self.0.number_at(time)
    }

    /// When a record was committed.
    pub fn time(&self, number: u64) -> Result<u64> {
        self.0.commit_time(number)
    }
}
