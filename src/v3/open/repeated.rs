//! Finding the header of a file in its heads, which repeat it, if the header itself is damaged.

use std::io;

use crate::format::{Geometry, in_memory};
use crate::storage::{Storage, read_up_to};
use crate::v3::format::head::Head;
use crate::v3::format::{Header, VERSION};

/// Maximum page size up to which every size is tried; above it, only powers of two.
const MAX_ODD_PAGE: u32 = 1 << 16;
const MIN_PAGE: u32 = 512;
/// Maximum page size.
const MAX_PAGE: u32 = 1 << 27;

/// Returns the header from the first intact head that repeats it.
pub(crate) fn find_repeated(storage: &dyn Storage) -> io::Result<Option<Header>> {
    let usual = Geometry::of_version(VERSION).page_size;
    let odd = (MIN_PAGE..=MAX_ODD_PAGE).step_by(8);
    let large = (MAX_ODD_PAGE.ilog2() + 1..=MAX_PAGE.ilog2()).map(|power| 1 << power);
    let mut start = vec![0; 3 * MAX_ODD_PAGE as usize];
    let length = read_up_to(storage, &mut start, 0)?;
    start.truncate(length);
    for page in std::iter::once(usual).chain(odd) {
        for slot in [0, 1] {
            let at = in_memory(u64::from(page) * (1 + slot));
            let bytes = start.get(at..at + page as usize).unwrap_or_default();
            if let Some(header) = header_by(bytes, page, slot) {
                return Ok(Some(header));
            }
        }
    }
    let all = storage.length()?;
    for page in large {
        for slot in [0, 1] {
            let at = u64::from(page) * (1 + slot);
            let mut fields = [0; Head::FIXED_SIZE];
            let length = read_up_to(storage, &mut fields, at)?;
            if !says_page(&fields[..length], page) || at + u64::from(page) > all {
                continue;
            }
            let mut bytes = vec![0; page as usize];
            let length = read_up_to(storage, &mut bytes, at)?;
            if let Some(header) = header_by(&bytes[..length], page, slot) {
                return Ok(Some(header));
            }
        }
    }
    Ok(None)
}

fn says_page(bytes: &[u8], page: u32) -> bool {
    Head::header_in(bytes).is_some_and(|header| header.page == page && header.check_settings().is_ok())
}

fn header_by(bytes: &[u8], page: u32, slot: u64) -> Option<Header> {
    let header = Head::header_in(bytes).filter(|_| says_page(bytes, page))?;
    Head::decode(bytes, slot, &header).is_ok().then_some(header)
}
