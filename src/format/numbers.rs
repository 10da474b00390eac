//! Numbers of the format: every integer is unsigned and big-endian.

/// Length of an entry's size prefix, and of a frame's.
pub(crate) const LENGTH_SIZE: usize = 4;

/// The longest record or metadata, in bytes: what the size prefix can say.
pub(crate) const MAX_ENTRY_LEN: u64 = u32::MAX as u64;

/// Reads the big-endian number at `at`, if it is there whole.
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(size_of::<u32>())?;
    Some(u32::from_be_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Reads the big-endian number at `at`, if it is there whole.
pub(crate) fn get_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(size_of::<u64>())?;
    Some(u64::from_be_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// A length or position of something that is in memory whole; past the memory's end where it is not.
pub(crate) fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
