//! The spool: where jobs wait while their broker cannot be reached. It is the embedded broker with one queue and a
//! forwarder, nothing new: what is kept here is durable like there, bounded like there, and goes on in order once the
//! broker answers again.
//!
//! A broker that gave no answer may have taken the job all the same: the forwarder then publishes it a second time under
//! the same id, which the broker keeps once while it knows the id, and the task's own fence after that.

mod apart;
mod forward;
mod kept;
mod parcel;
mod takeover;

use crate::broadcast::Broadcast;
use crate::broker::CROWDED;
use crate::brokers::embedded::Config;
use crate::{
    BoxFuture, Broker, ClaimRequest, Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, Queue, QueueDepth,
    QueueError, tend,
};
use kept::Kept;
pub use kept::SpoolFolder;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use stdx::{Clock, Timestamp};
pub use takeover::TAKEN_OVER_WITHIN as SPOOL_TAKEN_OVER_WITHIN;

/// The key of a spool's bound; what is beyond it is refused by this name.
pub const SPOOL_BOUND: &str = "queue.spool-max-bytes";
/// Name of the one queue inside.
const QUEUE: &str = "spool";
/// A broker that has not answered for so long is away: whoever waits for it waits no longer than a client does.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// A stop of its threads is noticed within this.
const STEP: Duration = Duration::from_millis(50);

/// Keeps what cannot be published now. Cheap to share.
pub struct Spool {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    config: Config,
    /// The own one. Another takes its place only if somebody removed its folder.
    near: RwLock<Arc<Kept>>,
    /// Those of processes that ended: forwarded, then left alone.
    left: Mutex<VecDeque<Arc<Kept>>>,
    /// Folders of nobody that have nothing in them.
    empty: Mutex<BTreeMap<PathBuf, takeover::Empty>>,
    far: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    forwarded: AtomicU64,
    refused: AtomicU64,
    away: Mutex<Option<Away>>,
    is_stopping: AtomicBool,
}

#[derive(Clone, Debug)]
struct Away {
    since: Timestamp,
    why: String,
}

/// What the spool holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SpoolState {
    pub jobs: u64,
    pub bytes: u64,
    pub oldest_age: Option<Duration>,
    /// Since the process started.
    pub forwarded: u64,
    /// Refused since neither the broker nor the spool could keep them.
    pub refused: u64,
    /// Since when the broker has not answered, and why.
    pub away_since: Option<Timestamp>,
    pub why: Option<String>,
}

impl Spool {
    /// Opens a spool below `config.folder`, the first that no other process has, and takes over what ended processes left
    /// in theirs.
    ///
    /// # Errors
    /// If none can be opened.
    pub fn open(config: Config, far: Arc<dyn Queue>, clock: Arc<dyn Clock>) -> Result<Spool, QueueError> {
        let near = takeover::open_first(&config, &clock)?;
        let inner = Arc::new(Inner {
            config,
            near: RwLock::new(Arc::new(near)),
            left: Mutex::default(),
            empty: Mutex::default(),
            far,
            clock,
            forwarded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            away: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        });
        takeover::take_over(&inner);
        let threads = vec![
            inner.spawn("spool-forward", forward::forward_in_turn),
            inner.spawn("spool-takeover", takeover::look_after),
        ];
        Ok(Spool { inner, threads: Mutex::new(threads) })
    }

    /// Returns what it holds now, from memory.
    pub fn state(&self) -> SpoolState {
        self.inner.state()
    }

    /// Returns the folders that this process speaks for: its own, those that it took over, and those of nobody that it
    /// found empty.
    pub fn folders(&self) -> Vec<SpoolFolder> {
        let mut folders = self.inner.folders();
        let empty = self.inner.seen_empty();
        folders
            .extend(empty.into_iter().filter(|seen| !folders.iter().any(|own| own.id == seen.id)).collect::<Vec<_>>());
        folders
    }

