//! Records concatenated in one buffer, with offsets.

use crate::error::{Result, reserve};

/// Holds records concatenated in one buffer. The type of the offsets limits its length.
///
/// ```
/// use capturefile::RecordBuffer;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two"])?;
/// let mut packed = RecordBuffer::default();
/// log.snapshot()?.records(1).pack(&mut packed, usize::MAX, usize::MAX)?;
/// assert_eq!((packed.bytes(), packed.offsets()), (&b"onetwo"[..], &[0, 3, 6][..]));
/// # Ok(()) }
/// ```
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
    /// Counts the records.
    ///
    /// ```
    /// let mut packed = capturefile::RecordBuffer::<i32>::default();
    /// packed.push(b"one")?;
    /// assert_eq!(packed.record_count(), 1);
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn record_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the bytes of all records.
    ///
    /// ```
    /// let mut packed = capturefile::RecordBuffer::<i32>::default();
    /// packed.push(b"one")?;
    /// assert_eq!(packed.bytes(), b"one");
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns where each record starts in the bytes, and finally where the last one ends.
    ///
    /// ```
    /// let mut packed = capturefile::RecordBuffer::<i32>::default();
    /// packed.push(b"one")?;
    /// assert_eq!(packed.offsets(), [0, 3]);
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn offsets(&self) -> &[Offset] {
        &self.offsets
    }

    /// Splits the buffer into its bytes and its offsets.
    ///
    /// ```
    /// let mut packed = capturefile::RecordBuffer::<i32>::default();
    /// packed.push(b"one")?;
    /// assert_eq!(packed.into_parts(), (b"one".to_vec(), vec![0, 3]));
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn into_parts(self) -> (Vec<u8>, Vec<Offset>) {
        (self.bytes, self.offsets)
    }

    /// Appends a copy of `record`; returns false if its end would exceed the range of the offsets.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut packed = capturefile::RecordBuffer::<u8>::default();
    /// assert!(packed.push(&[0; 200])?);
    /// assert!(!packed.push(&[0; 200])?);
    /// # Ok::<(), capturefile::Error>(())
    /// ```
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
