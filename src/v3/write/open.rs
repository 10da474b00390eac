//! Opening a file to write, including the repair after a crash, and creating a new one.

use std::io;
use std::sync::Arc;

use super::writer::{Writer, WriterOptions};
use crate::error::{Damage, Error, Result};
use crate::format::in_memory;
use crate::lock::WriteRight;
use crate::storage::{Storage, read_up_to, write_all};
use crate::sync::group_commit::CommitSteps;
use crate::v3::format::Header;
use crate::v3::format::entry::EntryHeader;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::{FrameArea, Head};
use crate::v3::log::{LogEntry, LogState, Ring, WINDOW, find_lost_entry, follow};
use crate::v3::open::heads::{damaged_copy, read_slot};
use crate::v3::shared::Shared;
use crate::write::options::{Making, Stats, SyncMode};

impl Writer {
    /// Opens a writer for a file whose lock the caller holds.
    pub(crate) fn open(
        file: Arc<Shared>,
        right: Box<dyn WriteRight>,
        options: WriterOptions,
    ) -> Result<Self> {
        let syncs = options.sync != SyncMode::None;
        if syncs {
            file.storage.sync().map_err(file.failed("sync"))?;
            let (start, length) = (u64::from(file.header.page), file.header.data_start());
            file.storage
                .drop_cached(start, length - start)
                .map_err(file.failed("drop the cached content of"))?;
        }
        let (slots, head) = choose_head(&file)?;
        // Checked before memory is allocated according to the log.
        file.check_length(head.frames.limit)?;
        let mut state = LogState::of(&head);
        follow(&file, &mut state, WINDOW).map_err(file.failed("read the log of"))?;
        check_state(&file, &state)?;
        if syncs {
            write_again(&file, &head, &state)?;
        }
        let begins = slots.map(|slot| slot.map_or(head.begin, |head| head.begin));
        let standing = file.storage.standing().map_err(file.failed("read the length of"))?;
        let mut writer = Self::new(file, right, options, state, begins, standing);
        writer.repair_copy()?;
        writer.repair_slots(&head)?;
        writer.begin()?;
        Ok(writer)
    }

    /// Turns an empty file, whose lock the caller holds, into a capture file.
    pub(crate) fn create(
        file: &Arc<Shared>,
        right: Box<dyn WriteRight>,
        metadata: Option<&[u8]>,
        options: WriterOptions,
        making: Making,
    ) -> Result<Self> {
        let made = Self::make(file, right, metadata, options, making);
        if made.is_err() && making == Making::InPlace {
            // If this fails as well, the missing header shows it.
            let _ = file.storage.set_length(0);
        }
        made
    }

    /// Writes the initial content of an empty file.
    fn make(
        file: &Arc<Shared>,
        right: Box<dyn WriteRight>,
        metadata: Option<&[u8]>,
        options: WriterOptions,
        making: Making,
    ) -> Result<Self> {
        let header = file.header;
        let length = header.initial_length();
        file.storage.set_length(length).map_err(file.failed("set the length of"))?;
        let [older, newest] = [1, 2].map(|serial| first_head(serial, &header));
        let mut start = newest.encode(&header);
        start.extend_from_slice(&older.encode(&header));
        // The first page of the log, so that the disk has space for what opening writes.
        start.resize(start.len() + header.page as usize, 0);
        let write = |bytes: &[u8], at| {
            write_all(&*file.storage, bytes, at).map_err(file.failed("write the header of"))
        };
        write(&start, header.page.into())?;
        write(&header.encode(), header.log_end())?;
        if making == Making::InPlace {
            // Others see the file: a complete header means that everything else is complete.
            file.storage.sync().map_err(file.failed("sync"))?;
        }
        let mut first_page = header.encode();
        first_page.resize(header.page as usize, 0);
        write(&first_page, 0)?;
        file.storage.sync().map_err(file.failed("sync"))?;
        let begins = [newest.begin; 2];
        let standing = file.storage.standing().map_err(file.failed("read the length of"))?;
        let mut writer = Self::new(Arc::clone(file), right, options, LogState::of(&newest), begins, standing);
        writer.begin()?;
        if metadata.is_some() {
            writer.set_metadata(metadata)?;
            writer.commit_alone().map_err(|error| match error {
                // No one has seen the file, so nothing is uncertain.
                Error::CommitUncertain { path, source } => Error::io(&path, "write the metadata of", source),
                error => error,
            })?;
            writer.stats = Stats::default();
        }
        if options.sync != SyncMode::Full {
            // A file with a name is complete, whatever the mode.
            file.storage.sync().map_err(file.failed("sync"))?;
        }
        Ok(writer)
    }

    /// Writes the copy of the header again, if it is damaged.
    fn repair_copy(&self) -> Result<()> {
        let header = self.file.header;
        if damaged_copy(&self.file)?.is_none() {
            return Ok(());
        }
        write_all(&*self.file.storage, &header.encode(), header.log_end())
            .map_err(self.file.failed("repair the header of"))
    }

    /// Writes the same state, with the next serial number, to a slot that is torn.
    fn repair_slots(&mut self, head: &Head) -> Result<()> {
        let other = self.state.serial + 1;
        if read_slot(&self.file, other % 2)?.is_ok() {
            return Ok(());
        }
        let header = self.file.header;
        let again = Head { serial: other, ..head.clone() };
        write_all(&*self.file.storage, &again.encode(&header), header.head_position(other))
            .map_err(self.file.failed("repair a head of"))?;
        self.state.serial = other;
        Ok(())
    }

