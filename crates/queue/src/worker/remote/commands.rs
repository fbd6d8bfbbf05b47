//! What may be asked of a worker, by Celery's names. Arguments come from strangers: what is missing or of another type is
//! an error of theirs.
//!
//! Source: celery 5.7 `worker/control.py`; texts of answers are Celery's where tools show them.

use super::super::Shared;
use super::admission::TERMINATE_GRACE;
use super::rates::Rate;
use crate::broadcast::Broadcast;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Ids of one command.
const IDS_MAX: usize = 10_000;
/// Ids that an answer repeats.
const IDS_SAID_MAX: usize = 100;

type Arguments = Map<String, Value>;
type Answer = Result<Value, String>;

fn ok(text: impl Into<String>) -> Answer {
    Ok(json!({"ok": text.into()}))
}

impl Shared {
    /// Does what a request says and returns the answer.
    pub(super) fn obey(&self, broadcast: &dyn Broadcast, method: &str, arguments: &Arguments) -> Answer {
        match method {
            "ping" => ok("pong"),
            "stats" => Ok(self.stats(broadcast)),
            "active" | "dump_active" => Ok(self.active(is_true(arguments, "safe"))),
            "reserved" | "dump_reserved" => Ok(self.reserved()),
            "scheduled" | "dump_schedule" => self.scheduled(broadcast).map_err(|error| error.to_string()),
            "revoked" | "dump_revoked" => Ok(self.remote.revoked.ids().into()),
            "registered" | "dump_tasks" => Ok(self.registered(&texts(arguments, "taskinfoitems"))),
            "active_queues" => Ok(self.active_queues()),
            "conf" | "dump_conf" => Ok(self.config.remote.conf.clone().into()),
            "report" => ok(self.report_text()),
            "query_task" => Ok(self.query_tasks(&texts(arguments, "ids"))),
            "clock" => Ok(json!({"clock": self.remote.clock.value()})),
            "memsample" => Ok(super::shown::resident_bytes().into()),
            "hello" => Ok(self.greet(arguments)),
            "revoke" => self.revoke(broadcast, arguments, is_true(arguments, "terminate")),
            "terminate" => self.revoke(broadcast, arguments, true),
            "rate_limit" => self.limit_rate(arguments),
            "enable_events" => self.switch_events(true),
            "disable_events" => self.switch_events(false),
            "heartbeat" => {
                self.remote.events.want_heartbeat();
                Ok(Value::Null)
            }
            "shutdown" => self.shut_down(),
            // Gossip is for Celery's own workers; ours need no election.
            "election" => Ok(Value::Null),
            "pool_grow" | "pool_shrink" | "pool_restart" | "autoscale" => refused(method, "set worker.concurrency"),
            "add_consumer" | "cancel_consumer" => refused(method, "start it with -Q, or pause the queue"),
            "time_limit" => refused(method, "a job may bring its own time limit"),
            "revoke_by_stamped_headers" => refused(method, "revoke by id"),
            other => Err(format!("KeyError({})", crate::celery::repr::of_value(&short(other).into()))),
        }
    }

    /// Another worker has started: both sides learn what the other knows.
    fn greet(&self, arguments: &Arguments) -> Value {
        let node = arguments.get("from_node").and_then(Value::as_str).unwrap_or_default();
        if node == self.config.name {
            return Value::Null;
        }
        let revoked = self.remote.revoked.ids();
        self.remote.revoked.merge(arguments.get("revoked").unwrap_or(&Value::Null));
        json!({"revoked": revoked, "clock": self.remote.clock.forward()})
    }

    fn revoke(&self, broadcast: &dyn Broadcast, arguments: &Arguments, is_terminate: bool) -> Answer {
        let mut ids = texts(arguments, "task_id");
        if ids.len() > IDS_MAX {
            return Err(format!("ValueError('{} ids, at most {IDS_MAX} at once')", ids.len()));
        }
        ids.retain(|id| self.remote.revoked.add(id));
        if let Err(error) = broadcast.keep_revoked(&ids) {
            tracing::warn!(error = %error, jobs = ids.len(), "what was revoked is not kept, workers know it");
        }
        if !is_terminate {
            tracing::info!(jobs = ids.len(), "jobs were revoked by remote");
            return ok(format!("tasks {{{}}} flagged as revoked", listed(&ids, |id| format!("'{}'", short(id)))));
        }
        let is_kill = matches!(text(arguments, "signal").as_deref(), Some("KILL" | "SIGKILL" | "9"));
        let grace = if is_kill { Duration::ZERO } else { TERMINATE_GRACE };
        let running: Vec<String> = ids.into_iter().filter(|id| self.terminate(id, grace)).collect();
        tracing::info!(jobs = running.len(), "jobs were terminated by remote");
        match running.is_empty() {
            true => ok("terminate: tasks unknown"),
            false => ok(format!("terminate: {}", listed(&running, |id| short(id).to_owned()))),
        }
    }

    fn limit_rate(&self, arguments: &Arguments) -> Answer {
        let limit = text(arguments, "rate_limit").unwrap_or_default();
        let rate = Rate::parse(&limit)?;
        let name = text(arguments, "task_name").unwrap_or_default();
        let Some(task) = self.find(&name) else { return Err("unknown task".to_owned()) };
        self.remote.rates.set(task.name(), rate, &limit, Instant::now());
        tracing::info!(task = task.name(), limit = short(&limit), "rate of a task was set by remote");
        ok(if rate.is_some() { "new rate limit set successfully" } else { "rate limit disabled successfully" })
    }

    fn switch_events(&self, is_on: bool) -> Answer {
        let already = if self.remote.events.switch(is_on) { "" } else { "already " };
        ok(format!("task events {already}{}", if is_on { "enabled" } else { "disabled" }))
    }

    fn shut_down(&self) -> Answer {
        let Some(stop) = &self.config.remote.stop else {
            return Err("this process does more than run tasks: end it with a signal".to_owned());
        };
        tracing::warn!("asked by remote to stop");
        stop();
        ok("the worker stops when what runs has ended")
    }
}

fn refused(method: &str, instead: &str) -> Answer {
    Err(format!("{method} is not done by this worker: {instead}"))
}

/// An argument as text; numbers are taken as tools write them.
fn text(arguments: &Arguments, name: &str) -> Option<String> {
    match arguments.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One text or a list of them.
fn texts(arguments: &Arguments, name: &str) -> Vec<String> {
    match arguments.get(name) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// What Python takes for true: Flower sends numbers.
fn is_true(arguments: &Arguments, name: &str) -> bool {
    match arguments.get(name) {
        Some(Value::Bool(is_so)) => *is_so,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(values)) => !values.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Null) | None => false,
    }
}

fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}

fn listed(ids: &[String], show: impl Fn(&str) -> String) -> String {
    let mut shown: Vec<String> = ids.iter().take(IDS_SAID_MAX).map(|id| show(id)).collect();
    if ids.len() > IDS_SAID_MAX {
        shown.push(format!("and {} more", ids.len() - IDS_SAID_MAX));
    }
    shown.join(", ")
}