    /// Stops its threads; what is held stays for the next process.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::SeqCst);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool was lost");
            }
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    async fn publish(&self, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        let near = self.near();
        // Behind others that wait: order is kept, and a broker that is away is asked by the forwarder alone.
        if near.ahead() == 0 {
            match self.ask(jobs.clone()).await {
                Err(error) if is_away(&error) => self.note_away(&error),
                published => return published,
            }
        }
        self.keep(&near, jobs).await
    }

    /// Publishes to the broker, and waits no longer than `ANSWER_MAX`. What it takes after that is published again under
    /// the same ids. Outside of a runtime nothing can wake us, so there the broker's own deadlines hold.
    async fn ask(&self, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return self.far.publish(jobs).await;
        }
        tokio::time::timeout(ANSWER_MAX, self.far.publish(jobs)).await.unwrap_or_else(|_late| {
            let why = format!("no answer within {} s", ANSWER_MAX.as_secs());
            Err(QueueError::Unreachable { broker: "the broker".to_owned(), why })
        })
    }

    async fn keep(&self, near: &Kept, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        let count = jobs.len() as u64;
        let parcels = jobs.into_iter().map(parcel::pack).collect();
        // Counted first: a job that is forwarded at once must not be counted out before it was counted in.
        near.count_in(count);
        let kept = near.queue.publish(parcels).await;
        let new = match &kept {
            Ok(published) => published.iter().filter(|one| **one == Published::Accepted).count() as u64,
            Err(_) => 0,
        };
        near.count_out(count - new);
        kept.map_err(|error| {
            self.refused.fetch_add(count, Ordering::Relaxed);
            self.refusal_of(near, error)
        })
    }

    /// Names the spool and not the queue that it is made of.
    fn refusal_of(&self, near: &Kept, error: QueueError) -> QueueError {
        if matches!(error, QueueError::Full { .. }) {
            return QueueError::Full { bound: SPOOL_BOUND };
        }
        if matches!(error, QueueError::Closed) && self.is_stopping() {
            return error;
        }
        let broker = self.lock_away().as_ref().map(|away| away.why.clone()).unwrap_or_default();
        QueueError::SpoolUnwritable { broker, why: near.why_lost().unwrap_or_else(|| error.to_string()) }
    }

    fn note_away(&self, error: &QueueError) {
        let mut away = self.lock_away();
        let why = error.to_string();
        match away.as_mut() {
            Some(away) => away.why = why,
            None => {
                tracing::warn!(why, "broker away, jobs go to the spool");
                *away = Some(Away { since: self.clock.now(), why });
            }
        }
    }

    /// Says that the broker is back. What refuses a job may still be a bound that is known without it.
    fn note_refused(&self) {
        let was_away = self.lock_away().is_some();
        if was_away && !self.far.accepting().is_err_and(|error| is_away(&error)) {
            self.note_back();
        }
    }

    fn note_back(&self) {
        if let Some(away) = self.lock_away().take() {
            let took_s = self.clock.now().since(away.since).as_secs();
            tracing::info!(took_s, held = self.near().held(), "broker back, the spool is forwarded");
        }
    }

    fn state(&self) -> SpoolState {
        let away = self.lock_away().clone();
        let folders = self.folders();
        let left = self.lock_left().iter().map(|left| left.held()).sum::<u64>();
        SpoolState {
            jobs: self.near().held() + left,
            bytes: folders.iter().map(|folder| folder.bytes).sum(),
            oldest_age: folders.iter().filter_map(|folder| folder.oldest_age).max(),
            forwarded: self.forwarded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            away_since: away.as_ref().map(|away| away.since),
            why: away.map(|away| away.why),
        }
    }

    /// Its own and those that it took over.
    fn folders(&self) -> Vec<SpoolFolder> {
        let now = self.clock.now();
        let left = self.lock_left().clone();
        std::iter::once(self.near()).chain(left).filter_map(|kept| kept.look(now)).collect()
    }

    fn near(&self) -> Arc<Kept> {
        self.near.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// A thread that does this again and again until it is to stop.
    fn spawn(self: &Arc<Self>, name: &'static str, turn: fn(&Inner)) -> JoinHandle<()> {
        let (inner, over) = (self.clone(), self.clone());
        let run = move || {
            while !inner.is_stopping() {
                turn(&inner);
            }
        };
        tend::spawn(name, move || over.is_stopping(), run)
    }

    /// Waits, unless it is to stop.
    fn pause(&self, long: Duration) {
        let mut rest = long;
        while !rest.is_zero() && !self.is_stopping() {
            let step = rest.min(STEP);
            std::thread::sleep(step);
            rest -= step;
        }
    }

    fn lock_left(&self) -> MutexGuard<'_, VecDeque<Arc<Kept>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_empty(&self) -> MutexGuard<'_, BTreeMap<PathBuf, takeover::Empty>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the broker cannot take any job now; a job that it refuses for a bound is refused here as well. That requests
/// wait for it to answer is no bound of its queue.
fn is_away(error: &QueueError) -> bool {
    match error {
        QueueError::Unreachable { .. } | QueueError::Refused { .. } | QueueError::Unwritable { .. } => true,
        QueueError::Full { bound } => *bound == CROWDED,
        QueueError::Owned { .. }
        | QueueError::Files { .. }
        | QueueError::SpoolUnwritable { .. }
        | QueueError::Newer { .. }
        | QueueError::IdTooLong { .. }
        | QueueError::Lives { .. }
        | QueueError::Unaccounted { .. }
        | QueueError::Closed => false,
    }
}

/// Publishing goes through the spool; whatever else is asked is the broker's.
impl Broker for Spool {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(self.inner.publish(jobs))
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        self.inner.far.claim(request)
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        self.inner.far.extend(leases, lease)
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        self.inner.far.finish(finished)
    }

    fn declare(&self, queue: &str) -> Result<(), QueueError> {
        self.inner.far.declare(queue)
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        self.inner.far.depths()
    }

    /// What waits here is queued, whatever the broker knows.
    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let left = self.inner.lock_left().clone();
        for kept in std::iter::once(self.inner.near()).chain(left) {
            match kept.queue.locate(id)? {
                Some(JobState::Dead) | None => {}
                Some(JobState::Ready | JobState::Delayed | JobState::Leased | JobState::Parked) => {
                    return Ok(Some(JobState::Ready));
                }
            }
        }
        self.inner.far.locate(id)
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        self.inner.far.upkeep()
    }

    fn accepting(&self) -> Result<(), QueueError> {
        let near = self.inner.near();
        if near.ahead() == 0 {
            match self.inner.far.accepting() {
                Err(error) if is_away(&error) => {}
                answered => return answered,
            }
        }
        near.queue.accepting().map_err(|error| self.inner.refusal_of(&near, error))
    }

    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        let mut troubles = self.inner.far.troubles()?;
        let left: Vec<Arc<Kept>> = self.inner.lock_left().iter().cloned().collect();
        for kept in left.iter().chain([&self.inner.near()]) {
            troubles.extend(kept.queue.troubles()?);
        }
        Ok(troubles)
    }

    fn remarks(&self) -> Vec<String> {
        self.inner.far.remarks()
    }

    fn write_off(&self) -> Result<bool, QueueError> {
        self.inner.far.write_off()
    }

    fn broadcast(&self) -> Option<Arc<dyn Broadcast>> {
        self.inner.far.broadcast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_before_the_broker_is_spooled_and_a_full_queue_refuses() {
        assert!(is_away(&QueueError::Full { bound: CROWDED }));
        assert!(!is_away(&QueueError::Full { bound: "queue.max-jobs" }));
    }
}
