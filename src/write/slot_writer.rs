//! Writing the two slots of a file.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::format::master::MasterNode;
use crate::format::{Slot, image_index, in_memory};
use crate::lock::WriteRight;
use crate::read::open_file::OpenFile;
use crate::storage::write_up_to;
use crate::write::repair::SlotImages;

/// Why a slot was not written.
#[derive(Debug)]
pub(super) enum SlotError {
    /// There was no space for its first byte, as on a file system that writes nothing in place: the slot is
    /// unchanged.
    Untouched(io::Error),
    /// Its content is unknown.
    Begun(io::Error),
}

impl SlotError {
    fn new(error: io::Error, is_begun: bool) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if !is_begun => Self::Untouched(error),
            _ => Self::Begun(error),
        }
    }

    pub(super) fn into_source(self) -> io::Error {
        match self {
            Self::Untouched(error) | Self::Begun(error) => error,
        }
    }
}

/// Writes master nodes into their slots, as few pages as possible.
#[derive(Debug)]
pub(super) struct SlotWriter {
    file: Arc<OpenFile>,
    right: Arc<dyn WriteRight>,
    /// The content of the two slots.
    images: SlotImages,
    /// Buffer for the next image, reused so that commits need not allocate it.
    spare_image: Vec<u8>,
}

impl SlotWriter {
    pub(super) fn new(file: Arc<OpenFile>, right: Arc<dyn WriteRight>, images: SlotImages) -> Self {
        Self { file, right, images, spare_image: Vec::new() }
    }

    /// Writes the pages of a slot that differ from its present content, as the commit with number `serial`.
    pub(super) fn write(&mut self, node: &MasterNode, serial: u32) -> Result<(), SlotError> {
        let geometry = self.file.geometry;
        let mut image = std::mem::take(&mut self.spare_image);
        image.clear();
        image
            .try_reserve_exact(in_memory(geometry.slot_size()))
            .map_err(|_| SlotError::Begun(io::ErrorKind::OutOfMemory.into()))?;
        node.encode(serial, &geometry, &mut image);
        let standing = &mut self.images[image_index(serial)];
        let position = geometry.slot_position(Slot::of_serial(serial));
        let page = geometry.page_size as usize;
        let readers_kept_out = self.right.lock_slots(&geometry);
        let mut is_begun = false;
        for range in changed_pages(standing.as_deref().unwrap_or_default(), &image, page) {
            let at = position + range.start as u64;
            let (written, result) = write_up_to(&*self.file.storage, &image[range], at);
            is_begun |= written > 0;
            result.map_err(|error| SlotError::new(error, is_begun))?;
        }
        drop(readers_kept_out);
        self.spare_image = standing.replace(image).unwrap_or_default();
        Ok(())
    }
}

/// Returns the runs of pages in which `new` differs from `old`, as ranges of bytes.
fn changed_pages<'a>(old: &'a [u8], new: &'a [u8], page: usize) -> impl Iterator<Item = Range<usize>> + 'a {
    let differs = move |start: &usize| {
        let range = *start..(*start + page).min(new.len());
        old.get(range.clone()) != Some(&new[range])
    };
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = (next..new.len()).step_by(page).find(differs)?;
        let end = (start..new.len()).step_by(page).find(|at| !differs(at)).unwrap_or(new.len());
        next = end;
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_untouched_only_where_there_was_no_room_for_its_first_byte() {
        let no_room = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        for kind in [no_room[0], no_room[1], io::ErrorKind::Other, io::ErrorKind::WriteZero] {
            let is_untouched =
                |is_begun| matches!(SlotError::new(kind.into(), is_begun), SlotError::Untouched(_));
            assert_eq!(is_untouched(false), no_room.contains(&kind), "{kind}");
            assert!(!is_untouched(true), "{kind}");
        }
    }

    #[test]
    fn only_pages_that_changed_are_written() {
        let runs = |old: &[u8], new: &[u8]| changed_pages(old, new, 2).collect::<Vec<_>>();
        assert!(runs(b"aabbcc", b"aabbcc").is_empty());
        assert_eq!(runs(b"aabbcc", b"axbbxc"), [0..2, 4..6]);
        assert_eq!(runs(b"aabbcc", b"aaxxxx"), std::slice::from_ref(&(2..6)));
        assert_eq!(runs(b"", b"aabbcc"), std::slice::from_ref(&(0..6)));
    }
}
