//! The brokers, one folder each.

pub mod embedded;
pub mod redis;
pub mod shared;
