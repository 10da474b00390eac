//! Walking a whole file to find everything that is damaged in it.

mod order;
mod report;
mod slots;
mod structure;
mod walk;

pub use report::Report;
pub use structure::{Step, Structure, Way};

use std::collections::HashSet;
use std::path::Path;

use crate::error::Result;
use crate::file::CaptureFile;
use crate::sync::progress::Progress;

use order::{Order, Walked};
use walk::Walk;

/// Reads everything in the file at `path`: the header, both master nodes, every frame from the start of the
/// data to the file limit, every index node, every record's bounds, and the metadata. What lies behind the
/// file limit, as an unfinished transaction leaves it, is no part of the file.
///
/// An error means that the file cannot be opened as a capture file at all.
pub fn verify(path: impl AsRef<Path>) -> Result<Report> {
    verify_while(path, |_, _| true)
}

/// Like [`verify`], telling `go_on` now and then how many bytes of the file are done, and how many it has: first
/// none, last all of them. If that says no, the error is an [`Error::Io`](crate::Error::Io) of the kind `Interrupted`.
///
/// A byte is half done when its block has been read, and done when the index has led there.
pub fn verify_while(path: impl AsRef<Path>, go_on: impl FnMut(u64, u64) -> bool + 'static) -> Result<Report> {
    let watch = Progress::new(path.as_ref(), go_on);
    verify_watched(&CaptureFile::open(path)?, &watch)
}

/// Like [`verify`], but looks only where it costs little, however large the file: the header, the master
/// nodes, the edges of the index tree with the records there, the last frames, and the metadata.
pub fn verify_quickly(path: impl AsRef<Path>) -> Result<Report> {
    let file = CaptureFile::open(path)?;
    let snapshot = file.snapshot()?;
    let mut walk = Walk::new(&snapshot, Progress::new(file.path(), |_, _| true));
    walk.header_and_slots()?;
    walk.edges()?;
    walk.last_frames()?;
    walk.keep(snapshot.metadata().map(drop))?;
    Ok(walk.report)
}

/// The same as [`verify`] for a file that is open already.
#[cfg(test)]
pub(crate) fn verify_open(file: &CaptureFile) -> Result<Report> {
    verify_watched(file, &Progress::new(file.path(), |_, _| true))
}

fn verify_watched(file: &CaptureFile, watch: &Progress) -> Result<Report> {
    let snapshot = file.snapshot()?;
    watch.expect(snapshot.file_limit());
    watch.look()?;
    let mut walk = Walk::new(&snapshot, watch.clone());
    walk.header_and_slots()?;
    walk.patience = Some(walk.frames()?);
    let before = (walk.report.clone(), walk.broken.clone(), walk.patience);
    if walk.tree()? == Walked::InDisorder {
        // What is broken is to be reported again.
        (walk.report, walk.broken, walk.patience) = before;
        walk.order = Order::Any(HashSet::new());
        walk.tree()?;
        walk.overlaps();
    }
    walk.keep(snapshot.metadata().map(drop))?;
    watch.finish()?;
    Ok(walk.report)
}
