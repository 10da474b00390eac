//! How hard blocks are compressed.

use libdeflater::CompressionLvl;

use crate::error::{Error, Result};

/// How hard blocks are compressed: 1 is fastest, 12 makes the smallest files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompressionLevel(pub(super) CompressionLvl);

impl CompressionLevel {
    /// The one that has an encoder of its own.
    pub(super) const FASTEST: i32 = 1;
    /// No compression.
    pub(super) const STORED: CompressionLvl = CompressionLvl::fastest();

    /// The level from 1 to 12.
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

    /// The level as a number.
    pub fn number(self) -> i32 {
        self.0.into()
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
