//! Health as progress, not liveness: ready means that the stores can be written, events can be accepted durably, workers
//! and a scheduler are heard, and eligible work is being finished. It is judged from outside the queue's own loops: by
//! what the queue and its ledger say, in the web process. Each check names itself and says in one line what it saw.

mod disk;
mod progress;
mod sweeps;

use ops::Ops;
use ops::spools::HeldSpool;
use pipeline::retention::conduct::Origin;
use pipeline::tasks::CRON_PING_SETTING;
use progress::Progress;
use queue::{Broker, Queue, QueueDepth, QueueError, WORKER_DEAD_AFTER, WorkerRow};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stdx::{Clock, Timestamp};
use store::Stores;

/// Stuck is said this long after the last progress: early enough that everybody knows within a minute (promise G5).
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(45);
/// Work by the clock is due each minute; it waits behind other work of its queue.
const ROUND_SILENT_AFTER: Duration = Duration::from_secs(5 * 60);
/// A store or queue that does not answer in this time is down.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// A broker that is restarted is no reason to wake anybody.
const AWAY_GRACE: Duration = Duration::from_secs(10);
/// Checks are cheap but pages ask on every request: an answer this fresh is used again.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// One named check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

impl Check {
    pub(crate) fn good(name: &'static str, detail: impl Into<String>) -> Check {
        Check { name, ok: true, detail: detail.into() }
    }

    pub(crate) fn bad(name: &'static str, detail: impl Into<String>) -> Check {
        Check { name, ok: false, detail: detail.into() }
    }
}

/// All checks of one moment.
#[derive(Clone, Debug)]
pub struct Health {
    pub checks: Vec<Check>,
    /// Jobs that wait, for the pipeline dot.
    pub waiting: u64,
    pub oldest_age: Option<Duration>,
}

impl Health {
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    pub fn to_json(&self) -> Value {
        json!({ "status": if self.is_ready() { "ok" } else { "failing" }, "checks": self.checks })
    }
}

/// What the queue said at one moment.
pub(crate) struct Seen {
    pub depths: Vec<QueueDepth>,
    pub workers: Vec<WorkerRow>,
    pub parked: Vec<queue::Parked>,
}

/// Looks at the parts. Cheap to clone.
#[derive(Clone)]
pub struct Doctor(Arc<Inner>);

struct Inner {
    ops: Arc<Ops>,
    stores: Arc<Stores>,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    started: Instant,
    state: Mutex<State>,
    /// One look at a time: a queue that does not answer must not collect threads that ask it.
    looking: tokio::sync::Mutex<()>,
}

struct State {
    last: Option<(Instant, Health)>,
    accepting: Option<(Instant, Check)>,
    progress: Progress,
}

impl Doctor {
    pub fn new(ops: Arc<Ops>) -> Self {
        let state = State { last: None, accepting: None, progress: Progress::starting_at(Instant::now()) };
        let looking = tokio::sync::Mutex::new(());
        let (stores, queue, clock) = (ops.stores.clone(), ops.queue.clone(), ops.clock.clone());
        Doctor(Arc::new(Inner {
            ops,
            stores,
            queue,
            clock,
            started: Instant::now(),
            state: Mutex::new(state),
            looking,
        }))
    }

    /// Returns the last look, or `None` before the first.
    pub fn last(&self) -> Option<Health> {
        self.lock().last.as_ref().map(|(_, health)| health.clone())
    }

    fn fresh(&self) -> Option<Health> {
        let state = self.lock();
        state.last.as_ref().filter(|(at, _)| at.elapsed() < FRESH_FOR).map(|(_, health)| health.clone())
    }

