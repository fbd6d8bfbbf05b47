//! Placeholder while the crate is written.

pub mod event;
pub mod json;
