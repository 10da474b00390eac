//! Compression levels.

use libdeflater::CompressionLvl;

use crate::error::{Error, Result};

/// The compression level of blocks: 1 is the fastest, 12 produces the smallest files, and 6 is the default.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompressionLevel(pub(super) CompressionLvl);

impl CompressionLevel {
    /// The level with an encoder of its own.
    pub(super) const FASTEST: u32 = 1;
    /// No compression.
    pub(super) const STORED: CompressionLvl = CompressionLvl::fastest();

    /// Makes the level with this number; [`TryFrom`] does the same.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for numbers other than 1 to 12.
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
        i32::try_from(level)
            .ok()
            .filter(|level| *level >= 1)
            .and_then(|level| CompressionLvl::new(level).ok())
            .map(Self)
            .ok_or(Error::InvalidOption {
                name: "compression_level",
                got: level.to_string(),
                expected: "it must be from 1, the fastest, to 12, the smallest",
            })
    }

    /// Returns the level as a number from 1 to 12.
    ///
    /// ```
    /// assert_eq!(capturefile::CompressionLevel::default().get(), 6);
    /// ```
    pub fn get(self) -> u32 {
        i32::from(self.0).unsigned_abs()
    }
}

impl TryFrom<u32> for CompressionLevel {
    type Error = Error;

    fn try_from(level: u32) -> Result<Self> {
        Self::new(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_outside_the_range_are_refused() {
        assert!(CompressionLevel::new(0).is_err());
        assert!(CompressionLevel::new(1).is_ok());
        assert!(CompressionLevel::new(12).is_ok());
        assert!(CompressionLevel::new(13).is_err());
    }
}
