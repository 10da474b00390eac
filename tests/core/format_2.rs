//! Tests of version 2 of the format.

const FORMAT: u32 = 2;

#[path = "both/mod.rs"]
pub(crate) mod both;
