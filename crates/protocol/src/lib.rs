//! Sentry's wire formats: addresses and keys, body encodings, envelopes and their items, events as SDKs send them, limits,
//! answers and rate limits; and the job that ingest hands to the digest.
//!
//! Pure: no files, no sockets, no clock, no chance. Readers borrow from the bytes they are given, end at named limits, and
//! no input makes them panic. Source of all rules that are not ours: Sentry's SDK documentation and recorded clients.

pub mod accepted;
pub mod addresses;
pub mod auth;
pub mod category;
pub mod cors;
pub mod dsn;
pub mod encoding;
pub mod envelope;
pub mod event;
pub mod event_id;
pub mod item;
pub mod job_name;
pub mod json;
pub mod legacy;
pub mod limits;
pub mod minidump;
pub mod msgpack;
pub mod multipart;
pub mod outcome;
pub mod query;
pub mod rate_limits;
pub mod response;
pub mod security;

pub use accepted::AcceptedJob;
pub use category::Category;
pub use dsn::{Dsn, PublicKey};
pub use encoding::Encoding;
pub use envelope::Envelope;
pub use event_id::EventId;
pub use item::ItemKind;
pub use response::Refusal;
