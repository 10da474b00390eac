//! Records side by side in one piece of memory, with offsets.

use crate::error::{Result, reserve};
use crate::read::records::Records;

/// Records side by side in one piece of memory, with offsets of a type that can tell how long it may be.
#[derive(Debug)]
pub struct RecordBuffer<Offset = i64> {
    bytes: Vec<u8>,
    offsets: Vec<Offset>,
}

impl<Offset: Default> Default for RecordBuffer<Offset> {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![Offset::default()] }
    }
}

impl<Offset: TryFrom<usize>> RecordBuffer<Offset> {
    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each record starts among the bytes, and last where they end.
    pub fn offsets(&self) -> &[Offset] {
        &self.offsets
    }

    /// The bytes and the offsets.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Offset>) {
        (self.bytes, self.offsets)
    }

    /// Puts a copy of `record` behind the others; false if there would be more bytes than an offset can tell.
    pub fn push(&mut self, record: &[u8]) -> Result<bool> {
        let Ok(end) = Offset::try_from(self.bytes.len() + record.len()) else {
            return Ok(false);
        };
        reserve(&mut self.bytes, record.len(), "records")?;
        reserve(&mut self.offsets, 1, "record offsets")?;
        self.bytes.extend_from_slice(record);
        self.offsets.push(end);
        Ok(true)
    }
}

impl Records {
    /// Appends the next records to `packed` until it has `most_records`, or at least `most_bytes`; false once
    /// there are no more. A record that cannot be read is an error, and passed over by the next call.
    pub fn pack(
        &mut self,
        packed: &mut RecordBuffer,
        most_records: usize,
        most_bytes: usize,
    ) -> Result<bool> {
        while packed.record_count() < most_records && packed.bytes.len() < most_bytes {
            // No memory is so large that 64 bits do not suffice.
            let _fits = match self.next_cached() {
                Some(record) => packed.push(record)?,
                None => match self.next() {
                    Some(record) => packed.push(&record?)?,
                    None => return Ok(false),
                },
            };
        }
        Ok(self.remaining() > 0)
    }
}
