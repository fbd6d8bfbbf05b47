//! Queues: how deep each is, and what an operator may do with one. Superusers look, and act with `queues.admin`;
//! the system does both.

use crate::audit::{self, Note};
use crate::{Actor, ApiError, Caller, Ops, Permission, withdrawal};
use queue::call::Call;
use queue::{JobId, JobOptions, JobResult, NAME_BYTES_MAX, NewJob, Published};
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    pub queue: String,
    pub ready: u64,
    pub delayed: u64,
    pub leased: u64,
    pub dead: u64,
    pub parked: u64,
    /// Age of the oldest job that waits, in seconds; `None` when none waits.
    pub oldest_age_s: Option<u64>,
    pub paused: bool,
}

/// Returns a row for each known queue, by name.
///
/// # Errors
/// `SuperuserNeeded` or `PermissionMissing` for anybody else, `Queue` if it does not answer; so for all of this file.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<QueueDepth>, ApiError> {
    actor.require_superuser()?;
    depths(cx).await
}

pub(crate) async fn depths(cx: &Ops) -> Result<Vec<QueueDepth>, ApiError> {
    Ok(rows(cx.ask("look at the queues", |queue| queue.depths()).await?))
}

/// Rows by name, of what the queue told.
pub(crate) fn rows(depths: Vec<queue::QueueDepth>) -> Vec<QueueDepth> {
    let row = |depth: queue::QueueDepth| QueueDepth {
        queue: depth.queue,
        ready: depth.ready,
        delayed: depth.delayed,
        leased: depth.leased,
        dead: depth.dead,
        parked: depth.parked,
        oldest_age_s: depth.oldest_age.map(|age| age.as_secs()),
        paused: depth.paused,
    };
    let mut rows: Vec<QueueDepth> = depths.into_iter().map(row).collect();
    rows.sort_unstable_by(|a, b| a.queue.cmp(&b.queue));
    rows
}

/// Stops claims from a queue until it is resumed; what runs goes on, publishing too.
///
/// # Errors
/// `NotFound` if there is no such queue.
pub async fn pause(cx: &Ops, caller: &Caller, name: &str) -> Result<(), ApiError> {
    let name = known(cx, caller, name).await?;
    let note = Note::new("queue.pause", &name);
    cx.ask("pause a queue", move |queue| queue.pause(&name)).await?;
    audit::note_alone(cx, caller, note).await
}

/// # Errors
/// `NotFound` if there is no such queue.
pub async fn resume(cx: &Ops, caller: &Caller, name: &str) -> Result<(), ApiError> {
    let name = known(cx, caller, name).await?;
    let note = Note::new("queue.resume", &name);
    cx.ask("resume a queue", move |queue| queue.resume(&name)).await?;
    audit::note_alone(cx, caller, note).await
}

/// Removes every job that waits in a queue and returns how many; what runs and dead letters stay. Events are accounted for
/// before they go.
///
/// # Errors
/// `NotFound` if there is no such queue. Of a purge that fails in the middle a part has gone, and is accounted for.
pub async fn purge(cx: &Ops, caller: &Caller, name: &str) -> Result<u64, ApiError> {
    let name = known(cx, caller, name).await?;
    audit::note_alone(cx, caller, Note::new("queue.purge", &name).detail("begins")).await?;
    let asked = name.clone();
    let purge = move |queue: &dyn queue::Queue, account: queue::Account<'_>| queue.purge(&asked, account);
    let purged = withdrawal::take_out(cx, "purge a queue", (&name, withdrawal::PURGED), purge).await;
    let told = match &purged {
        Ok(removed) => format!("{removed} jobs"),
        Err(error) => format!("stopped: {}", stdx::causes::on_one_line(error)),
    };
    audit::note_alone(cx, caller, Note::new("queue.purge", &name).detail(&told)).await?;
    purged
}

async fn known(cx: &Ops, actor: &Actor, name: &str) -> Result<String, ApiError> {
    actor.require_permission(Permission::QueuesAdmin)?;
    let rows = depths(cx).await?;
    let row = rows.into_iter().find(|row| row.queue == name);
    row.map(|row| row.queue).ok_or_else(|| ApiError::invalid(format!("unknown queue: '{name}'")))
}

/// A call of a task by name.
#[derive(Clone, Debug)]
pub struct SendCall {
    pub task: String,
    pub queue: String,
    pub call: Call,
    pub delay: Duration,
    /// 0 to 9, 9 first.
    pub priority: u8,
}

/// A name that can be listed, typed and named in `-Q a,b` again.
fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let problem = match name {
        "" => "is empty".to_owned(),
        name if name.len() > NAME_BYTES_MAX => {
            format!("has {} bytes, at most {NAME_BYTES_MAX} are allowed", name.len())
        }
        name if name.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',') => {
            "holds a control character, a space or a comma".to_owned()
        }
        _ => return Ok(()),
    };
    Err(ApiError::invalid(format!("The name of {what} {problem}.")))
}

/// Publishes a call of any task, also of one that only another program knows, and returns the job's id. Its result is
/// kept.
///
/// # Errors
/// `Invalid` for a name that nobody could name again, `Queue` if it is refused.
pub async fn send(cx: &Ops, caller: &Caller, input: SendCall) -> Result<String, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    check_name("the task", &input.task)?;
    check_name("the queue", &input.queue)?;
    let id = stdx::random::uuid();
    let note = Note::new("job.send", &input.task).detail(&format!("{id} to {}", input.queue));
    let job = NewJob {
        delay: input.delay,
        priority: input.priority,
        options: JobOptions { is_call: true, keeps_result: true, ..JobOptions::default() },
        ..NewJob::new(JobId::new(&id), &input.task, &input.queue, input.call.to_payload())
    };
    let published = cx.queue.publish(vec![job]).await;
    match published.map_err(|source| ApiError::Queue { what: "publish a job", source })?.as_slice() {
        [Published::Accepted] => audit::note_alone(cx, caller, note).await.map(|()| id),
        _ => Err(ApiError::Conflict { detail: format!("a job {id} is there already") }),
    }
}

/// Returns what a job came to, `None` while that is not known.
///
/// # Errors
/// See `list`.
pub async fn result(cx: &Ops, actor: &Actor, id: &str) -> Result<Option<JobResult>, ApiError> {
    actor.require_superuser()?;
    let id = JobId::new(id);
    cx.ask("read a job's result", move |queue| queue.result(&id)).await
}
