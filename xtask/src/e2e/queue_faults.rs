//! What may happen to a queue, done to it: workers killed each second, the owner of the embedded log killed and stopped,
//! Redis and RabbitMQ killed and cut off, jobs that kill, stops, tasks nobody knows. Nothing accepted is lost, nothing is
//! done twice, nothing waits for ever, and what stopped is shown.

mod appends;
mod broker_down;
mod frozen_owner;
mod kills;
mod owner;
mod poison;
mod stops;
mod unknown;

pub use broker_down::{of_rabbitmq as rabbitmq_down, of_redis as broker_down};
pub use frozen_owner::run as frozen_owner;
pub use kills::{on_rabbitmq as kills_on_rabbitmq, run as kills};
pub use owner::run as owner;
pub use poison::run as poison;
pub use stops::run as stops;
pub use unknown::run as unknown;

use super::house::House;
use super::redis::{self, Options, Redis};
use super::{Case, place};
use std::path::Path;

/// A house on the embedded queue, and one on a Redis that keeps what it took.
struct Brokers {
    embedded: House,
    on_redis: House,
    _redis: Redis,
}

impl Brokers {
    fn start(case: &Case<'_>) -> anyhow::Result<Brokers> {
        let folder = place::fresh_folder(case)?;
        let redis = redis::start(&folder, Options { appendonly: true, ..Options::default() })?;
        let embedded = House::in_folder(case, &folder.join("on-embedded"), "data", &[]);
        let on_redis = House::in_folder(case, &folder.join("on-redis"), "data", &[("BROKER_URL", &redis.url(0))]);
        for house in [&embedded, &on_redis] {
            make(&house.folder)?;
        }
        Ok(Brokers { embedded, on_redis, _redis: redis })
    }

    /// Removes the folders; call it when everything was as it should be.
    fn end(self) {
        if let Some(folder) = self.embedded.folder.parent() {
            // What cannot be removed lies under target/ and harms nobody.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn make(folder: &Path) -> anyhow::Result<()> {
    use anyhow::Context;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}
