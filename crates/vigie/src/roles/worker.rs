//! The worker role: threads that run tasks, and the upkeep that follows when they rest.

use super::Base;
use crate::host;
use anyhow::Context;
use pipeline::outbox::Relay;
use pipeline::tasks::{self, TaskWorld};
use pipeline::{idle, pace};
use queue::{Worker, WorkerConfig};
use std::sync::atomic::Ordering;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Component, Components, Shutdown};

/// What the command line says about a worker.
#[derive(Clone, Debug, Default)]
pub struct WorkerOptions {
    /// Serve only these; empty = all.
    pub queues: Vec<String>,
    pub excluded: Vec<String>,
    pub ignore_unknown: bool,
    /// `%h`, `%n` and `%d` stand for the host with its domain, without it, and the domain.
    pub name: Option<String>,
}

impl WorkerOptions {
    /// Returns `name@host`, of one living process at a time.
    pub fn node_name(&self, role: &str) -> String {
        let host = host::name();
        let (short, domain) = host.split_once('.').unwrap_or((&host, ""));
        match &self.name {
            Some(name) => {
                let name = name.replace("%h", &host).replace("%n", short).replace("%d", domain);
                if name.contains('@') { name } else { format!("{name}@{host}") }
            }
            None => format!("{role}-{}@{host}", std::process::id()),
        }
    }

    /// Returns the queues to be served, of those that are known.
    ///
    /// # Errors
    /// If one was named that is not known, in the words operators know from Sentry.
    pub fn select(&self, known: &[String]) -> anyhow::Result<Vec<String>> {
        let unknown =
            |names: &[String]| -> Vec<String> { names.iter().filter(|name| !known.contains(name)).cloned().collect() };
        let missing = unknown(&self.queues);
        self.refuse(&missing, &format!("Following queues are not found: {}", missing.join(",")))?;
        let missing = unknown(&self.excluded);
        self.refuse(
            &missing,
            &format!("Following queues cannot be excluded as they don't exist: {}", missing.join(",")),
        )?;
        let is_served =
            |name: &&String| (self.queues.is_empty() || self.queues.contains(name)) && !self.excluded.contains(name);
        let served: Vec<String> = known.iter().filter(is_served).cloned().collect();
        anyhow::ensure!(!served.is_empty(), "no queue is left to serve");
        Ok(served)
    }

    fn refuse(&self, missing: &[String], text: &str) -> anyhow::Result<()> {
        match missing {
            [] => Ok(()),
            _ if self.ignore_unknown => crate::commands::output::line(text),
            _ => anyhow::bail!("{text}"),
        }
    }
}

/// Adds the role's components.
pub(super) fn add(base: &mut Base, options: WorkerOptions, components: &mut Components) -> anyhow::Result<()> {
    let known = known_queues(base)?;
    let queues = match (options.queues.is_empty(), options.excluded.is_empty()) {
        // Other programs' queues are for other programs.
        (true, true) => tasks::QUEUES.iter().map(|&name| name.to_owned()).collect(),
        _ => options.select(&known)?,
    };
    let worker = start(base, queues);
    let progress = worker.progress();
    let finished = move || progress.finished.load(Ordering::Relaxed);
    let stop = || base.shutdown.clone();
    components.push(Component::new("idle", idle::fold_when_quiet(base.stores.clone(), finished, stop())));
    let relay = Relay {
        stores: base.stores.clone(),
        broker: base.queue.clone(),
        clock: base.clock.clone(),
        node: base.node.clone(),
    };
    components.push(Component::new("outbox", relay.run(stop())));
    // A little less than the process has, so that what is not finished can be given back.
    let grace = base.config.shutdown_grace.mul_f64(0.9);
    components.push(Component::new("worker", stop_worker(worker, grace, stop())));
    Ok(())
}

fn start(base: &Base, queues: Vec<String>) -> Worker {
    let world =
        TaskWorld { stores: base.stores.clone(), clock: base.clock.clone(), data_dir: base.config.data_dir.clone() };
    let config = WorkerConfig {
        host: host::name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues,
        on_thread_start: pace::lower_thread_priority,
        ..WorkerConfig::new(&base.node, base.config.worker_concurrency, base.clock.clone())
    };
    Worker::start(base.queue.clone(), tasks::all(&world), &config)
}

/// This release's queues, and any that somebody has published to.
fn known_queues(base: &Base) -> anyhow::Result<Vec<String>> {
    let depths = base.queue.depths().context("look at the queues")?;
    Ok(depths.into_iter().map(|depth| depth.queue).collect())
}

/// A warm stop: what runs is finished, what was not started stays in the queue.
async fn stop_worker(worker: Worker, grace: Duration, shutdown: Shutdown) -> Result<(), ComponentError> {
    shutdown.triggered().await;
    tokio::task::spawn_blocking(move || worker.join_within(grace)).await?;
    Ok(())
}
