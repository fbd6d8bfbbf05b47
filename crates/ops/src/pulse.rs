//! The pipeline's pulse: how much comes in, goes out and waits, sampled every few seconds by the web process. A page then
//! says rates and tendencies without a time series of its own. What is sampled are counters in the stores and the queue,
//! so that any number of web and worker processes is seen as one pipeline. For superusers and the system.

mod pace;

use crate::conservation::{self, Balance};
use crate::queues::{self, QueueDepth};
use crate::spools::{self, HeldSpool};
use crate::workers::{self, Worker};
use crate::{Actor, ApiError, Ops};
pub use pace::{Counters, Flow, QueueFlow, Rate, Tendency};
pub use queue::SpoolState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Hour, Timestamp};

/// Pause between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Samples kept: ten minutes.
const SAMPLES_MAX: usize = 120;
/// Rates are of this long.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Looks at the ledger in a row that must miss events before it is said, and then the least of them: a broker that is asked
/// in several steps may miss a job that moves between two of them. Which events they miss no look can tell.
const MISSING_LOOKS: usize = 3;
/// A ledger of the sampler is shown if it is no older; its looks are further apart where the queue answers slowly.
const BALANCE_FRESH: Duration = Duration::from_secs(15);

/// What was seen at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    pub at: Timestamp,
    /// Since the first sample.
    pub counters: Counters,
    /// `None` while the queue does not answer: nothing is known then, which is not that nothing waits.
    pub heard: Option<Heard>,
}

/// What the queue said.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Jobs that all workers finished, as their rows say.
    pub finished: u64,
    /// The same by queue.
    pub finished_by_queue: BTreeMap<String, u64>,
    pub queues: Vec<QueueDepth>,
}

/// The state of the pipeline as a page shows it.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub now: Timestamp,
    /// The oldest first; empty right after start.
    pub samples: Vec<Sample>,
    pub flow: Flow,
    pub workers: Vec<Worker>,
    /// Why the queue does not answer, while that is so.
    pub unheard: Option<String>,
    pub balance: Balance,
    /// Queues whose jobs are accepted events.
    pub event_queues: Vec<String>,
    /// Where this process keeps accepted events while their broker is away.
    pub spool: Option<SpoolState>,
    /// What all web processes keep so, this one too.
    pub spools: Vec<HeldSpool>,
}

#[derive(Default)]
pub(crate) struct Recorder(Mutex<State>);

#[derive(Default)]
struct State {
    samples: VecDeque<Sample>,
    counters: Counters,
    /// What the hourly counts said last.
    hourly: Option<pace::Hourly>,
    /// What the last looks at the ledger missed, `MISSING_LOOKS` at most.
    missing: VecDeque<i64>,
    /// The last look at the ledger, and when that was.
    balance: Option<(Timestamp, Arc<Balance>)>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has changed the ledger: the next page looks for itself.
    pub(crate) fn forget_balance(&self) {
        self.lock().balance = None;
    }
}

/// Takes one sample, and looks at the ledger.
///
/// # Errors
/// If a store does not answer; the next sample then covers the gap. Of a queue that does not answer nothing is sampled:
/// that is the health's to say.
pub async fn sample(cx: &Ops, actor: &Actor) -> Result<(), ApiError> {
    actor.require_superuser()?;
    let this_hour = cx.clock.now().hour().0;
    let hourly = cx.read("sum the last hours", move |tx| {
        let since = Hour(this_hour - 1);
        let accepted = store::conservation::accepted(tx, &[since, Hour(this_hour), Hour(this_hour + 1)])?;
        let outcomes = store::outcomes::by_hour(tx, since)?;
        Ok(pace::Hourly::of(&accepted, outcomes))
    });
    let hourly = hourly.await?;
    let conservation::Look { balance, depths } = conservation::look(cx).await?;
    let heard = match (depths, workers::list(cx, actor).await) {
        (Some(depths), Ok(workers)) => Some(Heard::of(queues::rows(depths), &workers)),
        (None, _) | (_, Err(_)) => None,
    };
    let at = cx.clock.now();
    let mut state = cx.pulse.lock();
    let growth = state.hourly.as_ref().map(|last| hourly.growth_since(last)).unwrap_or_default();
    state.counters.add(growth);
    state.hourly = Some(hourly);
    push(&mut state.missing, balance.missing().unwrap_or(0), MISSING_LOOKS);
    state.balance = Some((at, Arc::new(balance)));
    let counters = state.counters.clone();
    push(&mut state.samples, Sample { at, counters, heard }, SAMPLES_MAX);
    Ok(())
}

