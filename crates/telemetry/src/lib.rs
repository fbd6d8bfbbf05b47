//! Vigie's own eyes: logging and metrics. It knows nothing of queues, stores or HTTP; other crates declare their
//! metrics in a table (`Metric`) and record through it.

pub mod logging;
pub mod metrics;
pub mod reporting;
