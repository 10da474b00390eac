//! Tests of the crate's public face: what it writes, what it reads, and what it refuses.
//!
//! `image` makes capture files and `parsed` takes them apart, both written from `docs/format.md` alone, so
//! that they can disagree with the library; every other module tests one side of its behaviour. Those in `both` are
//! compiled for each version of the format.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::needless_for_each, reason = "much is done in one line for each of some numbers")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the crate is for 64-bit systems, and these files are small"
)]
#![expect(clippy::unnecessary_debug_formatting, reason = "messages have paths in quotes")]
#![expect(clippy::duplicate_mod, reason = "what both formats do is compiled for each of them")]

mod damage;
mod format;
mod format_2;
mod format_3;
mod hand_made;
mod huge;
mod image;
mod parsed;
mod verifying;

use format_2::both::support;
