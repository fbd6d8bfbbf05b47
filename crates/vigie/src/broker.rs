//! Which queue a process works with: the embedded one, owned by one process of the data directory and shared with the
//! others, or a broker elsewhere.

use crate::config::Config;
use crate::host;
use crate::roles::Role;
use anyhow::Context;
use queue::Queue;
use queue::brokers::embedded::{self, Durability};
use queue::brokers::shared::{self, Shared};
use std::sync::Arc;
use std::time::Duration;
use stdx::SystemClock;

/// Every queue of this release; `queues list` has a row for each, empty ones too.
pub const QUEUES: &[&str] = &[pipeline::tasks::EVENTS_QUEUE, "debug", "default"];

/// The queue for a process that runs a role.
///
/// # Errors
/// If it cannot be opened.
pub fn of_role(config: &Config, role: Role, node: &str) -> anyhow::Result<Arc<dyn Queue>> {
    // The web role owns the embedded queue if it can: what it accepts then crosses no socket.
    let queue = open(config, node, matches!(role, Role::Web | Role::All))?;
    for name in QUEUES {
        queue.declare(name).with_context(|| format!("declare queue {name}"))?;
    }
    Ok(queue)
}

/// The queue as a command sees it, beside running processes or without any.
///
/// # Errors
/// If it cannot be reached or opened.
pub fn of_command(config: &Config) -> anyhow::Result<Arc<dyn Queue>> {
    open(config, &format!("command-{}", std::process::id()), false)
}

fn open(config: &Config, node: &str, prefers_to_own: bool) -> anyhow::Result<Arc<dyn Queue>> {
    let shared = shared::Config {
        embedded: embedded_config(config),
        socket: config.data_dir.join("queue.sock"),
        name: node.to_owned(),
        prefers_to_own,
    };
    let opened = Shared::open(shared, Arc::new(SystemClock)).context("open the queue")?;
    Ok(Arc::new(opened))
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
        reassert_grace: Duration::ZERO,
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
