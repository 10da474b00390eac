//! Tests of version 3 of the format.

const FORMAT: u32 = 3;

#[path = "both/mod.rs"]
mod both;
