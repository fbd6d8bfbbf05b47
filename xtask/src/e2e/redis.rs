//! A private Redis for a test (`bench::redis`), seen to be there, and what may stand between it and its clients.

mod proxy;
mod sentinel;

use super::programs;
pub use bench::redis::{Certificates, Options, Redis, free_port};
pub use proxy::Proxy;
pub use sentinel::{MASTER, Sentinel};
use std::path::Path;

/// Starts a server; see `bench::redis::Redis::start`.
///
/// # Errors
/// If Redis is not there and cannot be installed, or does not start.
pub fn start(folder: &Path, options: Options) -> anyhow::Result<Redis> {
    programs::redis()?;
    Redis::start(folder, options)
}
