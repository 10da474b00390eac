//! Tests of the crate's public API: what it writes, what it reads, and what it refuses.
//!
//! `image` makes capture files and `parsed` parses them. Both are written from `docs/format.md` alone, so that
//! they can disagree with the library. Every other module tests one aspect of its behaviour; those in `both`
//! are compiled for each version of the format.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::needless_for_each, reason = "many loops over a few numbers fit on one line")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the crate is for 64-bit systems, and these files are small"
)]
#![expect(clippy::unnecessary_debug_formatting, reason = "messages quote paths")]
#![expect(clippy::duplicate_mod, reason = "tests of both formats are compiled for each of them")]

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
