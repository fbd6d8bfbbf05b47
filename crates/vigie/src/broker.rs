//! Which queue a process works with: the embedded one, owned by one process of the data directory and shared with the
//! others, or a broker elsewhere.

use crate::config::Config;
use crate::host;
use crate::roles::Role;
use anyhow::Context;
use queue::Queue;
use queue::brokers::embedded::{self, Durability, Embedded};
use std::sync::Arc;
use stdx::SystemClock;

/// Every queue of this release; `queues list` has a row for each, empty ones too.
pub const QUEUES: &[&str] = &[pipeline::tasks::EVENTS_QUEUE, "debug", "default"];

/// The queue for a process that runs a role.
///
/// # Errors
/// If it cannot be opened.
pub fn of_role(config: &Config, _role: Role, _node: &str) -> anyhow::Result<Arc<dyn Queue>> {
    let queue: Arc<dyn Queue> = Arc::new(open(config)?);
    for name in QUEUES {
        queue.declare(name)?;
    }
    Ok(queue)
}

/// The queue as a command sees it, beside running processes or without any.
///
/// # Errors
/// If it cannot be reached or opened.
pub fn of_command(config: &Config) -> anyhow::Result<Arc<dyn Queue>> {
    Ok(Arc::new(open(config)?))
}

fn open(config: &Config) -> anyhow::Result<Embedded> {
    Embedded::open(embedded_config(config), Arc::new(SystemClock)).context("open the queue")
}

fn embedded_config(config: &Config) -> embedded::Config {
    let disk = config.data_dir.clone();
    embedded::Config {
        folder: config.data_dir.join("queue"),
        durability: if config.durable_against_power_loss { Durability::Power } else { Durability::Process },
        jobs_max: config.queue_jobs_max,
        bytes_max: config.queue_bytes_max.bytes(),
        free_min: config.disk_free_min.bytes(),
        free_space: Arc::new(move || host::free_bytes(&disk)),
    }
}

/// Says what is wrong with a broker's address.
///
/// # Errors
/// Why it cannot be used.
pub fn check_url(text: &str) -> Result<(), String> {
    if text == "embedded:" {
        return Ok(());
    }
    if text.starts_with("amqp:") || text.starts_with("amqps:") {
        return Err("RabbitMQ is not built yet; this release takes embedded: and redis://…".to_owned());
    }
    Err("unknown scheme; this release takes embedded: and redis://…".to_owned())
}