    /// Looks at everything, at most once a second.
    pub async fn look(&self) -> Health {
        let _one = self.0.looking.lock().await;
        if let Some(health) = self.fresh() {
            return health;
        }
        let metadata = self.check_metadata().await;
        let accepting = self.look_at_accepting().await;
        let mut checks = vec![metadata, accepting];
        let (mut waiting, mut oldest_age) = (0, None);
        match self.see().await {
            Ok((seen, troubles)) => {
                let open = || seen.depths.iter().filter(|depth| !depth.paused);
                waiting = open().map(|depth| depth.ready + depth.leased).sum();
                oldest_age = open().filter_map(|depth| depth.oldest_age).max();
                let now = self.0.clock.now();
                let is_alive = |row: &WorkerRow| now.since(row.heard_at) < WORKER_DEAD_AFTER;
                checks.extend(self.lock().progress.judge(&seen, is_alive, Instant::now()));
                let alive: Vec<&WorkerRow> = seen.workers.iter().filter(|row| is_alive(row)).collect();
                checks.push(progress::judge_threads(&alive, &fallen_here()));
                checks.push(judge_troubles(&troubles, &self.0.queue.remarks()));
            }
            Err(detail) => {
                checks.push(progress::judge_threads(&[], &fallen_here()));
                checks.push(Check::bad("queue", detail));
            }
        }
        checks.push(self.check_round().await);
        checks.extend(self.check_spool());
        checks.extend(self.check_other_spools().await);
        checks.extend(self.check_disk().await);
        checks.extend(self.check_sweeps().await);
        checks.push(self.check_conservation());
        let health = Health { checks, waiting, oldest_age };
        self.lock().last = Some((Instant::now(), health.clone()));
        health
    }

    /// Whether events can be stored durably now; for balancers. From memory if it was looked at just now.
    pub async fn check_accepting(&self) -> Check {
        let known = self.lock().accepting.clone().filter(|(at, _)| at.elapsed() < FRESH_FOR);
        match known {
            Some((_, check)) => check,
            None => self.look_at_accepting().await,
        }
    }

    async fn look_at_accepting(&self) -> Check {
        let spool = self.0.ops.spool.clone();
        let accepting = move |queue: &dyn Queue| match &spool {
            Some(spool) => spool.accepting(),
            None => queue.accepting(),
        };
        let check = match self.ask(accepting).await {
            Ok(()) => Check::good("accept", "events are accepted durably"),
            Err(detail) => Check::bad("accept", detail),
        };
        self.lock().accepting = Some((Instant::now(), check.clone()));
        check
    }

    /// A store that can be read and not written is stuck all the same.
    async fn check_metadata(&self) -> Check {
        let started = Instant::now();
        match tokio::time::timeout(ANSWER_DEADLINE, self.0.stores.ping()).await {
            Ok(Ok(())) => Check::good("metadata", format!("answered in {} ms", started.elapsed().as_millis())),
            Ok(Err(error)) => Check::bad("metadata", stdx::causes::on_one_line(&error)),
            Err(_) => Check::bad("metadata", format!("no answer in {} s", ANSWER_DEADLINE.as_secs())),
        }
    }

    /// Whether a scheduler, the queue and a worker have worked together lately, as the entry `cron.ping` records it.
    async fn check_round(&self) -> Check {
        let read = self.0.stores.db.read(|tx| store::settings::get(tx, CRON_PING_SETTING)).await;
        let Ok(recorded) = read else { return Check::good("schedule", "the store did not say") };
        let last = recorded.as_deref().and_then(Timestamp::parse_rfc3339);
        judge_round(last, self.0.clock.now(), self.0.started.elapsed())
    }

    /// Whether there is room, and what the disk governor does about it.
    async fn check_disk(&self) -> Option<Check> {
        let limits = self.0.ops.storage_limits()?;
        // The check of the metadata says that it does not answer.
        let said = self.0.stores.db.read(store::governor::last).await.ok()?;
        Some(disk::judge((limits.free_bytes)()?, limits.free_min_bytes, said, self.0.clock.now()))
    }

    /// Whether what is past its retention goes.
    async fn check_sweeps(&self) -> Option<Check> {
        let read = self.0.stores.db.read(|tx| store::sweeps::last_done(tx, Origin::Schedule.name())).await;
        // The check of the metadata says that it does not answer.
        Some(sweeps::judge(read.ok()?, self.0.clock.now(), self.0.started.elapsed()))
    }

