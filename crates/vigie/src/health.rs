//! Health as progress, not liveness: ready means that the stores answer, events can be accepted durably, and eligible
//! work is being finished. Each check names itself and says in one line what it saw.

use queue::Broker;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::Stores;

/// Waiting work without progress for this long is "stuck" (promise G5).
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// A store that does not answer a trivial read in this time is down.
const STORE_DEADLINE: Duration = Duration::from_secs(5);
/// Checks are cheap but pages ask on every request: an answer this fresh is used again.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// One named check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
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

/// Looks at the parts. Cheap to clone.
#[derive(Clone)]
pub struct Doctor(Arc<Inner>);

struct Inner {
    stores: Arc<Stores>,
    broker: Arc<dyn Broker>,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<(Instant, Health)>,
    /// When the queue was last seen empty or moving.
    progress_at: Option<Instant>,
    finished: u64,
}

/// How many jobs this process has finished, as the worker counts.
pub type FinishedJobs = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Doctor {
    pub fn new(stores: Arc<Stores>, broker: Arc<dyn Broker>) -> Self {
        Doctor(Arc::new(Inner { stores, broker, started: Instant::now(), state: Mutex::default() }))
    }

    /// Returns the last look if it is fresh, or `None` before the first.
    pub fn last(&self) -> Option<Health> {
        self.lock().last.as_ref().map(|(_, health)| health.clone())
    }

    /// Looks at everything, at most once a second.
    pub async fn look(&self, finished: &FinishedJobs) -> Health {
        if let Some((at, health)) = &self.lock().last
            && at.elapsed() < FRESH_FOR
        {
            return health.clone();
        }
        let metadata = self.check_metadata().await;
        let accepting = self.check_accepting();
        let (progress, waiting, oldest_age) = self.check_progress(finished());
        let health = Health { checks: vec![metadata, accepting, progress], waiting, oldest_age };
        self.lock().last = Some((Instant::now(), health.clone()));
        health
    }

    /// Whether events can be stored durably now; for balancers.
    pub fn check_accepting(&self) -> Check {
        match self.0.broker.accepting() {
            Ok(()) => Check { name: "accept", ok: true, detail: "events are accepted durably".to_owned() },
            Err(error) => Check { name: "accept", ok: false, detail: error.to_string() },
        }
    }

    async fn check_metadata(&self) -> Check {
        let started = Instant::now();
        let read = tokio::time::timeout(STORE_DEADLINE, self.0.stores.ping()).await;
        let (ok, detail) = match read {
            Ok(Ok(())) => (true, format!("answered in {} ms", started.elapsed().as_millis())),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("no answer in {} s", STORE_DEADLINE.as_secs())),
        };
        Check { name: "metadata", ok, detail }
    }

    /// Work that waits and does not move for a minute is stuck. A backlog that moves is fine, also right after start.
    fn check_progress(&self, finished: u64) -> (Check, u64, Option<Duration>) {
        let depths = self.0.broker.depths().unwrap_or_default();
        let waiting: u64 = depths.iter().filter(|depth| !depth.paused).map(|depth| depth.ready + depth.leased).sum();
        let oldest_age = depths.iter().filter_map(|depth| depth.oldest_age).max();
        let mut state = self.lock();
        if waiting == 0 || finished != state.finished {
            state.progress_at = Some(Instant::now());
            state.finished = finished;
        }
        let still = state.progress_at.unwrap_or(self.0.started).elapsed();
        let ok = still < STUCK_AFTER;
        let detail = match (ok, waiting) {
            (true, 0) => "no job waits".to_owned(),
            (true, _) => format!("{waiting} jobs wait, oldest {} s", oldest_age.unwrap_or_default().as_secs()),
            (false, _) => format!("{waiting} jobs wait and none was finished for {} s", still.as_secs()),
        };
        (Check { name: "pipeline", ok, detail }, waiting, oldest_age)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
