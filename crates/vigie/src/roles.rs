//! What each role starts. A role returns a list of components; one loop starts and stops them.

pub mod all;

use crate::config::Config;
use crate::host;
use crate::remote_broker::RemoteBroker;
use anyhow::Context;
use queue::Broker;
use queue::brokers::embedded::{self, Durability, Embedded};
use std::sync::Arc;
use stdx::{Clock, SystemClock};
use store::Stores;

/// Opens the stores of the data directory.
///
/// # Errors
/// If they cannot be opened or are of a newer release.
pub fn open_stores(config: &Config, clock: &dyn Clock) -> anyhow::Result<Stores> {
    Stores::open(&config.data_dir, clock.now())
        .with_context(|| format!("open the stores in {}", config.data_dir.display()))
}

/// Opens the embedded queue; only one process may.
///
/// # Errors
/// If another process owns it, or its files cannot be read.
pub fn open_broker(config: &Config) -> anyhow::Result<Embedded> {
    let folder = config.data_dir.join("queue");
    let disk = config.data_dir.clone();
    let queue = embedded::Config {
        folder,
        durability: if config.durable_against_power_loss { Durability::Power } else { Durability::Process },
        jobs_max: config.queue_jobs_max,
        bytes_max: config.queue_bytes_max.bytes(),
        free_min: config.disk_free_min.bytes(),
        free_space: Arc::new(move || host::free_bytes(&disk)),
    };
    let broker = Embedded::open(queue, Arc::new(SystemClock)).context("open the queue")?;
    for name in QUEUES {
        broker.declare(name)?;
    }
    Ok(broker)
}

/// Every queue of this release; `queues list` has a row for each, empty ones too.
const QUEUES: &[&str] = &[pipeline::tasks::EVENTS_QUEUE, "debug", "default"];

/// The queue as a command sees it.
pub fn broker_of_command(config: &Config) -> Arc<dyn Broker> {
    Arc::new(RemoteBroker(config.clone()))
}
