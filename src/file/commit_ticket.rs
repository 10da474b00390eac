//! Commits in the background: starting them, and their tickets.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, path::PathBuf};

use super::capture_file::CaptureFile;
use crate::either::writer::AnyWriter;
use crate::error::{Error, Result};
use crate::sync::forks::forks;
use crate::sync::group_commit::{CommitSteps, GroupCommit};
use crate::sync::tickets::Ticket;
use crate::write::options::Commit;

impl CaptureFile {
    /// Starts a commit of everything since the last one, and returns while it is in progress.
    ///
    /// The commit contains everything that was added before the call. Of what is added later, up to the next
    /// call of this method or of [`commit`](Self::commit), it contains all or nothing. Commits happen in the
    /// order in which they are started. Those that are started while one is in progress share the next one.
    /// If one fails, all others in progress fail too, and their records are part of the open transaction again.
    ///
    /// At most 64 commits are in progress at a time; the call waits while there are more. In format 2 it also waits for
    /// blocks that are being compressed, as [`commit`](Self::commit) does.
    ///
    /// [`close`](Self::close) and [`rollback`](Self::rollback) wait for the commits that were started. So
    /// does dropping the object. A process that ends without doing so may lose them.
    ///
    /// # Errors
    ///
    /// The errors of [`commit`](Self::commit), if it occurs before the commit is in progress; and the error of
    /// an earlier started commit that no ticket has returned. Then nothing is started.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let first = log.start_commit()?;
    /// log.add_record(b"two")?;
    /// let second = log.start_commit()?;
    /// assert_eq!(second.wait()?, 2);
    /// assert!(first.is_done());
    /// # Ok(()) }
    /// ```
    pub fn start_commit(&self) -> Result<CommitTicket> {
        let role = self.writer_role()?;
        let published = Arc::clone(&self.published);
        let visited = move |writer: &AnyWriter| published.invalidate(writer.changes());
        let (ticket, record_count) = role.group.start(visited, || self.closed(), AnyWriter::record_count)?;
        let group = Arc::clone(&role.group);
        Ok(CommitTicket { group, ticket, record_count, path: self.path().to_owned(), forks: forks() })
    }

    /// Waits until all commits that were started are done.
    ///
    /// # Errors
    ///
    /// The error of a commit that has failed, unless a ticket or another call has returned it;
    /// [`Error::NotOpenForWrite`] and [`Error::Forked`] as for [`commit`](Self::commit).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// log.start_commit()?;
    /// log.finish_commits()?;
    /// assert_eq!(log.reader()?.record_count()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn finish_commits(&self) -> Result<()> {
        self.writer_role()?.group.finish_started()
    }

    /// Returns what started commits have committed since the last call of this method: at most the last 64 of
    /// them, and none for a reader.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// log.start_commit()?;
    /// log.finish_commits()?;
    /// assert_eq!(log.started_commits()[0].records, 2);
    /// assert!(log.started_commits().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn started_commits(&self) -> Vec<Commit> {
        self.writer_role().map_or_else(|_| Vec::new(), |role| role.group.take_unseen().into())
    }
}

/// A commit that was started by [`CaptureFile::start_commit`]. It continues if the ticket is dropped.
///
/// ```
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
/// log.add_records(["one", "two"])?;
/// let ticket = log.start_commit()?;
/// assert_eq!(ticket.record_count(), 2);
/// assert_eq!(ticket.wait()?, 2);
/// # Ok(()) }
/// ```
pub struct CommitTicket {
    group: Arc<GroupCommit<AnyWriter>>,
    ticket: Arc<Ticket>,
    record_count: u64,
    path: PathBuf,
    /// The count of forks when it was started. A forked child never touches the group.
    forks: u64,
}

impl fmt::Debug for CommitTicket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("CommitTicket");
        out.field("path", &self.path)
            .field("record_count", &self.record_count)
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

impl CommitTicket {
    /// Waits until the commit is done; returns the number of records in the file after it, which is also the
    /// number of the last record.
    ///
    /// # Errors
    ///
    /// The errors of [`CaptureFile::commit`]; each later call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// assert_eq!(log.start_commit()?.wait()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn wait(&self) -> Result<u64> {
        self.outcome(None).unwrap_or_else(|| Err(Error::Closed { path: self.path.clone() }))
    }

    /// Waits like [`wait`](Self::wait), but at most for `timeout`; returns `None` if the commit is not done by then.
    ///
    /// # Errors
    ///
    /// The errors of [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let ticket = log.start_commit()?;
    /// while ticket.wait_for(std::time::Duration::from_millis(1))?.is_none() {}
    /// assert!(ticket.is_done());
    /// # Ok(()) }
    /// ```
    pub fn wait_for(&self, timeout: Duration) -> Result<Option<u64>> {
        self.outcome(Some(timeout)).transpose()
    }

    /// Returns whether the commit is done, or has failed. Does not wait.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_record(b"one")?;
    /// let ticket = log.start_commit()?;
    /// log.close();
    /// assert!(ticket.is_done());
    /// # Ok(()) }
    /// ```
    pub fn is_done(&self) -> bool {
        self.ticket.is_settled()
    }

    /// Returns the number of records in the file after this commit, which is also the number of the last record.
    ///
    /// ```
    /// # fn main() -> capturefile::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("log.capture");
    /// # let log = capturefile::OpenOptions::new().write(true).open(&path)?;
    /// log.add_records(["one", "two"])?;
    /// assert_eq!(log.start_commit()?.record_count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    fn outcome(&self, timeout: Option<Duration>) -> Option<Result<u64>> {
        if self.forks != forks() {
            return Some(Err(Error::Forked { path: self.path.clone() }));
        }
        Some(self.group.wait_for(&self.ticket, timeout)?.map(|()| self.record_count))
    }
}