fn push<T>(queue: &mut VecDeque<T>, one: T, most: usize) {
    queue.push_back(one);
    if queue.len() > most {
        queue.pop_front();
    }
}

/// Returns how many events the last looks at the ledger missed at least; 0 while it holds, or is not sure.
pub fn missing(cx: &Ops) -> i64 {
    let state = cx.pulse.lock();
    match state.missing.len() {
        MISSING_LOOKS => state.missing.iter().copied().min().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the state of the pipeline.
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn get(cx: &Ops, actor: &Actor) -> Result<Pulse, ApiError> {
    actor.require_superuser()?;
    let (workers, unheard) = match workers::list(cx, actor).await {
        Ok(workers) => (workers, None),
        Err(error) => (Vec::new(), Some(stdx::causes::on_one_line(&error))),
    };
    let mut balance = match recent_balance(cx) {
        Some(balance) => Balance::clone(&balance),
        None => conservation::look(cx).await?.balance,
    };
    conservation::name_projects(cx, &mut balance).await?;
    let spools = spools::list(cx, actor).await?;
    let samples: Vec<Sample> = cx.pulse.lock().samples.iter().cloned().collect();
    let flow = Flow::of(&samples);
    let (event_queues, spool) = (cx.event_queues.clone(), cx.spool_state());
    Ok(Pulse { now: cx.clock.now(), samples, flow, workers, unheard, balance, event_queues, spool, spools })
}

/// The sampler's last look, so that a view costs none: it walks the names of all dead letters.
fn recent_balance(cx: &Ops) -> Option<Arc<Balance>> {
    let (at, balance) = cx.pulse.lock().balance.clone()?;
    let now = cx.clock.now();
    (at <= now && now.since(at) < BALANCE_FRESH).then_some(balance)
}

impl Heard {
    fn of(queues: Vec<QueueDepth>, workers: &[Worker]) -> Heard {
        let mut finished_by_queue: BTreeMap<String, u64> = BTreeMap::new();
        for (queue, finished) in workers.iter().flat_map(|worker| &worker.row.finished_by_queue) {
            let sum = finished_by_queue.entry(queue.clone()).or_default();
            *sum = sum.wrapping_add(*finished);
        }
        let finished = workers.iter().map(|worker| worker.row.finished).fold(0, u64::wrapping_add);
        Heard { finished, finished_by_queue, queues }
    }
}

impl Pulse {
    /// Returns how many jobs of a queue were ready at each sample that the queue answered.
    pub fn ready_of(&self, queue: &str) -> Vec<u64> {
        let ready = |heard: &Heard| {
            heard.queues.iter().find(|depth| depth.queue == queue).map_or(0, |depth| depth.ready + depth.leased)
        };
        self.samples.iter().filter_map(|sample| sample.heard.as_ref()).map(ready).collect()
    }

    /// Returns what a queue takes and gives away; `None` while the queue does not say.
    pub fn flow_of(&self, queue: &str) -> Option<QueueFlow> {
        QueueFlow::of(&self.samples, queue)
    }

    /// Returns `org/project`; empty for a project that received nothing within the ledger's hours.
    pub fn project_name(&self, project_id: i64) -> String {
        let row = self.balance.rows.iter().find(|row| row.project_id == project_id);
        row.map(|row| row.project.clone()).unwrap_or_default()
    }

    /// Returns events in flight by project, the most first.
    pub fn in_flight_by_project(&self) -> Vec<(String, i64)> {
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &self.balance.rows {
            *sums.entry(&row.project).or_default() += row.in_flight();
        }
        let mut sums: Vec<_> =
            sums.into_iter().filter(|(_, sum)| *sum > 0).map(|(n, sum)| (n.to_owned(), sum)).collect();
        sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sums
    }
}