    /// Writes the opening entry, to which everything that follows is chained, so that entries which a dead writer has
    /// left after the end can never continue the log.
    fn begin(&mut self) -> Result<()> {
        self.make_room(EntryHeader::MIN_TOTAL, 0)?;
        let fields = Fields {
            position: self.state.end,
            first: self.state.total + 1,
            seed: self.state.check,
            time: self.time_of_commit(),
            sure: self.synced,
            salt: Some(self.file.environment.random()),
            ..Fields::default()
        };
        let bytes = Builder::default().finish(&fields);
        self.ring().write(fields.position, &bytes).map_err(self.file.failed("write to the log of"))?;
        let entry = LogEntry::of(bytes).filter(|entry| self.state.add(entry.clone(), &self.file.header));
        if entry.is_none() {
            return Err(self.fail("an opening entry does not continue the log".into()));
        }
        self.sync_storage()
    }
}

/// Returns a head of a new file.
fn first_head(serial: u64, header: &Header) -> Head {
    let begin = header.first_position();
    let frames = FrameArea::none(header);
    Head { serial, begin, seed: header.seed(), sure: begin, time: header.created, frames }
}

/// Returns whether a file of `length` bytes contains only what an interrupted creation with a log like that of
/// `header` can have left: the header is written last.
pub(crate) fn is_unmade(storage: &dyn Storage, length: u64, header: &Header) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    if length != header.initial_length() {
        return Ok(false);
    }
    let mut found = vec![0; in_memory(length)];
    read_up_to(storage, &mut found, 0)?;
    for slot in [0, 1] {
        let start = in_memory(header.head_position(slot));
        let page = &mut found[start..start + header.page as usize];
        let end = page.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if end < Head::FIXED_SIZE {
            // An incomplete write that did not reach the random bytes.
            let known = 8.min(end)..24.min(end);
            if page[known.clone()] == first_head(2 - slot, header).encode(header)[known] {
                page.fill(0);
            }
            continue;
        }
        // Heads repeat the header, whose identity is random.
        let Some(repeated) = Head::header_in(page).filter(|repeated| repeated.page == header.page) else {
            continue;
        };
        if page[..end] == first_head(2 - slot, &repeated).encode(&repeated)[..end] {
            page.fill(0);
            clear_torn_header(&mut found, &repeated);
        }
    }
    clear_copy(&mut found[in_memory(header.log_end())..], header);
    Ok(found.iter().all(|&byte| byte == 0))
}

/// Overwrites a partially written header with zeros.
fn clear_torn_header(found: &mut [u8], header: &Header) {
    let whole = header.encode();
    let torn = &mut found[..whole.len()];
    if *torn != whole && torn.iter().zip(&whole).all(|(&found, &made)| found == 0 || found == made) {
        torn.fill(0);
    }
}

/// Overwrites the copy of the header, of which any part may have been written, with zeros.
fn clear_copy(found: &mut [u8], header: &Header) {
    let found = &mut found[..Header::SIZE];
    let end = found.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    // The bytes after these are random, or differ between files with such a log.
    let known = ..end.min(Header::FIELDS);
    if found[known] == header.encode()[known] {
        found.fill(0);
    }
}

/// Reads both heads, and returns them with the newer one.
fn choose_head(file: &Shared) -> Result<([Option<Head>; 2], Head)> {
    let mut damage = None;
    let mut heads = [None, None];
    for (slot, head) in (0..).zip(&mut heads) {
        match read_slot(file, slot)? {
            Ok(found) => *head = Some(found),
            Err(bad) if bad.whole => return Err(file.corrupt(bad.damage)),
            Err(bad) => damage = Some(bad.damage),
        }
    }
    let newest = heads.iter().flatten().max_by_key(|head| head.serial).cloned();
    match newest {
        Some(newest) => Ok((heads, newest)),
        None => Err(file.corrupt(damage.unwrap_or_else(|| Damage::new("no head", "one of two")))),
    }
}

/// Refuses a file whose log ends before a position that was once reached, or whose frames are missing.
fn check_state(file: &Shared, state: &LogState) -> Result<()> {
    file.check_length(state.frames.limit)?;
    if state.end < state.sure {
        return Err(broken_log(file, state));
    }
    let lost = find_lost_entry(file, state).map_err(file.failed("read the log of"))?;
    if let Some(damage) = lost {
        return Err(file.corrupt(damage));
    }
    Ok(())
}

/// Returns the error for a log that ends before the head's `sure`.
pub(crate) fn broken_log(file: &Shared, state: &LogState) -> Error {
    let found = format!("a log that breaks off at position {}", state.end);
    let expected = format!("one that continues to position {} at least", state.sure);
    let ring = Ring::new(&*file.storage, &file.header);
    file.corrupt(Damage::new(found, expected).at(ring.place(state.end)))
}

/// Rewrites, with the same bytes, data that may be in memory only: the newest head, and the entries after the greatest
/// `sure` of the log.
fn write_again(file: &Shared, head: &Head, state: &LogState) -> Result<()> {
    let failed = || file.failed("repair");
    let header = &file.header;
    write_all(&*file.storage, &head.encode(header), header.head_position(head.serial)).map_err(failed())?;
    let sure = state.entries.iter().map(|entry| entry.header.sure).fold(head.sure, u64::max);
    let ring = Ring::new(&*file.storage, header);
    for entry in state.entries.iter().filter(|entry| entry.header.end() > sure) {
        ring.write(entry.header.position, entry.bytes()).map_err(failed())?;
    }
    Ok(())
}
