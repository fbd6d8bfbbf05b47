//! Celery's events as data: what monitors such as Flower are told of workers and tasks. Pure.
//!
//! Source: celery 5.7 `events/dispatcher.py`, `worker/heartbeat.py`, docs.celeryq.dev "Event Reference", captured traffic.

use super::{iso, repr};
use crate::broadcast::Notice;
use crate::call::Call;
use crate::{Claimed, Finish};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stdx::Timestamp;

/// Key of a list of task events.
pub(crate) const MULTI: &str = "task.multi";
/// Seconds between two heartbeats, and what monitors are told of it.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// Arguments of larger payloads are not shown: reading them would cost the worker.
pub(crate) const SHOWN_BYTES_MAX: usize = 16 << 10;
/// Clocks beyond this are nobody's; JSON readers lose digits there.
const CLOCK_MAX: u64 = 1 << 53;

/// Lamport's clock: orders what nodes say. It counts what a node says and hears, and is never behind what it has heard.
#[derive(Default)]
pub(crate) struct LogicalClock(AtomicU64);

impl LogicalClock {
    pub fn forward(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn meet(&self, other: u64) {
        if other <= CLOCK_MAX {
            self.0.fetch_max(other, Ordering::Relaxed);
        }
        self.forward();
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What every event of a node says of it.
pub(crate) struct Stamp<'a> {
    pub node: &'a str,
    pub clock: u64,
    pub now: Timestamp,
}

/// Returns an event. It has no `utcoffset`: with one, monitors shift the time by the difference of the zones, though it is
/// counted from the epoch.
pub(crate) fn event(kind: &str, stamp: &Stamp<'_>, fields: Value) -> Value {
    let mut event = fields;
    event["type"] = kind.into();
    event["hostname"] = stamp.node.into();
    event["timestamp"] = stamp.now.seconds_f64().into();
    event["pid"] = std::process::id().into();
    event["clock"] = stamp.clock.into();
    event
}

/// Returns the key under which an event of a worker goes.
pub(crate) fn key_of(kind: &str) -> String {
    kind.replace('-', ".")
}

/// Returns what is published: one event, or a list of them.
pub(crate) fn notice(node: &str, body: &Value) -> Notice {
    let mut headers = Map::new();
    headers.insert("hostname".to_owned(), node.into());
    Notice::json(headers, body)
}

/// Fields of a worker's event.
pub(crate) fn of_worker(version: &str, active: usize, processed: u64, load: [f64; 3]) -> Value {
    json!({
        "freq": HEARTBEAT_EVERY.as_secs_f64(), "active": active, "processed": processed, "loadavg": load,
        "sw_ident": "vigie", "sw_ver": version, "sw_sys": "Linux",
    })
}

/// Fields of `task-received`.
pub(crate) fn of_received(job: &Claimed) -> Value {
    let headers = headers_of(job);
    let (args, kwargs) = arguments_of(job);
    json!({
        "uuid": job.id.as_str(), "name": &*job.task, "args": args, "kwargs": kwargs,
        "root_id": headers.get("root_id"), "parent_id": headers.get("parent_id"),
        "retries": job.attempt.saturating_sub(1), "eta": null, "expires": job.options.expires_at.map(iso),
    })
}

/// Returns the kind and fields of the event of a job's end; `None` for an end that Celery has no word for.
pub(crate) fn of_end(job: &Claimed, finish: &Finish, runtime: Duration) -> Option<(&'static str, Value)> {
    use crate::DeadReason::{Attempts, Crashed, Damaged, Expired, MemoryLimit, Poison, Rejected, Revoked, TimeLimit};
    let uuid = job.id.as_str();
    let succeeded =
        |value| ("task-succeeded", json!({"uuid": uuid, "result": value, "runtime": runtime.as_secs_f64()}));
    let failed = |kind, error: &str| (kind, json!({"uuid": uuid, "exception": raised(error), "traceback": error}));
    let revoked = |is_expired, error: &str| {
        let is_terminated = error == TERMINATED;
        let signal = is_terminated.then_some(SIGTERM);
        ("task-revoked", json!({"uuid": uuid, "terminated": is_terminated, "signum": signal, "expired": is_expired}))
    };
    Some(match finish {
        Finish::Done => succeeded("None".to_owned()),
        Finish::Returned { value } => succeeded(repr::of_value(value)),
        Finish::Retry { error, .. } | Finish::Died { error, .. } => failed("task-retried", error),
        Finish::GiveBack { .. } => ("task-rejected", json!({"uuid": uuid, "requeue": true})),
        Finish::Park => return None,
        Finish::Dead { reason: Expired, error } => revoked(true, error),
        Finish::Dead { reason: Revoked, error } => revoked(false, error),
        Finish::Dead { reason: Attempts | Poison | Rejected | Damaged | Crashed | MemoryLimit | TimeLimit, error } => {
            failed("task-failed", error)
        }
    })
}

/// How a revoked job ends: before its run, and in it.
pub(crate) const REVOKED: &str = "revoked";
pub(crate) const TERMINATED: &str = "terminated";
const SIGTERM: u8 = 15;

/// `ValueError: boom` as Python shows an exception: `ValueError('boom')`.
fn raised(error: &str) -> String {
    let failure = super::result::Failure::of(error);
    let cut = &failure.message[..failure.message.floor_char_boundary(1_024)];
    format!("{}({})", failure.class, repr::of_value(&cut.into()))
}

/// Headers that travelled along.
pub(crate) fn headers_of(job: &Claimed) -> Map<String, Value> {
    job.options.headers.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Returns arguments and keyword arguments as Python shows them.
pub(crate) fn arguments_of(job: &Claimed) -> (String, String) {
    match call_of(job) {
        Some(call) => (repr::of_args(&call.args), repr::of_kwargs(&call.kwargs)),
        None => (format!("(<{} bytes>,)", job.payload.len()), "{}".to_owned()),
    }
}

/// Returns the call of a job, unless it has none or is too large to be read for the sake of being shown.
pub(crate) fn call_of(job: &Claimed) -> Option<Call> {
    let is_shown = job.options.is_call && job.payload.len() <= SHOWN_BYTES_MAX;
    is_shown.then(|| Call::parse(&job.payload).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeadReason, JobId, JobOptions, LeaseId};

    fn job() -> Claimed {
        Claimed {
            lease: LeaseId(1),
            id: JobId::new("id"),
            task: "app.add".into(),
            queue: "celery".into(),
            attempt: 2,
            enqueued_at: Timestamp::EPOCH,
            payload: br#"[[1,"two"],{"three":3},null]"#.as_slice().into(),
            options: JobOptions {
                is_call: true,
                headers: Some(r#"{"root_id":"root"}"#.to_owned()),
                ..JobOptions::default()
            },
        }
    }

    #[test]
    fn ends_have_celerys_words() {
        let check = |finish: Finish, kind: &str, field: &str, wanted: Value| {
            let (is, fields) = of_end(&job(), &finish, Duration::from_secs(2)).expect("an event");
            assert_eq!((is, &fields[field]), (kind, &wanted), "{finish:?}");
        };
        check(Finish::Done, "task-succeeded", "result", json!("None"));
        check(Finish::Returned { value: json!("x") }, "task-succeeded", "result", json!("'x'"));
        let retry = Finish::Retry { after: Duration::ZERO, error: "ValueError: boom".to_owned() };
        check(retry, "task-retried", "exception", json!("ValueError('boom')"));
        let dead = |reason, error: &str| Finish::Dead { reason, error: error.to_owned() };
        check(dead(DeadReason::Attempts, "no"), "task-failed", "exception", json!("TaskError('no')"));
        check(dead(DeadReason::Expired, "expired"), "task-revoked", "expired", json!(true));
        check(dead(DeadReason::Revoked, REVOKED), "task-revoked", "terminated", json!(false));
        check(dead(DeadReason::Revoked, TERMINATED), "task-revoked", "signum", json!(15));
        assert!(of_end(&job(), &Finish::Park, Duration::ZERO).is_none());
    }

    #[test]
    fn arguments_are_shown_unless_they_are_large_or_none() {
        let fields = of_received(&job());
        assert_eq!((&fields["args"], &fields["kwargs"]), (&json!("(1, 'two')"), &json!("{'three': 3}")));
        assert_eq!((&fields["root_id"], &fields["retries"]), (&json!("root"), &json!(1)));
        let opaque = Claimed { options: JobOptions::default(), ..job() };
        assert_eq!(of_received(&opaque)["args"], "(<28 bytes>,)");
        let large = Claimed { payload: vec![b'['; SHOWN_BYTES_MAX + 1].into(), ..job() };
        assert_eq!(of_received(&large)["kwargs"], "{}");
    }

    #[test]
    fn a_clock_is_never_behind_what_it_heard() {
        let clock = LogicalClock::default();
        assert_eq!((clock.forward(), clock.forward()), (1, 2));
        clock.meet(10);
        assert_eq!(clock.value(), 11);
        clock.meet(3);
        clock.meet(u64::MAX);
        assert_eq!(clock.value(), 13);
    }
}
