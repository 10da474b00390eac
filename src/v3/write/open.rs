//! Opening a file to write, which settles what a crash has left, and making a new one.

use std::sync::Arc;

use super::writer::{Writer, WriterOptions};
use crate::error::{Damage, Error, Result};
use crate::lock::WriteRight;
use crate::storage::write_all;
use crate::v3::format::entry::EntryHeader;
use crate::v3::format::entry_builder::{Builder, Fields};
use crate::v3::format::head::{Frames, Head};
use crate::v3::log::{Entry, Ring, State, WINDOW, find_lost_entry, follow, seed_after};
use crate::v3::open::heads::read_slot;
use crate::v3::read::frames::check_length;
use crate::v3::shared::Shared;
use crate::v3::steps::Step;
use crate::write::options::SyncMode;

impl Writer {
    /// A writer over a file whose lock the caller holds.
    pub(crate) fn open(
        file: Arc<Shared>,
        right: Box<dyn WriteRight>,
        options: WriterOptions,
    ) -> Result<Self> {
        let syncs = options.sync != SyncMode::None;
        if syncs {
            file.storage.sync().map_err(file.failed("sync"))?;
            let (start, length) = (u64::from(file.header.page), file.header.data_start());
            file.storage.drop_cached(start, length - start).map_err(file.failed("drop what is cached of"))?;
        }
        let (slots, head) = choose_head(&file)?;
        let mut state = State::of(&head);
        follow(&file, &mut state, WINDOW).map_err(file.failed("read the log of"))?;
        check_state(&file, &state)?;
        if syncs && file.steps.include(Step::WriteAgain) {
            write_again(&file, &head, &state)?;
        }
        let begins = slots.map(|slot| slot.map_or(head.begin, |head| head.begin));
        let length = file.storage.length().map_err(file.failed("read the length of"))?;
        let mut writer = Self::new(file, right, options, state, begins, length);
        writer.repair_slots(&head)?;
        writer.begin()?;
        Ok(writer)
    }

    /// Fills an empty file that nobody else can see yet.
    pub(crate) fn create(
        file: Arc<Shared>,
        right: Box<dyn WriteRight>,
        metadata: Option<&[u8]>,
        options: WriterOptions,
    ) -> Result<Self> {
        let header = file.header;
        let length = header.data_start() + u64::from(header.page);
        file.storage.set_length(length).map_err(file.failed("set the length of"))?;
        let head = |serial| Head {
            serial,
            begin: header.first_position(),
            seed: header.seed(),
            sure: header.first_position(),
            time: header.created,
            frames: Frames::none(&header),
        };
        let newest = head(2);
        let mut start = header.encode();
        start.resize(header.page as usize, 0);
        start.extend_from_slice(&newest.encode(&header));
        start.extend_from_slice(&head(1).encode(&header));
        // The first page of the log, so that there is room on the disk for what opening writes.
        start.resize(start.len() + header.page as usize, 0);
        write_all(&*file.storage, &start, 0).map_err(file.failed("write the header of"))?;
        file.storage.sync().map_err(file.failed("sync"))?;
        let begins = [newest.begin; 2];
        let mut writer = Self::new(file, right, options, State::of(&newest), begins, length);
        writer.begin()?;
        if metadata.is_some() {
            writer.set_metadata(metadata)?;
            writer.commit()?;
        }
        if options.sync != SyncMode::Full {
            // What has a name is whole, whatever the mode.
            writer.file.storage.sync().map_err(writer.file.failed("sync"))?;
        }
        Ok(writer)
    }

    /// A slot that is not whole gets the same state with the next serial number.
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

    /// Writes the opening entry, through which all that follows is chained: what a dead writer has left behind the
    /// end never continues the log again.
    fn begin(&mut self) -> Result<()> {
        if !self.file.steps.include(Step::OpeningEntry) {
            return self.sync_storage();
        }
        self.make_room(EntryHeader::MIN_TOTAL, 0)?;
        let fields = Fields {
            position: self.state.end,
            first: self.state.total + 1,
            seed: seed_after(&self.file, self.state.check),
            time: self.stamp(),
            sure: self.synced,
            salt: Some(self.file.environment.random()),
            ..Fields::default()
        };
        let bytes = Builder::default().finish(&fields);
        self.ring().write(fields.position, &bytes).map_err(self.file.failed("write to the log of"))?;
        let entry = Entry::of(bytes).filter(|entry| self.state.add(entry.clone(), &self.file.header));
        if entry.is_none() {
            return Err(self.fail("an opening entry does not continue the log".into()));
        }
        self.sync_storage()
    }
}

/// Both heads, and the newer one.
fn choose_head(file: &Shared) -> Result<([Option<Head>; 2], Head)> {
    let mut damage = None;
    let mut heads = [None, None];
    for (slot, head) in (0..).zip(&mut heads) {
        match read_slot(file, slot)? {
            Ok(found) => *head = Some(found),
            Err(bad) if bad.whole => return Err(file.invalid(bad.damage)),
            Err(bad) => damage = Some(bad.damage),
        }
    }
    let newest = heads.iter().flatten().max_by_key(|head| head.serial).cloned();
    match newest {
        Some(newest) => Ok((heads, newest)),
        None => Err(file.invalid(damage.unwrap_or_else(|| Damage::new("no head", "one of two")))),
    }
}

/// Refuses a file whose log breaks off where it was once whole, or whose frames are missing.
fn check_state(file: &Shared, state: &State) -> Result<()> {
    if file.steps.include(Step::SureLog) {
        if state.end < state.sure {
            return Err(broken_log(file, state));
        }
        let lost = find_lost_entry(file, state).map_err(file.failed("read the log of"))?;
        if let Some(damage) = lost {
            return Err(file.invalid(damage));
        }
    }
    check_length(file, state.frames.limit)
}

/// The error for a log that ends before its head was sure of it.
pub(crate) fn broken_log(file: &Shared, state: &State) -> Error {
    let found = format!("a log that breaks off at position {}", state.end);
    let expected = format!("one that continues to position {} at least", state.sure);
    let ring = Ring::new(&*file.storage, &file.header);
    file.invalid(Damage::new(found, expected).at(ring.place(state.end)))
}

/// Writes what memory may hold and the disk may not, with the bytes that it has: the newest head, and the entries past
/// what the log itself is sure of.
fn write_again(file: &Shared, head: &Head, state: &State) -> Result<()> {
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
