//! One file a target.

pub mod crash_report;
pub mod envelope;
pub mod event;
pub mod fingerprints;
pub mod rules;
