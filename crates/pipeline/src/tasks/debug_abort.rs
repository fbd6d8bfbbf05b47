//! Task `debug.abort`: aborts the process it runs in, as a crash would.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};

pub const NAME: &str = "debug.abort";
pub const QUEUE: &str = "debug";

pub struct Abort;

impl CallTask for Abort {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn call(&self, job: &Claimed, _call: Call, _cx: &RunContext) -> Outcome {
        tracing::warn!(job = %job.id, "aborting, as the drill asks");
        std::process::abort()
    }
}