    /// A broker that has been away for long is stuck work, however much the spool can take.
    fn check_spool(&self) -> Option<Check> {
        let spool = self.0.ops.spool_state()?;
        let held = format!("{} events wait in the spool", spool.jobs);
        let oldest = spool.oldest_age.filter(|_| spool.jobs > 0).unwrap_or_default();
        let Some(since) = spool.away_since else {
            return Some(match oldest > STUCK_AFTER {
                true => Check::bad("spool", format!("{held}, the oldest for {} s", oldest.as_secs())),
                false => Check::good("spool", held),
            });
        };
        let away = self.0.clock.now().since(since);
        let why = spool.why.unwrap_or_default();
        let detail = format!("the broker has taken nothing for {} s ({why}); {held}", away.as_secs());
        Some(if away < AWAY_GRACE { Check::good("spool", detail) } else { Check::bad("spool", detail) })
    }

    /// What no web process has, nobody forwards.
    async fn check_other_spools(&self) -> Option<Check> {
        // The check of the metadata says that it does not answer.
        let held = ops::spools::list(&self.0.ops, &ops::Actor::System).await.ok()?;
        judge_spools(&held)
    }

    /// From memory: the ledger is looked at by the pulse.
    fn check_conservation(&self) -> Check {
        match ops::pulse::missing(&self.0.ops) {
            0 => Check::good("conservation", "every accepted event is accounted for"),
            missing => Check::bad(
                "conservation",
                format!("{missing} accepted events are neither settled nor in the queue (/system/ has the ledger)"),
            ),
        }
    }

    async fn see(&self) -> Result<(Seen, Vec<String>), String> {
        let look = |queue: &dyn Queue| {
            let seen = Seen { depths: queue.depths()?, workers: queue.workers()?, parked: queue.parked()? };
            Ok((seen, queue.troubles()?))
        };
        self.ask(look).await
    }

    /// Asks the queue on a thread that may wait, and gives up on it at the deadline.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Queue) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, String> {
        let queue = self.0.queue.clone();
        let asked = tokio::task::spawn_blocking(move || question(&*queue));
        match tokio::time::timeout(ANSWER_DEADLINE, asked).await {
            Ok(Ok(answer)) => answer.map_err(|error| stdx::causes::on_one_line(&error)),
            Ok(Err(panic)) => Err(format!("the question failed: {panic}")),
            Err(_) => Err(format!("no answer in {} s", ANSWER_DEADLINE.as_secs())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads of this process that panicked, as its worker's row would say it too.
fn fallen_here() -> Vec<String> {
    queue::fallen().iter().map(ToString::to_string).collect()
}

/// A process that started just now gives the others time. A clock that stepped back is no silence.
fn judge_round(last: Option<Timestamp>, now: Timestamp, up_for: Duration) -> Check {
    let said = match last {
        Some(last) => format!("work by the clock was done {} s ago", now.since(last).as_secs()),
        None => "no work by the clock was done yet".to_owned(),
    };
    let silent = last.map_or(up_for, |last| now.since(last)).min(up_for);
    if silent < ROUND_SILENT_AFTER { Check::good("schedule", said) } else { Check::bad("schedule", said) }
}

/// Of those that are heard each web process judges its own.
fn judge_spools(held: &[HeldSpool]) -> Option<Check> {
    let say = |spool: &HeldSpool| format!("{} events wait in the spool {}", spool.row.jobs, spool.whose());
    let unheard: Vec<String> = held.iter().filter(|spool| !spool.is_heard).map(say).collect();
    (!unheard.is_empty()).then(|| Check::bad("spools", unheard.join("; ")))
}

/// What works and must be looked at all the same, as damaged files.
fn judge_troubles(troubles: &[String], remarks: &[String]) -> Check {
    match (troubles, remarks) {
        ([], []) => Check::good("broker", "nothing to look at"),
        ([], remarks) => Check::good("broker", remarks.join("; ")),
        (troubles, _) => Check::bad("broker", troubles.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_by_the_clock_that_is_not_done_turns_red_after_minutes() {
        let now = Timestamp::from_seconds(1_000_000);
        let ago = |seconds| Some(now.minus(Duration::from_secs(seconds)));
        let (long, short) = (Duration::from_secs(3_600), Duration::from_secs(10));
        assert!(judge_round(ago(70), now, long).ok);
        assert!(!judge_round(ago(301), now, long).ok);
        assert!(!judge_round(None, now, long).ok, "never");
        assert!(judge_round(ago(9_000), now, short).ok, "all was down until a moment ago");
        assert!(judge_round(Some(now.plus(long)), now, long).ok, "the clock stepped back");
    }
}
