//! Claims about the wire formats, tested from outside. One module a part; `corpus` and `hostile` run real and evil input.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accepted;
mod addresses;
mod answers;
mod auth;
mod bodies;
mod corpus;
mod envelopes;
mod hostile;
mod items;
mod minidump;
mod properties;
mod security;
mod stream;
