//! The worker role: threads that run tasks, and the upkeep that follows when they rest.

use super::{Base, Role};
use crate::config::without_password;
use crate::{broker, host, metrics};
use anyhow::Context;
use pipeline::outbox::Relay;
use pipeline::retention::governor::Governor;
use pipeline::tasks::{self, TaskWorld};
use pipeline::{idle, pace};
use queue::pool::ChildrenConfig;
use queue::{QueueError, RemoteConfig, RunEnd, Worker, WorkerConfig};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Component, Components, Shutdown};
use telemetry::reporting::TracedRun;

/// What the command line says about a worker.
#[derive(Clone, Debug, Default)]
pub struct WorkerOptions {
    /// Serve only these; empty = all.
    pub queues: Vec<String>,
    pub excluded: Vec<String>,
    pub ignore_unknown: bool,
    /// `%h`, `%n` and `%d` stand for the host with its domain, without it, and the domain.
    pub name: Option<String>,
    /// With which this program is called to be a child process; its worker's number follows.
    pub child_arguments: Vec<OsString>,
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

    /// Returns the queues to be served: of those that are known, or without a choice of this release's own.
    ///
    /// # Errors
    /// If one was named that is not known, in the words operators know from Sentry; if none is left.
    pub fn select(&self, known: &[String], own: &[String]) -> anyhow::Result<Vec<String>> {
        let unknown =
            |names: &[String]| -> Vec<String> { names.iter().filter(|name| !known.contains(name)).cloned().collect() };
        let missing = unknown(&self.queues);
        self.refuse(&missing, &format!("Following queues are not found: {}", missing.join(",")))?;
        let missing = unknown(&self.excluded);
        self.refuse(
            &missing,
            &format!("Following queues cannot be excluded as they don't exist: {}", missing.join(",")),
        )?;
        self.without_excluded(if self.queues.is_empty() { own } else { known })
    }

    /// Of queues that cannot be looked at now.
    fn select_unseen(&self, own: &[String]) -> anyhow::Result<Vec<String>> {
        self.without_excluded(if self.queues.is_empty() { own } else { &self.queues })
    }

