//! Adding all or none of many records.

use crate::either::writer::{AnyWriter, Savepoint};
use crate::error::Result;
use crate::sync::group_commit::CommitSteps;

use super::capture_file::CaptureFile;

/// Maximum number of bytes that a batch holds back.
const MAX_BUFFERED_BYTES: usize = 4 * 1024 * 1024;

impl CaptureFile {
    /// Adds many records, all or none of them; returns the new count.
    ///
    /// # Errors
    ///
    /// The errors of [`batch`](Self::batch), [`Batch::add`] and [`Batch::finish`]; then none of the records is added.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// assert_eq!(log.add_records([b"three"])?, 3);
    /// # Ok(()) }
    /// ```
    pub fn add_records<R: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = R>) -> Result<u64> {
        let mut batch = self.batch()?;
        for record in records {
            batch.add(record.as_ref())?;
        }
        batch.finish()
    }

    /// Starts a batch of records that are added together or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::NotOpenForWrite`](crate::Error::NotOpenForWrite) on an object that reads,
    /// [`Error::Closed`](crate::Error::Closed) after [`close`](Self::close), [`Error::Forked`](crate::Error::Forked)
    /// in a forked process, and [`Error::WriterFailed`](crate::Error::WriterFailed) after a failure from which the
    /// writer cannot continue.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut batch = log.batch()?;
    /// batch.add(b"one")?;
    /// batch.finish()?;
    /// # Ok(()) }
    /// ```
    pub fn batch(&self) -> Result<Batch<'_>> {
        self.write(|writer| writer.check_health())?;
        Ok(Batch { file: self, held: Vec::new(), ends: Vec::new(), begun: None })
    }
}

/// Records that are added together, with [`finish`](Batch::finish), or not at all.
///
/// They are held back until then, out of the way of what other threads add, commit or roll back. A batch
/// of more than 4 MiB continues in the open transaction instead. If it then fails, its records are rolled
/// back unless others have written through the same object meanwhile: their work stays, and so do the
/// records of the batch before it.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// let mut batch = log.batch()?;
/// batch.add(b"one")?;
/// drop(batch);
/// assert_eq!(log.record_count()?, 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    file: &'a CaptureFile,
    held: Vec<u8>,
    /// Where the records in `held` end.
    ends: Vec<usize>,
    /// Set once the batch has grown too long to be held back.
    begun: Option<Begun>,
}

/// A batch in the open transaction.
#[derive(Debug)]
struct Begun {
    savepoint: Savepoint,
    /// The writer's count of changes after the batch's own last one.
    changes: u64,
}

impl Batch<'_> {
    /// Adds a record.
    ///
    /// # Errors
    ///
    /// The errors of [`CaptureFile::add_record`], for a batch that has outgrown its buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut batch = log.batch()?;
    /// for number in 1..=10_u32 {
    ///     batch.add(number.to_string().as_bytes())?;
    /// }
    /// assert_eq!(batch.finish()?, 10);
    /// # Ok(()) }
    /// ```
    pub fn add(&mut self, record: &[u8]) -> Result<()> {
        if self.hold(record) {
            return Ok(());
        }
        let Some(begun) = self.begun.as_mut() else {
            self.begun = Some(self.begin()?);
            return self.add(record);
        };
        self.file.add(record.len(), |writer| begun.add(writer, record))
    }

    /// Adds a record if that requires neither waiting nor more than copying it; returns whether it did.
    ///
    /// # Errors
    ///
    /// The errors of [`add`](Self::add).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut batch = log.batch()?;
    /// if !batch.try_add(b"one")? {
    ///     batch.add(b"one")?;
    /// }
    /// assert_eq!(batch.finish()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn try_add(&mut self, record: &[u8]) -> Result<bool> {
        if self.hold(record) {
            return Ok(true);
        }
        let Some(begun) = self.begun.as_mut() else {
            return Ok(false);
        };
        let added = self.file.try_write(|writer| begun.try_add(writer, record))?;
        Ok(added.is_some())
    }

    /// Holds a record back while there are few of them.
    fn hold(&mut self, record: &[u8]) -> bool {
        let room = MAX_BUFFERED_BYTES.saturating_sub(self.held.len() + self.ends.len() * size_of::<usize>());
        if self.begun.is_some() || record.len() >= room {
            return false;
        }
        self.held.extend_from_slice(record);
        self.ends.push(self.held.len());
        true
    }

    /// Adds the records that were held back to the open transaction, and continues the batch there.
    fn begin(&mut self) -> Result<Begun> {
        let begun = self.file.add(self.held.len(), |writer| {
            let savepoint = writer.savepoint()?;
            writer.add_records(&self.held, &self.ends)?;
            Ok(Begun { savepoint, changes: writer.changes() })
        })?;
        self.held = Vec::new();
        self.ends = Vec::new();
        Ok(begun)
    }

    /// Adds the records, to be committed with the others; returns the new count.
    ///
    /// # Errors
    ///
    /// The errors of [`CaptureFile::add_record`]; then none of the records is added.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// let mut batch = log.batch()?;
    /// batch.add(b"one")?;
    /// assert_eq!(batch.finish()?, 1);
    /// assert_eq!(log.snapshot()?.record_count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn finish(mut self) -> Result<u64> {
        // If the file was closed meanwhile, this is an error: the records are lost.
        match self.begun.take() {
            Some(_) => self.file.write(|writer| Ok(writer.record_count())),
            None => self.file.add(self.held.len(), |writer| writer.add_records(&self.held, &self.ends)),
        }
    }
}

impl Begun {
    fn add(&mut self, writer: &mut AnyWriter, record: &[u8]) -> Result<()> {
        let alone = self.changes == writer.changes();
        writer.add_record(record)?;
        self.changes = if alone { writer.changes() } else { self.changes };
        Ok(())
    }

    fn try_add(&mut self, writer: &mut AnyWriter, record: &[u8]) -> Result<Option<u64>> {
        let alone = self.changes == writer.changes();
        let added = writer.try_add(record)?;
        self.changes = if alone { writer.changes() } else { self.changes };
        Ok(added)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else {
            return;
        };
        // A file that was closed meanwhile has nothing to restore.
        let _ = self.file.write(|writer| {
            if begun.changes == writer.changes() {
                self.file.restore(writer, begun.savepoint);
            }
            Ok(())
        });
    }
}
