//! What tools are shown of a worker, in Celery's shapes: Flower draws its pages from them.
//!
//! Source: celery 5.7 `worker/control.py`, `worker/worker.py` and `worker/request.py`, flower 2.2 templates.

use super::super::{Shared, lock};
use crate::broadcast::Broadcast;
use crate::celery::events::{arguments_of, call_of};
use crate::celery::iso;
use crate::{Claimed, QueueError};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use stdx::Timestamp;

/// Jobs of one answer.
const JOBS_SHOWN_MAX: usize = 1_000;
/// Attributes of a task that are shown unless others are asked for.
const TASK_ITEMS: [&str; 3] = ["exchange", "routing_key", "rate_limit"];
/// What `/proc` counts processor time in.
const TICKS_PER_SECOND: f64 = 100.0;

impl Shared {
    pub(super) fn stats(&self, broadcast: &dyn Broadcast) -> Value {
        let uptime = self.config.clock.now().since(self.started_at).as_secs();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let jobs_max = self.children.as_ref().and_then(|children| children.jobs_max());
        let pool = self.pool();
        let mut processes: Vec<u32> = pool.children.iter().map(|child| child.pid).collect();
        if self.children.is_none() {
            processes.push(std::process::id());
        }
        json!({
            "total": *lock(&self.remote.totals),
            "pid": std::process::id(),
            "clock": self.remote.clock.value().to_string(),
            "uptime": uptime,
            "pool": {
                "implementation": format!("vigie:{}", pool.kind),
                "max-concurrency": self.config.threads,
                "processes": processes,
                "max-tasks-per-child": jobs_max.map_or_else(|| json!("N/A"), |most| json!(most)),
                "put-guarded-by-semaphore": false,
                "timeouts": [0, 0],
                "writes": "N/A",
            },
            "broker": broadcast.about(),
            "prefetch_count": count(&self.progress.running),
            "rusage": usage(),
            "vigie": {
                "version": self.config.version,
                "finished": count(&self.progress.finished),
                "failed": count(&self.progress.failed),
                "dead": count(&self.progress.dead),
                "events_told": self.remote.events.told(),
                "events_dropped": self.remote.events.dropped(),
            },
        })
    }

    /// What runs now.
    pub(super) fn active(&self, is_safe: bool) -> Value {
        let mut shown = Vec::new();
        for (job, since) in self.running_jobs() {
            shown.push(self.job_shown(&job, Some(since), is_safe));
        }
        shown.into()
    }

    /// What waits behind runs.
    pub(super) fn reserved(&self) -> Value {
        let jobs = self.waiting_jobs();
        jobs.iter().map(|job| self.job_shown(job, None, false)).collect::<Vec<_>>().into()
    }

    /// Jobs that wait for their time do so in the broker: every worker that serves their queue shows the same.
    pub(super) fn scheduled(&self, broadcast: &dyn Broadcast) -> Result<Value, QueueError> {
        let jobs = broadcast.scheduled(&self.served(), JOBS_SHOWN_MAX)?;
        let shown = jobs.into_iter().map(|job| {
            let info = delivery_info(&job.queue, job.attempt);
            json!({"eta": iso(job.due), "priority": 6, "request": {
                "id": job.id.as_str(), "name": &*job.task, "type": &*job.task, "args": [], "kwargs": {},
                "hostname": null, "time_start": null, "acknowledged": false, "delivery_info": info,
                "worker_pid": null,
            }})
        });
        Ok(shown.collect::<Vec<_>>().into())
    }

    pub(super) fn query_tasks(&self, ids: &[String]) -> Value {
        let mut found = serde_json::Map::new();
        let is_asked = |job: &Claimed| ids.iter().any(|id| id == job.id.as_str());
        for job in self.waiting_jobs().iter().filter(|job| is_asked(job)) {
            found.insert(job.id.to_string(), json!(["reserved", self.job_shown(job, None, false)]));
        }
        for (job, since) in self.running_jobs().iter().filter(|(job, _)| is_asked(job)) {
            found.insert(job.id.to_string(), json!(["active", self.job_shown(job, Some(*since), false)]));
        }
        found.into()
    }

