//! Writing: the uncommitted state, and the order of steps that makes a commit durable.

pub(crate) mod writer;
