//! Task `debug.echo`: returns its arguments.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};
use serde_json::{Value, json};

pub const NAME: &str = "debug.echo";
pub const QUEUE: &str = "debug";

pub struct Echo;

impl CallTask for Echo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn call(&self, _job: &Claimed, call: Call, _cx: &RunContext) -> Outcome {
        let value = match (call.args.len(), call.kwargs.is_empty()) {
            (1, true) => call.args.into_iter().next().unwrap_or_default(),
            (_, true) => Value::Array(call.args),
            (_, false) => json!({ "args": call.args, "kwargs": call.kwargs }),
        };
        Outcome::Returned { value }
    }
}