    /// Names of tasks, with those attributes that are set.
    pub(super) fn registered(&self, items: &[String]) -> Value {
        let items: Vec<&str> =
            if items.is_empty() { TASK_ITEMS.to_vec() } else { items.iter().map(String::as_str).collect() };
        let mut names = Vec::new();
        for task in &self.tasks {
            let policy = task.policy();
            let value = |item: &&str| match *item {
                "rate_limit" => self.remote.rates.text_of(task.name()),
                "time_limit" => Some(policy.time_limit.as_secs().to_string()),
                "max_retries" => Some(policy.attempts_max.saturating_sub(1).to_string()),
                "queue" => Some(policy.queue.to_owned()),
                _ => None,
            };
            let set: Vec<String> =
                items.iter().filter_map(|item| value(item).map(|value| format!("{item}={value}"))).collect();
            let gap = if set.is_empty() { String::new() } else { format!(" [{}]", set.join(" ")) };
            names.push(format!("{}{gap}", task.name()));
        }
        names.sort();
        names.into()
    }

    pub(super) fn active_queues(&self) -> Value {
        let shown = self.served().into_iter().map(|name| {
            let exchange = json!({
                "name": name, "type": "direct", "arguments": null, "durable": true, "passive": false,
                "auto_delete": false, "delivery_mode": null, "no_declare": false,
            });
            json!({
                "name": name, "exchange": exchange, "routing_key": name, "queue_arguments": null,
                "binding_arguments": null, "consumer_arguments": null, "durable": true, "exclusive": false,
                "auto_delete": false, "no_ack": false, "alias": null, "bindings": [], "no_declare": null,
                "expires": null, "message_ttl": null, "max_length": null, "max_length_bytes": null,
                "max_priority": null,
            })
        });
        shown.collect::<Vec<_>>().into()
    }

    pub(super) fn report_text(&self) -> String {
        let config = &self.config;
        format!("vigie {} on {}: {} threads, {} tasks", config.version, config.host, config.threads, self.tasks.len())
    }

    fn running_jobs(&self) -> Vec<(Claimed, Timestamp)> {
        let mut jobs = Vec::new();
        for seat in lock(&self.seats).iter() {
            let Some(current) = seat.current() else { continue };
            jobs.extend(current.jobs.iter().map(|job| (job.clone(), current.started_at)));
        }
        jobs.truncate(JOBS_SHOWN_MAX);
        jobs
    }

    fn waiting_jobs(&self) -> Vec<Claimed> {
        let mut jobs: Vec<Claimed> = lock(&self.seats).iter().flat_map(|seat| seat.waiting_jobs()).collect();
        jobs.truncate(JOBS_SHOWN_MAX);
        jobs
    }

    fn job_shown(&self, job: &Claimed, since: Option<Timestamp>, is_safe: bool) -> Value {
        let call = call_of(job).filter(|_| !is_safe);
        let (args, kwargs) = match call {
            Some(call) => (Value::from(call.args), Value::from(call.kwargs)),
            None => {
                let (args, kwargs) = arguments_of(job);
                (args.into(), kwargs.into())
            }
        };
        json!({
            "id": job.id.as_str(), "name": &*job.task, "type": &*job.task, "args": args, "kwargs": kwargs,
            "hostname": self.config.name, "time_start": since.map(Timestamp::seconds_f64), "acknowledged": false,
            "delivery_info": delivery_info(&job.queue, job.attempt), "worker_pid": std::process::id(),
        })
    }
}

fn delivery_info(queue: &str, attempt: u32) -> Value {
    json!({"exchange": "", "routing_key": queue, "priority": 0, "redelivered": attempt > 1})
}

/// Loads of the machine over one, five and fifteen minutes; zeros where it does not say.
pub(super) fn load() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut words = text.split(' ').map(|word| word.parse().unwrap_or(0.0));
    [words.next().unwrap_or(0.0), words.next().unwrap_or(0.0), words.next().unwrap_or(0.0)]
}

pub(super) fn resident_bytes() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap_or("N/A").trim().to_owned()
}

/// Processor time of the process and its largest memory.
fn usage() -> Value {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold anything; the 14th and 15th fields are counted after it.
    let rest: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| rest.get(index).and_then(|word| word.parse().ok()).unwrap_or(0.0) / TICKS_PER_SECOND;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    json!({"utime": ticks(11), "stime": ticks(12), "maxrss": peak.unwrap_or(0_u64)})
}
