//! What the pages of an index of fields say, without I/O: the values of fields in JSON records, and which records may
//! have them. `docs/indexing.md` describes it.
//!
//! It uses nothing else of the crate, so that `fuzz/` can compile it, too.

pub(crate) mod json;
pub(crate) mod pages;
pub(crate) mod run;
pub(crate) mod value;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
