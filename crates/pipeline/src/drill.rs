//! What the drill tasks (`debug.*`) have in common: their policy and how they read their arguments.

use queue::Policy;
use queue::call::Call;
use serde_json::Value;
use std::time::Duration;
use stdx::Backoff;

const ATTEMPTS_MAX: u32 = 3;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
const LEASE: Duration = Duration::from_secs(20);
/// A drill may sleep for long.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);

pub fn policy(queue: &'static str) -> Policy {
    Policy {
        queue,
        batch_jobs_max: 1,
        batch_bytes_max: 16 << 20,
        attempts_max: ATTEMPTS_MAX,
        backoff: BACKOFF,
        lease: LEASE,
        time_limit: TIME_LIMIT,
    }
}

/// An argument by its place or its name.
pub fn argument<'c>(call: &'c Call, place: usize, name: &str) -> Option<&'c Value> {
    call.args.get(place).or_else(|| call.kwargs.get(name))
}

pub fn text(call: &Call, place: usize, name: &str) -> Result<String, String> {
    match argument(call, place, name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("TypeError: {name} must be a text, not {other}")),
        None => Err(format!("TypeError: {name} is missing")),
    }
}
