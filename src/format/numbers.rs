//! Numbers of the format: every integer is unsigned and big-endian.

/// Size of the length prefix of an entry or a frame.
pub(crate) const LENGTH_SIZE: usize = 4;

/// Maximum length of a record or metadata in bytes: the largest that the length prefix can express.
pub(crate) const MAX_ENTRY_LEN: u64 = u32::MAX as u64;

/// Reads the big-endian number at `at`, if `bytes` contains all of it.
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(size_of::<u32>())?;
    Some(u32::from_be_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Reads the big-endian number at `at`, if `bytes` contains all of it.
pub(crate) fn get_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(size_of::<u64>())?;
    Some(u64::from_be_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Converts a length or position in data that is entirely in memory. Values that do not fit become one past
/// any memory.
pub(crate) fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
