//! The scenarios, one file each; each returns its report.

pub mod accept;
pub mod check;
pub mod cleanup;
pub mod disk;
pub mod fill;
pub mod metrics;
pub mod pages;
pub mod place;
pub mod queue;
pub mod send;
pub mod startup;
