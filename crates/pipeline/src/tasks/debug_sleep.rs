//! Task `debug.sleep`: takes its time.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};
use std::time::{Duration, Instant};

pub const NAME: &str = "debug.sleep";
pub const QUEUE: &str = "debug";
/// It looks this often whether its time is over.
const SLICE: Duration = Duration::from_millis(100);

pub struct Sleep;

impl CallTask for Sleep {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn call(&self, _job: &Claimed, call: Call, cx: &RunContext) -> Outcome {
        let seconds = drill::argument(&call, 0, "seconds").and_then(serde_json::Value::as_f64);
        let Some(length) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
            return Outcome::Dead { error: "TypeError: seconds must be a number that is not negative".to_owned() };
        };
        let started = Instant::now();
        while started.elapsed() < length {
            if cx.is_over_time() {
                return Outcome::Retry { error: "TimeLimitExceeded: it was still asleep".to_owned() };
            }
            std::thread::sleep(SLICE.min(length.saturating_sub(started.elapsed())));
        }
        Outcome::Returned { value: seconds.into() }
    }
}
