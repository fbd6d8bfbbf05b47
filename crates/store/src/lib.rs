//! Domain data, one file per aggregate: functions over a transaction of the metadata store, the day partitions of
//! events, and blobs.
//!
//! `store` holds the SQL. It knows nothing of queues, HTTP or how an event is parsed, and reads no clock: time is a
//! parameter. There is no `Store` object with a method for each query; `Stores` only keeps the parts together.

mod error;
mod stores;

pub mod audit;
pub mod first_run;
pub mod keys;
pub mod leases;
pub mod members;
pub mod options;
pub mod organizations;
pub mod outbox;
pub mod permissions;
pub mod project_options;
pub mod projects;
pub mod sessions;
pub mod settings;
pub mod tokens;
pub mod users;

pub mod attachments;
pub mod conservation;
pub mod digest;
pub mod event_lookup;
pub mod issues;
pub mod outcomes;
pub mod receipts;
pub mod removals;
pub mod short_id;
pub mod spent_bodies;
pub mod spools;

pub mod blobs;
pub mod check;
pub mod clock_leaps;
pub mod copies;
pub mod days;
pub mod dictionaries;
pub mod events;
pub mod expiry;
pub mod governor;
pub mod internal_series;
pub mod probe;
pub mod remains;
pub mod reserve;
pub mod series;
pub mod sizes;
pub mod sweeps;
pub mod tally;
pub mod thinning;

pub use error::StoreError;
pub use stores::Stores;
