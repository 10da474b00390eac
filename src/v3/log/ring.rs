//! The ring for log entries: positions only increase, and their places in the file are reused.

use std::io;

use crate::storage::{Storage, read_up_to, write_all};
use crate::v3::format::Header;

/// The log of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a> {
    storage: &'a dyn Storage,
    start: u64,
    size: u64,
}

impl<'a> Ring<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, header: &Header) -> Self {
        Self { storage, start: header.log_start(), size: u64::from(header.log) }
    }

    /// Offset of the lower half of an entry's position, which differs from any bytes that were there before.
    pub(crate) const MARK: u64 = 12;

    /// Returns the place in the file of the mark of an entry at `position`, and its value.
    pub(crate) fn mark_of(&self, position: u64) -> (u64, [u8; 4]) {
        let [_, _, _, _, mark @ ..] = position.to_be_bytes();
        (self.place(position + Self::MARK), mark)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the place of a position in the file.
    pub(crate) fn place(&self, position: u64) -> u64 {
        self.start + position % self.size
    }

    /// Returns how many of `length` bytes from a position on are before the end of the ring.
    fn before_end(&self, position: u64, length: usize) -> usize {
        let left = self.size - position % self.size;
        usize::try_from(left).map_or(length, |left| left.min(length))
    }

    /// Fills `buffer` from a position on.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (first, rest) = buffer.split_at_mut(self.before_end(position, buffer.len()));
        let done = read_up_to(self.storage, first, self.place(position))?;
        first[done..].fill(0);
        if !rest.is_empty() {
            let done = read_up_to(self.storage, rest, self.start)?;
            rest[done..].fill(0);
        }
        Ok(())
    }

    /// Writes all of `bytes` at a position.
    pub(crate) fn write(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let (first, rest) = bytes.split_at(self.before_end(position, bytes.len()));
        write_all(self.storage, first, self.place(position))?;
        write_all(self.storage, rest, self.start)
    }
}
