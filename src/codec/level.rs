//! Compression levels.

use libdeflater::CompressionLvl;

use crate::error::{Error, Result};

/// The compression level of blocks: 1 is the fastest; the level that produces the smallest files is 12 with zlib, and 22
/// with Zstandard.
///
/// ```
/// use capturefile::{CompressionLevel, OpenOptions};
///
/// # fn main() -> capturefile::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.capture");
/// let log = OpenOptions::new().write(true).compression_level(1.try_into()?).open(&path)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLevel(u8);

/// A level of the encoder for zlib.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ZlibLevel(pub(super) CompressionLvl);

impl CompressionLevel {
    const MAX: u8 = 22;

    /// Makes the level with this number; [`TryFrom`] does the same.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for numbers outside 1 to 22. With zlib, opening a file refuses levels above 12.
    ///
    /// # Examples
    ///
    /// ```
    /// use capturefile::CompressionLevel;
    ///
    /// assert_eq!(CompressionLevel::new(9)?.get(), 9);
    /// assert!(CompressionLevel::new(0).is_err());
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn new(level: u32) -> Result<Self> {
        let number = u8::try_from(level).ok().filter(|level| (1..=Self::MAX).contains(level));
        let expected = "it must be from 1, the fastest, to 12, the smallest, or 22 with zstd";
        number.map(Self).ok_or_else(|| refused(level, expected))
    }

    /// Returns the level as a number from 1 to 22.
    ///
    /// ```
    /// assert_eq!(capturefile::CompressionLevel::new(3)?.get(), 3);
    /// # Ok::<(), capturefile::Error>(())
    /// ```
    pub fn get(self) -> u32 {
        self.0.into()
    }
}

impl TryFrom<u32> for CompressionLevel {
    type Error = Error;

    fn try_from(level: u32) -> Result<Self> {
        Self::new(level)
    }
}

impl ZlibLevel {
    /// No compression.
    pub(super) const STORED: CompressionLvl = CompressionLvl::fastest();

    /// The level from 1 to 12, by default 6.
    pub(crate) fn new(level: Option<CompressionLevel>) -> Result<Self> {
        let Some(level) = level else {
            return Ok(Self::default());
        };
        let expected = "it must be from 1, the fastest, to 12, the smallest";
        CompressionLvl::new(level.0.into()).map(Self).map_err(|_| refused(level.get(), expected))
    }

    /// The level as a number.
    pub(crate) fn get(self) -> u32 {
        i32::from(self.0).unsigned_abs()
    }
}

fn refused(level: u32, expected: &'static str) -> Error {
    Error::InvalidOption { name: "compression_level", got: level.to_string(), expected }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn levels_outside_the_range_are_refused() {
        assert!(CompressionLevel::new(0).is_err());
        assert!(CompressionLevel::new(23).is_err());
        let zlib = |level| ZlibLevel::new(Some(CompressionLevel::new(level).unwrap()));
        assert!(zlib(1).is_ok() && zlib(12).is_ok());
        assert!(zlib(13).is_err());
        assert_eq!(ZlibLevel::new(None).unwrap().get(), 6);
    }
}
