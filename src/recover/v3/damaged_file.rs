//! The layout of a damaged file: its header, or whatever repeats it, and the newest head.

use std::time::Duration;

use crate::error::{Damage, Error, Result};
use crate::format::Geometry;
use crate::v3::format::Header;
use crate::v3::format::head::Head;
use crate::v3::open::repeated::find_repeated;

use super::super::raw::Raw;
use super::log::DamagedLog;
use super::scan::find_copy;

/// Maximum number of times that a file which may be being written is read, with a pause.
const MAX_LOOKS: usize = 20;
/// Files in fuzzing have no writer.
const PAUSE: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 20 });

/// The sizes, the newest head and the log of a damaged file.
pub(in super::super) struct DamagedFile {
    pub(in super::super) header: Header,
    pub(super) head: Option<Head>,
    pub(super) log: DamagedLog,
    /// The damage of the header and the heads.
    pub(super) problems: Vec<Damage>,
}

impl DamagedFile {
    /// Finds the layout of the file; `None` if neither a header nor a head is readable.
    pub(in super::super) fn find(raw: &Raw<'_>) -> Result<Option<Self>> {
        let Some((header, damage)) = find_header(raw)? else {
            return Ok(None);
        };
        Self::with_header(raw, header, damage.as_ref()).map(Some)
    }

    /// The same for a file without a header and heads, by what its frames repeat.
    pub(in super::super) fn find_by_frames(raw: &Raw<'_>) -> Result<Option<Self>> {
        let Some(header) = find_copy(raw)? else {
            return Ok(None);
        };
        let start = raw.read(0..raw.length.min(Header::SIZE as u64))?.unwrap_or_default();
        Self::with_header(raw, header, Header::decode(&start).err().as_ref()).map(Some)
    }

    fn with_header(raw: &Raw<'_>, header: Header, damage: Option<&Damage>) -> Result<Self> {
        let mut start = Self::look(raw, header, damage.cloned())?;
        for _ in 0..MAX_LOOKS {
            if start.problems.is_empty() && !start.log.may_go_on {
                return Ok(start);
            }
            std::thread::sleep(PAUSE);
            let again = Self::look(raw, header, damage.cloned())?;
            if again.is_same_as(&start) {
                return Ok(start);
            }
            start = again;
        }
        let damage = Damage::new("heads and a log that keep changing", "a file that nobody writes");
        Err(Error::corrupt(&raw.path, damage))
    }

    fn look(raw: &Raw<'_>, header: Header, damage: Option<Damage>) -> Result<Self> {
        let mut problems: Vec<Damage> = damage.into_iter().collect();
        let mut newest: Option<Head> = None;
        for slot in [0, 1] {
            let at = header.head_position(slot);
            let page = raw.read(at..at + u64::from(header.page))?.unwrap_or_default();
            match Head::decode(&page, slot, &header) {
                Ok(head) => newest = newest.into_iter().chain([head]).max_by_key(|head| head.serial),
                Err(bad) => problems.push(bad.damage),
            }
        }
        let copy = raw.read(header.log_end()..header.data_start())?.unwrap_or_default();
        problems.extend(header.damage_of_copy(&copy));
        let log = DamagedLog::read(raw, header, newest.as_ref())?;
        Ok(Self { header, head: newest, log, problems })
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.problems == other.problems && self.head == other.head && self.log.is_same_as(&other.log)
    }
}

/// Returns the header, with its damage if it had to be taken from a head.
fn find_header(raw: &Raw<'_>) -> Result<Option<(Header, Option<Damage>)>> {
    let bytes = raw.read(0..raw.length.min(Header::SIZE as u64))?.unwrap_or_default();
    let damage = match Header::decode(&bytes) {
        Ok(header) => return Ok(Some((header, None))),
        Err(damage) => damage,
    };
    if Geometry::decode(&bytes[..bytes.len().min(Geometry::HEADER_SIZE)]).is_ok() {
        return Ok(None);
    }
    let found = find_repeated(raw.storage()).map_err(|error| Error::io(&raw.path, "read", error))?;
    Ok(found.map(|header| (header, Some(damage))))
}
