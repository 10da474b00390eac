//! The bytes of a capture file: their layout, and the bounds of their numbers. No I/O and no threads.

mod coordinates;
pub(crate) mod entries;
mod header;
pub(crate) mod master;
mod numbers;
mod said;
mod slot;

pub use coordinates::Coordinates;
pub(crate) use coordinates::NodePart;
pub(crate) use header::has_checksum;
pub use header::{Geometry, HeaderChecksum};
pub(crate) use numbers::{LENGTH_SIZE, MAX_ENTRY_LEN, get_u32, get_u64, in_memory};
pub use said::{Header, MasterSlot};
pub(crate) use slot::{Slot, image_index, is_newer};
