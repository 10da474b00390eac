//! Checkpoints: frames replace entries, and a head records this, which releases space in the log.

use super::writer::{RESERVE, Writer};
use crate::error::{Error, Result};
use crate::storage::write_all;
use crate::v3::format::head::{FrameArea, Head};
use crate::v3::log::Metadata;
use crate::write::options::SyncMode;

/// The contents of a head that is written once its frames are on the disk.
#[derive(Debug)]
pub(super) struct Checkpoint {
    frames: FrameArea,
    begin: u64,
    seed: u64,
    /// The end of the entry with records on both sides of the checkpoint, or `begin`.
    cut: u64,
}

impl Writer {
    /// Returns the number of bytes of the ring that no head in the file needs, and that have not been reused yet.
    pub(super) fn free(&self) -> u64 {
        let [a, b] = self.begins;
        (a.min(b) + u64::from(self.file.header.log)).saturating_sub(self.state.end)
    }

    /// Returns the space for the entry of a large commit, in the worst case.
    pub(super) fn base_room(&self) -> u64 {
        let header = &self.file.header;
        u64::from(header.block) + 2 * u64::from(header.page) + RESERVE
    }

    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.state.end - self.state.begin >= self.file.header.max_entry()
    }

    /// Makes sure that an entry of `needed` bytes can be written, with `reserve` more.
    pub(super) fn make_room(&mut self, needed: u64, reserve: u64) -> Result<()> {
        let mut idle_rounds = 0;
        while self.free() < needed + reserve {
            if self.frames.is_busy() {
                match self.sync {
                    // A head is cheap; the writer waits for at most one block.
                    SyncMode::None => self.frames.write_front()?,
                    _ => self.frames.settle()?,
                }
            } else if idle_rounds > 4 {
                return Err(self.fail("the log is full".into()));
            } else {
                idle_rounds += 1;
                if idle_rounds > 2 {
                    self.frames.close_block();
                    self.frames.settle()?;
                }
            }
            let checkpoint = self.prepare_checkpoint()?;
            self.sync_storage()?;
            self.write_head(checkpoint)?;
        }
        Ok(())
    }

    /// Prepares a checkpoint, if one is due, whose head is written after the commit in preparation.
    pub(super) fn checkpoint_before_commit(&mut self) -> Option<Checkpoint> {
        if !self.is_checkpoint_due() || self.frames.frames.count() == self.state.frames.count() {
            return None;
        }
        // A full or failing disk is reported once the log is full.
        self.prepare_checkpoint().ok()
    }

    /// Returns the contents of a head for the frames in the file, after writing the last metadata as a frame.
    fn prepare_checkpoint(&mut self) -> Result<Checkpoint> {
        let count = self.frames.frames.count();
        let next = self.state.entries.find(count + 1);
        let index = next.unwrap_or(self.state.entries.len());
        match self.state.metadata_before(index) {
            Metadata::None => self.frames.frames.metadata = 0,
            Metadata::Frame(position) => self.frames.frames.metadata = position,
            Metadata::Entry(entry) => self.frames.write_metadata(entry.view().metadata())?,
        }
        if !Head::fits(&self.frames.frames, &self.file.header) {
            return Err(Error::IndexFull { path: self.file.path.clone() });
        }
        let begin = self.state.position_of(index);
        let cut = self.state.entries.get(index).filter(|entry| entry.header.first <= count);
        Ok(Checkpoint {
            frames: self.frames.frames.clone(),
            begin,
            seed: self.state.seed_of(index),
            cut: cut.map_or(begin, |entry| entry.header.end()),
        })
    }

    /// Writes a head. In the modes that sync, its frames are on the disk.
    pub(super) fn write_head(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let Checkpoint { frames, begin, seed, cut } = checkpoint;
        let sure = if self.sync == SyncMode::None { cut } else { self.synced.max(begin) };
        let serial = self.state.serial + 1;
        let head = Head { serial, begin, seed, sure, time: self.state.time, frames };
        write_all(
            &*self.file.storage,
            &head.encode(&self.file.header),
            self.file.header.head_position(serial),
        )
        .map_err(self.file.failed("write a head of"))?;
        self.begins[usize::from(serial % 2 == 1)] = begin;
        self.state.take_head(&head);
        Ok(())
    }
}
