//! The brokers, one folder each.

pub mod address;
pub mod amqp;
pub mod embedded;
pub mod member;
pub mod redis;
mod suspects;
