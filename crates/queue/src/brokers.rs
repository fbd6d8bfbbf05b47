//! The brokers, one folder each.

pub mod embedded;
pub mod member;
pub mod redis;
