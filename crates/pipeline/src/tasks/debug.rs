//! Tasks for checks and drills, on a queue of their own, callable from any Celery client.

mod abort;
mod append;
mod echo;
mod fail;
mod sleep;

pub use abort::Abort;
pub use append::Append;
pub use echo::Echo;
pub use fail::Fail;
pub use sleep::Sleep;

use queue::Policy;
use queue::call::Call;
use serde_json::Value;
use std::time::Duration;
use stdx::Backoff;

pub const QUEUE: &str = "debug";
/// Names and what they do.
pub const TASKS: &[(&str, &str)] = &[
    (echo::NAME, "drill: returns its arguments; one positional argument as it is, else `[args…]` or `{args, kwargs}`"),
    (sleep::NAME, "drill: sleeps for `seconds` and returns them"),
    (fail::NAME, "drill: fails with `message`, three times"),
    (abort::NAME, "drill: aborts its process"),
    (append::NAME, "drill: appends `job-id line` to `file` under the data directory's `debug/`, once per job id"),
];

const ATTEMPTS_MAX: u32 = 3;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
const LEASE: Duration = Duration::from_secs(20);
/// A drill may sleep for long.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);

fn policy() -> Policy {
    Policy {
        queue: QUEUE,
        batch_jobs_max: 1,
        batch_bytes_max: 16 << 20,
        attempts_max: ATTEMPTS_MAX,
        backoff: BACKOFF,
        lease: LEASE,
        time_limit: TIME_LIMIT,
    }
}

/// An argument by its place or its name.
fn argument<'c>(call: &'c Call, place: usize, name: &str) -> Option<&'c Value> {
    call.args.get(place).or_else(|| call.kwargs.get(name))
}

fn text(call: &Call, place: usize, name: &str) -> Result<String, String> {
    match argument(call, place, name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("TypeError: {name} must be a text, not {other}")),
        None => Err(format!("TypeError: {name} is missing")),
    }
}
