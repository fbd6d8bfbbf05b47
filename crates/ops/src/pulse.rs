//! The pipeline's pulse: how much comes in, goes out and waits, sampled every few seconds by the web process. A page then
//! says rates and tendencies without a time series of its own. What is sampled are counters in the stores and the queue,
//! so that any number of web and worker processes is seen as one pipeline. For superusers and the system.

mod pace;

use crate::conservation::{self, Balance};
use crate::queues::{self, QueueDepth};
use crate::spools::{self, HeldSpool};
use crate::workers::{self, Worker};
use crate::{Actor, ApiError, Ops};
pub use pace::{Counters, Flow, Rate, Tendency};
pub use queue::SpoolState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Hour, Timestamp};

/// Pause between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Samples kept: ten minutes.
const SAMPLES_MAX: usize = 120;
/// Rates are of this long.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Looks at the ledger that must miss the same events before it is said: a broker that is asked in several steps may
/// miss a job that moves between two of them.
const MISSING_LOOKS: u32 = 3;

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
    missing: i64,
    missing_looks: u32,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one sample, and looks at the ledger.
///
/// # Errors
/// If a store does not answer; the next sample then covers the gap. Of a queue that does not answer nothing is sampled:
/// that is the health's to say.
pub async fn sample(cx: &Ops, actor: &Actor) -> Result<(), ApiError> {
    actor.require_superuser()?;
    let since = Hour(cx.clock.now().hour().0 - 1);
    let hourly = cx.read("sum the last hours", move |tx| {
        let accepted = store::conservation::accepted(tx, since)?;
        let outcomes = store::outcomes::by_hour(tx, since)?;
        Ok(pace::Hourly::of(&accepted, outcomes))
    });
    let hourly = hourly.await?;
    let heard = match (queues::depths(cx).await, workers::list(cx, actor).await) {
        (Ok(queues), Ok(workers)) => {
            let finished = workers.iter().map(|worker| worker.row.finished).fold(0, u64::wrapping_add);
            Some(Heard { finished, queues })
        }
        (Err(_), _) | (_, Err(_)) => None,
    };
    let missing = conservation::balance(cx, actor).await?.missing().unwrap_or(0);
    let at = cx.clock.now();
    let mut state = cx.pulse.lock();
    let growth = state.hourly.as_ref().map(|last| hourly.growth_since(last)).unwrap_or_default();
    state.counters.add(growth);
    state.hourly = Some(hourly);
    state.missing_looks = if missing > 0 { state.missing_looks.saturating_add(1) } else { 0 };
    state.missing = missing;
    let counters = state.counters.clone();
    state.samples.push_back(Sample { at, counters, heard });
    if state.samples.len() > SAMPLES_MAX {
        state.samples.pop_front();
    }
    Ok(())
}

/// Returns how many events the last looks at the ledger missed; 0 while it holds, or is not sure.
pub fn missing(cx: &Ops) -> i64 {
    let state = cx.pulse.lock();
    if state.missing_looks >= MISSING_LOOKS { state.missing } else { 0 }
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
    let balance = conservation::balance(cx, actor).await?;
    let spools = spools::list(cx, actor).await?;
    let samples: Vec<Sample> = cx.pulse.lock().samples.iter().cloned().collect();
    let flow = Flow::of(&samples);
    let (event_queues, spool) = (cx.event_queues.clone(), cx.spool_state());
    Ok(Pulse { now: cx.clock.now(), samples, flow, workers, unheard, balance, event_queues, spool, spools })
}

impl Pulse {
    /// Returns how many jobs of a queue were ready at each sample that the queue answered.
    pub fn ready_of(&self, queue: &str) -> Vec<u64> {
        let ready = |heard: &Heard| {
            heard.queues.iter().find(|depth| depth.queue == queue).map_or(0, |depth| depth.ready + depth.leased)
        };
        self.samples.iter().filter_map(|sample| sample.heard.as_ref()).map(ready).collect()
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
