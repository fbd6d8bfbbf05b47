//! Writes the counts of the endpoints to the store every second. A second's counts are lost if the process is killed:
//! of refusals for good; of what was accepted only the second witness, the digest counts that from the durable job.

use crate::accounting::Accounting;
use std::sync::Arc;
use std::time::Duration;
use stdx::Shutdown;
use stdx::component::ComponentError;
use store::conservation::{self, AcceptedRow};
use store::outcomes::{self, OutcomeRow};
use store::{StoreError, Stores};

const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Flushes until the shutdown, and once more then.
///
/// # Errors
/// None: counts that could not be written are kept for the next second.
pub async fn flush_counts(
    accounting: Arc<Accounting>,
    stores: Arc<Stores>,
    shutdown: Shutdown,
) -> Result<(), ComponentError> {
    loop {
        let is_last = tokio::select! {
            () = shutdown.triggered() => true,
            () = tokio::time::sleep(FLUSH_EVERY) => false,
        };
        flush(&accounting, &stores).await;
        if is_last {
            return Ok(());
        }
    }
}

async fn flush(accounting: &Accounting, stores: &Stores) {
    let sums = accounting.take();
    if sums.is_empty() {
        return;
    }
    let rows: Vec<OutcomeRow> = sums
        .outcomes
        .iter()
        .map(|(outcome, quantity)| OutcomeRow {
            project_id: outcome.owner.project_id,
            key_id: outcome.owner.key_id,
            hour: outcome.hour,
            category: outcome.category.to_owned(),
            outcome: outcome.outcome.to_owned(),
            reason: outcome.reason.clone(),
            quantity: *quantity,
        })
        .collect();
    let accepted: Vec<AcceptedRow> = sums
        .accepted
        .iter()
        .map(|((project_id, hour), quantity)| AcceptedRow { project_id: *project_id, hour: *hour, quantity: *quantity })
        .collect();
    let written = stores.db.write(move |tx| {
        outcomes::add(tx, &rows)?;
        conservation::add_accepted(tx, &accepted)
    });
    if let Err(error) = written.await {
        let error: &StoreError = &error;
        tracing::warn!(error = %error, "counts of the endpoints not written, kept for later");
        accounting.put_back(sums);
    }
}
