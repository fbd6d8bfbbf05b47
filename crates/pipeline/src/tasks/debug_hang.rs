//! Task `debug.hang`: hangs for ever and does not look whether its time is over, as native code in an endless loop would.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};
use std::time::Duration;

pub const NAME: &str = "debug.hang";
pub const QUEUE: &str = "debug";
/// Short, so that the drill shows its end soon; a job may name its own.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Trying a loop without end again shows nothing new.
const ATTEMPTS_MAX: u32 = 1;

pub struct Hang;

impl CallTask for Hang {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        Policy { time_limit: TIME_LIMIT, attempts_max: ATTEMPTS_MAX, ..drill::policy(QUEUE) }
    }

    fn needs_process(&self) -> bool {
        true
    }

    fn call(&self, job: &Claimed, _call: Call, _cx: &RunContext) -> Outcome {
        tracing::warn!(job = %job.id, "hanging, as the drill asks");
        loop {
            std::thread::park();
        }
    }
}