    /// None at all is refused: a worker without a choice would serve every queue.
    fn without_excluded(&self, candidates: &[String]) -> anyhow::Result<Vec<String>> {
        let is_served =
            |name: &&String| (self.queues.is_empty() || self.queues.contains(name)) && !self.excluded.contains(name);
        let served: Vec<String> = candidates.iter().filter(is_served).cloned().collect();
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
    let queues = queues_to_serve(base, &options)?;
    let worker = start(base, queues, options.child_arguments);
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
    components.push(Component::new("governor", governor(base).run(stop())));
    // A little less than the process has, so that what is not finished can be given back.
    let grace = base.config.shutdown_grace.mul_f64(0.9);
    components.push(Component::new("worker", stop_worker(worker, grace, stop())));
    Ok(())
}

fn governor(base: &Base) -> Governor {
    let (data_dir, live) = (base.config.data_dir.clone(), base.live.clone());
    Governor {
        stores: base.stores.clone(),
        clock: base.clock.clone(),
        queue: Some(base.queue.clone()),
        event_days: Arc::new(move || live.current().event_retention_days),
        free_space: Arc::new(move || host::free_bytes(&data_dir)),
        // As the queue does: a change takes a restart.
        free_min: base.config.disk_free_min.bytes(),
    }
}

fn start(base: &Base, queues: Vec<String>, child_arguments: Vec<OsString>) -> Worker {
    let live = base.live.clone();
    let world = TaskWorld {
        stores: base.stores.clone(),
        clock: base.clock.clone(),
        data_dir: base.config.data_dir.clone(),
        event_days: Arc::new(move || live.current().event_retention_days),
        queue: Some(base.queue.clone()),
    };
    let config = WorkerConfig {
        host: host::name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues,
        on_thread_start: pace::lower_thread_priority,
        on_run: watched(base),
        remote: remote(base),
        children: base.config.has_child_processes.then(|| children(base, child_arguments)),
        ..WorkerConfig::new(&base.node, base.config.worker_concurrency, base.clock.clone())
    };
    Worker::start(base.queue.clone(), tasks::all(&world), config)
}

/// Counts runs by task, reports the slow ones, and traces those that are drawn. What is said of a report's own run is
/// known for that.
fn watched(base: &Base) -> Arc<dyn Fn(&RunEnd<'_>) + Send + Sync> {
    let (live, clock, traces) = (base.live.clone(), base.clock.clone(), base.config.self_reporting.traces.clone());
    Arc::new(move |run| {
        let _handling = telemetry::reporting::handling(run.jobs.iter().map(|job| job.id.as_str()));
        metrics::run_ended(run, live.current().slow_share);
        traces.trace(&TracedRun {
            task: run.task,
            jobs: run.jobs.len(),
            ended_at: clock.now(),
            took: run.took,
            is_success: run.failed == 0,
        });
    })
}

/// Children are this very program, also after its file was replaced by another release.
fn children(base: &Base, arguments: Vec<OsString>) -> ChildrenConfig {
    let command = move || {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("vigie").args(&arguments).arg(std::process::id().to_string()).stdout(Stdio::null());
        command
    };
    ChildrenConfig {
        command: Box::new(command),
        jobs_max: base.config.child_jobs_max,
        memory_max: base.config.child_memory_max,
        on_report: telemetry::metrics::forward::record,
    }
}

/// A process that also receives events is not stopped by whoever reaches the broker.
fn remote(base: &Base) -> RemoteConfig {
    let config = &base.config;
    let shutdown = base.shutdown.clone();
    let stop: Arc<dyn Fn() + Send + Sync> = Arc::new(move || shutdown.trigger());
    // What stands behind the question mark may be a secret too.
    let shown = |url: &str| without_password(url.split('?').next().unwrap_or_default());
    let address: Vec<String> = config.broker_url.expose().split(';').map(shown).collect();
    let address = address.join(";");
    let conf = serde_json::json!({
        "broker_url": address,
        "result_backend": address,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "result_expires": queue::RESULT_KEPT.as_secs(),
        "task_acks_late": true,
        "task_reject_on_worker_lost": true,
        "timezone": "UTC",
        "enable_utc": true,
        "worker_concurrency": config.worker_concurrency,
        "worker_enable_remote_control": config.remote_control,
        "worker_send_task_events": config.sends_events,
        "worker_soft_shutdown_timeout": config.shutdown_grace.as_secs_f64(),
    });
    RemoteConfig {
        is_on: config.remote_control,
        sends_events: config.sends_events,
        conf: conf.as_object().cloned().unwrap_or_default(),
        stop: (base.role == Role::Worker).then_some(stop),
    }
}

/// Without a choice, this release's queues: other programs' are for other programs. To choose from are also those that
/// somebody has published to, and those that Python programs may publish to; a broker that does not answer yet cannot say
/// which, and must not keep a worker from starting.
fn queues_to_serve(base: &Base, options: &WorkerOptions) -> anyhow::Result<Vec<String>> {
    let own: Vec<String> = tasks::QUEUES.iter().map(|&name| name.to_owned()).collect();
    if options.queues.is_empty() && options.excluded.is_empty() {
        return Ok(own);
    }
    let of_celery = broker::celery_queues(&base.config)?;
    let served = match base.queue.depths() {
        Ok(depths) => {
            let published = depths.into_iter().map(|depth| depth.queue);
            options.select(&known_queues(&own, published.chain(of_celery)), &own)?
        }
        Err(error @ QueueError::Unreachable { .. }) => {
            tracing::error!(error = %error, "whether all queues are known cannot be said yet");
            options.select_unseen(&own)?
        }
        Err(error) => return Err(error).context("look at the queues"),
    };
    // One to which nobody has published yet is listed, too.
    for name in served.iter().filter(|name| !own.contains(name)) {
        broker::declare(&*base.queue, &[name])?;
    }
    Ok(served)
}

/// Returns our own and the others, each once.
fn known_queues(own: &[String], others: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut known = own.to_vec();
    for name in others {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

/// A warm stop: what runs is finished, what was not started stays in the queue.
async fn stop_worker(worker: Worker, grace: Duration, shutdown: Shutdown) -> Result<(), ComponentError> {
    shutdown.triggered().await;
    tokio::task::spawn_blocking(move || worker.join_within(grace)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn queues_are_chosen_and_unknown_ones_named() {
        let known = names("events debug default");
        let choose = |queues, excluded, ignore_unknown| WorkerOptions {
            queues: names(queues),
            excluded: names(excluded),
            ignore_unknown,
            ..WorkerOptions::default()
        };
        assert_eq!(choose("debug events", "", false).select(&known, &known).expect("known"), names("events debug"));
        assert_eq!(choose("", "events", false).select(&known, &known).expect("known"), names("debug default"));
        let error = choose("a debug b", "", false).select(&known, &known).expect_err("unknown");
        assert_eq!(error.to_string(), "Following queues are not found: a,b");
        let error = choose("", "c", false).select(&known, &known).expect_err("unknown");
        assert_eq!(error.to_string(), "Following queues cannot be excluded as they don't exist: c");
        assert_eq!(choose("a debug", "", true).select(&known, &known).expect("ignored"), names("debug"));
        assert!(choose("debug", "debug", false).select(&known, &known).is_err(), "nothing is left");
    }

    #[test]
    fn a_worker_that_is_left_no_queue_of_its_own_does_not_serve_them_all() {
        let own = names("events debug");
        let options = WorkerOptions { excluded: own.clone(), ..WorkerOptions::default() };
        assert!(options.select(&names("events debug other"), &own).is_err(), "others' queues are not ours");
        assert!(options.select_unseen(&own).is_err(), "the broker does not answer");
        let named = WorkerOptions { queues: names("debug"), ..options };
        assert!(named.select_unseen(&own).is_err(), "named and excluded");
    }

    #[test]
    fn a_queue_that_only_python_programs_know_can_be_named_before_anything_lies_there() {
        let own = names("events debug");
        let known = known_queues(&own, names("debug other celery celery mail"));
        assert_eq!(known, names("events debug other celery mail"));
        let options = WorkerOptions { queues: names("celery mail"), ..WorkerOptions::default() };
        assert_eq!(options.select(&known, &own).expect("known"), names("celery mail"));
    }

    #[test]
    fn a_worker_is_named_after_its_host() {
        let named = WorkerOptions { name: Some("w1@%h".to_owned()), ..WorkerOptions::default() };
        assert_eq!(named.node_name("worker"), format!("w1@{}", host::name()));
        assert!(WorkerOptions::default().node_name("worker").starts_with("worker-"));
    }
}
