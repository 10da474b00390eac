//! The two slots for master nodes, and which of them a commit is written to.

/// One of the two places for master nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    A,
    B,
}

impl Slot {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Returns the slot of a serial number: A for even ones, B for odd ones.
    pub(crate) fn of_serial(serial: u32) -> Self {
        if serial.is_multiple_of(2) { Self::A } else { Self::B }
    }

    /// Returns 0 for A and 1 for B.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// Returns the index of the slot of a serial number.
pub(crate) fn image_index(serial: u32) -> usize {
    Slot::of_serial(serial).index()
}

/// Returns whether a commit with this serial number is later than `other`. The numbers wrap, so they are compared by
/// their wrapping difference.
pub(crate) fn is_newer(serial: u32, other: u32) -> bool {
    serial.wrapping_sub(other) < 1 << (u32::BITS - 1)
}
