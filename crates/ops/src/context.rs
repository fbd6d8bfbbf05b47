//! What every operation needs: the stores, the broker, the clock and the bounds that live in memory; and the one way
//! into a metadata transaction.

use crate::ApiError;
use crate::login_limits::LoginLimits;
use db::{DbError, Tx};
use queue::{Broker, JobId, JobState, Queue, QueueError, Spool, SpoolState};
use std::sync::{Arc, PoisonError, RwLock};
use stdx::Clock;
use store::{StoreError, Stores};
use tokio::sync::Semaphore;

/// Readings of day partitions and blobs at once: each holds a thread and up to a page of decompressed events.
const FILE_READS_MAX: usize = 16;

/// What operations work with; one for the process, shared.
pub struct Ops {
    pub stores: Arc<Stores>,
    pub queue: Arc<dyn Queue>,
    pub clock: Arc<dyn Clock>,
    /// What happens by the clock.
    pub(crate) schedule: Vec<queue::cron::Entry>,
    /// Queues whose jobs are accepted events.
    pub(crate) event_queues: Vec<String>,
    /// The keys of the configuration.
    pub(crate) options: crate::options::Catalogue,
    pub(crate) pulse: crate::pulse::Recorder,
    pub(crate) kept_hours: crate::conservation::Kept,
    /// Where this process keeps accepted events while their broker is away.
    pub spool: Option<Arc<Spool>>,
    pub(crate) storage_limits: Option<crate::storage::Limits>,
    pub(crate) storage_looks: crate::storage::Looks,
    pub(crate) process: Option<crate::itself::Told>,
    public_url: RwLock<String>,
    pub(crate) login_limits: LoginLimits,
    file_reads: Semaphore,
}

impl Ops {
    /// `public_url` is the public address without a trailing slash, as DSNs and links show it.
    pub fn new(stores: Arc<Stores>, queue: Arc<dyn Queue>, clock: Arc<dyn Clock>, public_url: &str) -> Ops {
        Ops {
            stores,
            queue,
            clock,
            schedule: Vec::new(),
            event_queues: Vec::new(),
            options: crate::options::Catalogue::default(),
            pulse: crate::pulse::Recorder::default(),
            kept_hours: crate::conservation::Kept::default(),
            spool: None,
            storage_limits: None,
            storage_looks: crate::storage::Looks::default(),
            process: None,
            public_url: RwLock::new(public_url.trim_end_matches('/').to_owned()),
            login_limits: LoginLimits::default(),
            file_reads: Semaphore::new(FILE_READS_MAX),
        }
    }

    /// Adds the schedule table, which listings show.
    #[must_use]
    pub fn with_schedule(mut self, schedule: Vec<queue::cron::Entry>) -> Ops {
        self.schedule = schedule;
        self
    }

    /// Names the queues whose jobs are accepted events, for the conservation ledger.
    #[must_use]
    pub fn with_event_queues(mut self, names: &[&str]) -> Ops {
        self.event_queues = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Adds the keys of the configuration, which listings show and runtime options are checked against.
    #[must_use]
    pub fn with_options(mut self, catalogue: crate::options::Catalogue) -> Ops {
        self.options = catalogue;
        self
    }

    /// Adds the spool, which the ledger counts, receipts ask and the console shows.
    #[must_use]
    pub fn with_spool(mut self, spool: Option<Arc<Spool>>) -> Ops {
        self.spool = spool;
        self
    }

    /// What the process knows of limits; `None` in a command.
    pub fn storage_limits(&self) -> Option<&crate::storage::Limits> {
        self.storage_limits.as_ref()
    }

    /// Adds the limits of the disk and of retention, which the storage page reckons with.
    #[must_use]
    pub fn with_storage_limits(mut self, limits: crate::storage::Limits) -> Ops {
        self.storage_limits = Some(limits);
        self
    }

    /// Adds what the process knows of itself, which the console shows.
    #[must_use]
    pub fn with_process(mut self, told: crate::itself::Told) -> Ops {
        self.process = Some(told);
        self
    }

    /// Returns what the spool holds; `None` where there is none.
    pub fn spool_state(&self) -> Option<SpoolState> {
        self.spool.as_ref().map(|spool| spool.state())
    }

    /// Returns the public address without a trailing slash.
    pub fn public_url(&self) -> String {
        self.public_url.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the public address, once the listener knows its port.
    pub fn set_public_url(&self, url: &str) {
        let mut public_url = self.public_url.write().unwrap_or_else(PoisonError::into_inner);
        *public_url = url.trim_end_matches('/').to_owned();
    }

    /// Runs `work` on one snapshot of the metadata. `what` says what was attempted, should the store fail.
    pub(crate) async fn read<T, F>(&self, what: &'static str, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.stores.db.read(work).await.map_err(|failure| failure.of(what))
    }

    /// Runs `work` as one transaction of the metadata; a refusal undoes it.
    pub(crate) async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.stores.db.write(work).await.map_err(|failure| failure.of(what))
    }

    /// Asks the queue on a thread that may wait for it: a broker may be another machine that does not answer.
    pub(crate) async fn ask<T, F>(&self, what: &'static str, question: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Queue) -> Result<T, QueueError> + Send + 'static,
    {
        let queue = self.queue.clone();
        let answered = tokio::task::spawn_blocking(move || question(&*queue)).await;
        answered.map_err(ApiError::store(what))?.map_err(|source| ApiError::Queue { what, source })
    }

    /// Returns where a job stands, and if it is dead, why.
    pub(crate) async fn locate_job(&self, id: JobId) -> Result<(Option<JobState>, Option<String>), ApiError> {
        let spool = self.spool.clone();
        self.ask("look a job up", move |queue| {
            let state = match &spool {
                Some(spool) => spool.locate(&id)?,
                None => queue.locate(&id)?,
            };
            let letter = if state == Some(JobState::Dead) { queue.dead_letter(id.as_str())? } else { None };
            let reason = letter.map(|letter| match letter.error.is_empty() {
                true => letter.reason,
                false => format!("{}: {}", letter.reason, letter.error),
            });
            Ok((state, reason))
        })
        .await
    }

    /// Runs work that reads files (event partitions, blobs) on a thread that may wait for them.
    pub(crate) async fn blocking<T, F>(&self, what: &'static str, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Stores) -> Result<T, Failure> + Send + 'static,
    {
        let _place = self.file_reads.acquire().await.map_err(ApiError::store(what))?;
        let stores = self.stores.clone();
        let done = tokio::task::spawn_blocking(move || work(&stores)).await;
        done.map_err(ApiError::store(what))?.map_err(|failure| failure.of(what))
    }
}

/// Why a transaction ended without its result: the operation's own refusal, or the store.
pub(crate) enum Failure {
    Refused(ApiError),
    Store(StoreError),
}

impl Failure {
    fn of(self, what: &'static str) -> ApiError {
        match self {
            Failure::Refused(error) => error,
            Failure::Store(source) => ApiError::Store { what, source: Box::new(source) },
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Refused(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Failure::Store(StoreError::from(error))
    }
}

/// Turns "that name is taken" into a refusal; everything else stays the store's failure.
pub(crate) fn or_conflict(error: StoreError) -> Failure {
    match error {
        StoreError::Taken { what } => {
            Failure::Refused(ApiError::Conflict { detail: format!("{what} already exists.") })
        }
        other => Failure::Store(other),
    }
}
