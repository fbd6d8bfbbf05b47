//! What the load generator and the end-to-end tests share: a small HTTP client, prebuilt envelopes, and a private
//! server of a release build. It knows Vigie by its public face only, but for `fill`, and sends to this machine only.

pub mod accounts;
pub mod event;
pub mod fill;
pub mod http;
pub mod load;
pub mod rabbit;
pub mod random;
pub mod redis;
pub mod server;
pub mod usage;
