//! `vigie queues send`: publishes a call of a task, and waits for its result if asked to.

use super::super::{Usage, output};
use crate::cli::Send;
use crate::config::Config;
use crate::local::Local;
use ops::queues::{self, SendCall};
use queue::call::{Call, Embed};
use queue::{JobId, JobResult, JobState};
use serde::de::DeserializeOwned;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Pause between two looks for the result.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A hundred years.
const SECONDS_MAX: f64 = 3_155_760_000.0;
const QUEUE_DEFAULT: &str = "default";

pub fn run(config: &Config, send: Send) -> anyhow::Result<ExitCode> {
    let input = SendCall {
        call: Call {
            args: parse("--args", "a JSON array", &send.args)?,
            kwargs: parse("--kwargs", "a JSON object", &send.kwargs)?,
            embed: Embed::default(),
        },
        delay: seconds("--delay", send.delay)?,
        priority: send.priority,
        queue: send.queue.unwrap_or_else(|| own_queue(&send.task).to_owned()),
        task: send.task,
    };
    let wait = send.wait.map(|wait| seconds("--wait", wait)).transpose()?;
    let local = Local::open(config)?;
    let id = local.wait(queues::send(&local.ops, &local.caller(), input))?;
    match wait {
        None => output::line(&id).map(|()| ExitCode::SUCCESS),
        Some(wait) => wait_for(&local, &id, wait),
    }
}

fn parse<T: DeserializeOwned>(flag: &str, kind: &str, text: &str) -> anyhow::Result<T> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Usage(format!("{flag} must be {kind}; it is not JSON: {error}")))?;
    serde_json::from_value(value).map_err(|error| Usage(format!("{flag} must be {kind}: {error}")).into())
}

fn seconds(flag: &str, seconds: f64) -> anyhow::Result<Duration> {
    let refused = || Usage(format!("{flag} must be a number of seconds from 0 to {SECONDS_MAX}"));
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(refused().into());
    }
    Ok(Duration::try_from_secs_f64(seconds).map_err(|_| refused())?)
}

fn own_queue(task: &str) -> &'static str {
    pipeline::tasks::queue_of(task).unwrap_or(QUEUE_DEFAULT)
}

fn wait_for(local: &Local, id: &str, wait: Duration) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    loop {
        match local.wait(queues::result(&local.ops, &local.caller(), id))? {
            Some(JobResult::Success { value }) => return output::json(&value).map(|()| ExitCode::SUCCESS),
            Some(JobResult::Failure { error }) => anyhow::bail!("job {id} failed: {error}"),
            Some(JobResult::Retry { .. }) | None => {}
        }
        if started.elapsed() >= wait {
            let is_parked = local.ops.queue.locate(&JobId::new(id))? == Some(JobState::Parked);
            let why = if is_parked { ": it is parked, no worker knows its task" } else { "" };
            anyhow::bail!("job {id} has no result after {} s{why}", wait.as_secs_f64());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
