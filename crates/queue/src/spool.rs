//! The spool: where jobs wait while their broker cannot be reached. It is the embedded broker with one queue and a
//! forwarder, nothing new: what is kept here is durable like there, bounded like there, and goes on in order once the
//! broker answers again.
//!
//! A broker that gave no answer may have taken the job all the same: the forwarder then publishes it a second time under
//! the same id, which the broker keeps once while it knows the id, and the task's own fence after that.

mod forward;
mod parcel;

use crate::broadcast::Broadcast;
use crate::broker::CROWDED;
use crate::brokers::embedded::{Config, Embedded};
use crate::{
    BoxFuture, Broker, ClaimRequest, Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, Queue, QueueDepth,
    QueueError,
};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Timestamp};

/// The key of a spool's bound; what is beyond it is refused by this name.
pub const SPOOL_BOUND: &str = "queue.spool-max-bytes";
/// Name of the one queue inside.
const QUEUE: &str = "spool";
/// A broker that has not answered for so long is away: whoever waits for it waits no longer than a client does.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Processes that accept over one data directory at once; each has a spool of its own.
const SPOOLS_MAX: usize = 8;

/// Keeps what cannot be published now. Cheap to share.
pub struct Spool {
    inner: Arc<Inner>,
    forwarder: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Inner {
    near: Embedded,
    /// Spools that processes of an earlier life left; forwarded first, then left alone.
    left: Mutex<VecDeque<Arc<Embedded>>>,
    far: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    /// Jobs kept here and not yet forwarded.
    held: AtomicU64,
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
        let folders: Vec<PathBuf> = (0..SPOOLS_MAX).map(|number| config.folder.join(number.to_string())).collect();
        let open =
            |folder: &Path| Embedded::open(Config { folder: folder.to_owned(), ..config.clone() }, clock.clone());
        let mut near = None;
        let mut left = VecDeque::new();
        let mut held = 0;
        for folder in &folders {
            if near.is_some() && !folder.exists() {
                continue;
            }
            let spool = match open(folder) {
                Ok(spool) => spool,
                Err(QueueError::Owned { .. }) => continue,
                Err(error) => return Err(error),
            };
            forward::revive(&spool);
            let jobs = jobs_in(&spool)?;
            held += jobs;
            match near {
                None => near = Some(spool),
                Some(_) if jobs > 0 => left.push_back(Arc::new(spool)),
                Some(_) => {}
            }
        }
        let near = near.ok_or(QueueError::Owned { folder: config.folder })?;
        near.declare(QUEUE)?;
        let inner = Arc::new(Inner {
            near,
            left: Mutex::new(left),
            far,
            clock,
            held: AtomicU64::new(held),
            forwarded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            away: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        });
        let forwarder = forward::start(inner.clone());
        Ok(Spool { inner, forwarder: Mutex::new(Some(forwarder)) })
    }

    /// Returns what it holds now, from memory.
    pub fn state(&self) -> SpoolState {
        self.inner.state()
    }

    /// Stops the forwarder; what is held stays for the next process.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::SeqCst);
        let forwarder = self.forwarder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(forwarder) = forwarder
            && forwarder.join().is_err()
        {
            tracing::error!("the spool's forwarder was lost");
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
        // Behind others that wait: order is kept, and a broker that is away is asked by the forwarder alone.
        if self.held.load(Ordering::SeqCst) == 0 {
            match self.ask(jobs.clone()).await {
                Err(error) if is_away(&error) => self.note_away(&error),
                published => return published,
            }
        }
        self.keep(jobs).await
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

    async fn keep(&self, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        let count = jobs.len() as u64;
        let parcels = jobs.into_iter().map(parcel::pack).collect();
        // Counted first: a job that is forwarded at once must not be counted out before it was counted in.
        self.held.fetch_add(count, Ordering::SeqCst);
        let kept = self.near.publish(parcels).await;
        let new = match &kept {
            Ok(published) => published.iter().filter(|one| **one == Published::Accepted).count() as u64,
            Err(_) => 0,
        };
        self.held.fetch_sub(count - new, Ordering::SeqCst);
        kept.map_err(|error| {
            self.refused.fetch_add(count, Ordering::Relaxed);
            if matches!(error, QueueError::Full { .. }) {
                return QueueError::Full { bound: SPOOL_BOUND };
            }
            let why = self.lock_away().as_ref().map(|away| away.why.clone()).unwrap_or_default();
            QueueError::Unwritable { why: format!("the broker is away ({why}), and its spool: {error}") }
        })
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

    fn note_back(&self) {
        if let Some(away) = self.lock_away().take() {
            let took_s = self.clock.now().since(away.since).as_secs();
            tracing::info!(took_s, held = self.held.load(Ordering::SeqCst), "broker back, the spool is forwarded");
        }
    }

    fn state(&self) -> SpoolState {
        let away = self.lock_away().clone();
        let depth = self.near.depths().ok().and_then(|depths| depths.into_iter().find(|depth| depth.queue == QUEUE));
        let depth = depth.unwrap_or_default();
        SpoolState {
            jobs: self.held.load(Ordering::SeqCst),
            bytes: depth.bytes,
            oldest_age: depth.oldest_age,
            forwarded: self.forwarded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            away_since: away.as_ref().map(|away| away.since),
            why: away.map(|away| away.why),
        }
    }

    fn lock_away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn jobs_in(spool: &Embedded) -> Result<u64, QueueError> {
    Ok(spool.depths()?.iter().map(|depth| depth.ready + depth.delayed + depth.leased).sum())
}

/// Whether the broker cannot take any job now; a job that it refuses for a bound is refused here as well. That requests
/// wait for it to answer is no bound of its queue.
fn is_away(error: &QueueError) -> bool {
    match error {
        QueueError::Unreachable { .. } | QueueError::Refused { .. } | QueueError::Unwritable { .. } => true,
        QueueError::Full { bound } => *bound == CROWDED,
        QueueError::Owned { .. }
        | QueueError::Files { .. }
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
        match self.inner.near.locate(id)? {
            Some(JobState::Dead) | None => self.inner.far.locate(id),
            Some(JobState::Ready | JobState::Delayed | JobState::Leased | JobState::Parked) => {
                Ok(Some(JobState::Ready))
            }
        }
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        self.inner.far.upkeep()
    }

    fn accepting(&self) -> Result<(), QueueError> {
        if self.inner.held.load(Ordering::SeqCst) == 0 && self.inner.far.accepting().is_ok() {
            return Ok(());
        }
        self.inner.near.accepting()
    }

    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        self.inner.far.troubles()
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
