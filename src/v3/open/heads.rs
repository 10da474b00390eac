//! Determining which of the two heads is current while a writer may be writing one, and checking the copy of the header.

use std::time::{Duration, Instant};

use crate::error::{Damage, Error, Result};
use crate::storage::read_up_to;
use crate::v3::format::Header;
use crate::v3::format::head::{BadHead, Head};
use crate::v3::shared::Shared;

/// Time after which a reader gives up waiting for a valid head.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

fn read_page(file: &Shared, slot: u64) -> Result<Vec<u8>> {
    let mut page = vec![0; file.header.page as usize];
    let length = read_up_to(&*file.storage, &mut page, file.header.head_position(slot))
        .map_err(file.failed("read the heads of"))?;
    page.truncate(length);
    Ok(page)
}

/// Reads the head in slot A, if `slot` is 0, or B.
pub(crate) fn read_slot(file: &Shared, slot: u64) -> Result<std::result::Result<Head, BadHead>> {
    Ok(Head::decode(&read_page(file, slot)?, slot, &file.header))
}

/// Returns the damage of the copy of the header, if there is any.
pub(crate) fn damaged_copy(file: &Shared) -> Result<Option<Damage>> {
    let mut copy = [0; Header::SIZE];
    let length = read_up_to(&*file.storage, &mut copy, file.header.log_end())
        .map_err(file.failed("read the copy of the header of"))?;
    Ok(file.header.damage_of_copy(&copy[..length]))
}

/// Returns the current head: the one that was current when reading started, or a newer one.
pub(crate) fn read_head(file: &Shared) -> Result<Head> {
    let deadline = Instant::now() + TIMEOUT;
    let mut before = None;
    loop {
        let pages = [read_page(file, 0)?, read_page(file, 1)?];
        let a = Head::decode(&pages[0], 0, &file.header);
        let b = Head::decode(&pages[1], 1, &file.header);
        let damage = match (a, b) {
            (Ok(a), Ok(b)) => return Ok(if b.serial > a.serial { b } else { a }),
            // Invalid numbers with a correct checksum: perhaps the newest head.
            (Err(bad), _) | (_, Err(bad)) if bad.whole => bad.damage,
            (Err(_), Ok(b)) => return Ok(b),
            (Ok(a), Err(bad)) => {
                // A may have been read before B was started, and be older than the state at that moment.
                if read_page(file, 0)? == pages[0] {
                    return Ok(a);
                }
                bad.damage
            }
            (Err(bad), Err(_)) => bad.damage,
        };
        give_up_if_it_stays(file, &mut before, pages, damage, deadline)?;
    }
}

/// Returns an error if two reads find the same damage, or if no valid head is found in time.
fn give_up_if_it_stays(
    file: &Shared,
    before: &mut Option<[Vec<u8>; 2]>,
    pages: [Vec<u8>; 2],
    damage: Damage,
    deadline: Instant,
) -> Result<()> {
    if before.as_ref() == Some(&pages) || Instant::now() >= deadline {
        return Err(Error::corrupt(&file.path, damage));
    }
    *before = Some(pages);
    Ok(())
}
