//! The front door: the accept loop and the SDK endpoints. It authenticates, limits, checks the framing, writes one job
//! durably and answers; it parses no event beyond its id, and does no work that the digest can do later.
//!
//! Ingest knows nothing of issues, grouping or pages, and can run alone: it meets the rest in the queue and, for keys
//! and refusal counts, in the store.

pub mod accounting;
pub mod answer;
pub mod body;
pub mod budget;
pub mod endpoints;
pub mod flush;
pub mod internal;
pub mod keyring;
pub mod metrics;
pub mod server;
pub mod spooled;

pub use endpoints::Ingest;
