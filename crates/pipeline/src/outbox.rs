//! The relay of the outbox: work that a stored change caused goes from the metadata to the queue, once. Rows are removed
//! after their jobs are durable; a crash between the two publishes them again under the same ids, and the tasks record or
//! repeat their effect harmlessly.

use crate::tasks::discard_blobs;
use queue::{Broker, JobId, NewJob};
use std::sync::Arc;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Clock, Shutdown};
use store::outbox::OutboxRow;
use store::{StoreError, Stores, leases, outbox};

/// Rows published at once.
const BATCH_MAX: usize = 256;
/// Pause between two looks; a row waits at most so long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The relay is done by one process at a time; when it dies another follows after this time.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_NAME: &str = "outbox";
const QUEUE_OF_UNKNOWN: &str = "default";

/// Publishes what stands in the outbox.
#[derive(Clone)]
pub struct Relay {
    pub stores: Arc<Stores>,
    pub broker: Arc<dyn Broker>,
    pub clock: Arc<dyn Clock>,
    /// This process, among those that may relay.
    pub node: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("read or clear the outbox")]
    Store(#[from] StoreError),
    #[error("publish the outbox")]
    Queue(#[from] queue::QueueError),
}

impl Relay {
    /// Relays until the shutdown.
    ///
    /// # Errors
    /// None: what fails is logged once and tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ComponentError> {
        let mut is_failing = false;
        loop {
            match self.relay().await {
                Ok(_) => is_failing = false,
                Err(error) if is_failing => tracing::debug!(error = %error, "outbox still not relayed"),
                Err(error) => {
                    is_failing = true;
                    tracing::error!(error = stdx::causes::on_one_line(&error), "outbox not relayed, tried again");
                }
            }
            tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Publishes one batch and returns how many rows there were; zero also while another process relays.
    ///
    /// # Errors
    /// If the store or the queue does not answer; the rows stay then.
    pub async fn relay(&self) -> Result<usize, RelayError> {
        let rows = self.stores.db.read(|tx| outbox::oldest(tx, BATCH_MAX)).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let (node, now) = (self.node.clone(), self.clock.now());
        if !self.stores.db.write(move |tx| leases::take(tx, LEASE_NAME, &node, now, LEASE)).await? {
            return Ok(0);
        }
        // Read again under the lease: the process before may just have published these.
        let rows = self.stores.db.read(|tx| outbox::oldest(tx, BATCH_MAX)).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        self.broker.publish(rows.iter().map(job_of).collect()).await?;
        let published = ids.len();
        self.stores.db.write(move |tx| outbox::remove(tx, &ids)).await?;
        Ok(published)
    }
}

/// The job's id is the row's: published twice it is one.
fn job_of(row: &OutboxRow) -> NewJob {
    let queue = match row.task.as_str() {
        discard_blobs::NAME => discard_blobs::QUEUE,
        // A row of a later release: its task is parked until a worker of that release starts.
        _ => QUEUE_OF_UNKNOWN,
    };
    let id = JobId::new(&format!("outbox-{}-{}", row.id, row.created_at.micros()));
    NewJob::new(id, &row.task, queue, row.payload.clone().into())
}
