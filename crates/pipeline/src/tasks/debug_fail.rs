//! Task `debug.fail`: fails with its message, and is tried again as any failing task.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};

pub const NAME: &str = "debug.fail";
pub const QUEUE: &str = "debug";

pub struct Fail;

impl CallTask for Fail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn call(&self, _job: &Claimed, call: Call, _cx: &RunContext) -> Outcome {
        let message = drill::text(&call, 0, "message").unwrap_or_else(|_| "on purpose".to_owned());
        Outcome::Retry { error: format!("RuntimeError: {message}") }
    }
}
