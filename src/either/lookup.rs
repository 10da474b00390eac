//! The result of looking up a record in memory.

use crate::read::index::Place;
use crate::read::record::Record;

/// The result of a lookup in memory; see [`Snapshot::record_cached`](crate::Snapshot::record_cached).
///
/// ```
/// use capturefile::Lookup;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// let snapshot = log.snapshot()?;
/// let record = match snapshot.record_cached(1)? {
///     Lookup::Found(record) => record,
///     Lookup::Stuck(place) => snapshot.resume(&place)?,
/// };
/// assert_eq!(record, *b"one");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub enum Lookup {
    /// The record.
    Found(Record),
    /// The place where the lookup could not continue without the file.
    Stuck(Stuck),
}

impl Lookup {
    /// Returns the record, if it was found.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let record = log.snapshot()?.record_cached(1)?.found();
    /// assert_eq!(record.expect("it is not compressed yet"), *b"one");
    /// # Ok(()) }
    /// ```
    pub fn found(self) -> Option<Record> {
        match self {
            Self::Found(record) => Some(record),
            Self::Stuck(_) => None,
        }
    }
}

/// The place where a lookup could not continue without the file, for [`Snapshot::resume`](crate::Snapshot::resume).
///
/// ```
/// use capturefile::Lookup;
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_record(b"one")?;
/// let snapshot = log.snapshot()?;
/// if let Lookup::Stuck(place) = snapshot.record_cached(1)? {
///     println!("{} bytes", snapshot.resume(&place)?.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Stuck {
    pub(super) number: u64,
    /// The record's place in the index, as far as it is known.
    pub(super) place: Option<Place>,
}
