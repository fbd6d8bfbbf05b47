//! Writes the counts of the endpoints to the store every second. A second's counts are lost if the process is killed:
//! of refusals for good; of what was accepted only the second witness, the digest counts that from the durable job.
//! What the spool holds is looked at after the counts were taken and written with them: each event that they name was in the
//! spool then, or had gone on to the broker.

use crate::accounting::Accounting;
use crate::spooled::Spooled;
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
    mut spooled: Spooled,
    stores: Arc<Stores>,
    shutdown: Shutdown,
) -> Result<(), ComponentError> {
    loop {
        let is_last = tokio::select! {
            () = shutdown.triggered() => true,
            () = tokio::time::sleep(FLUSH_EVERY) => false,
        };
        flush(&accounting, &mut spooled, &stores).await;
        if is_last {
            return Ok(());
        }
    }
}

async fn flush(accounting: &Accounting, spooled: &mut Spooled, stores: &Stores) {
    let sums = accounting.take();
    let spools = spooled.news();
    if sums.is_empty() && spools.is_empty() {
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
    let said = spools.clone();
    let written = stores.db.write(move |tx| {
        outcomes::add(tx, &rows)?;
        conservation::add_accepted(tx, &accepted)?;
        spools.iter().try_for_each(|row| store::spools::say(tx, row))
    });
    match written.await {
        Ok(()) => spooled.were_told(said),
        Err(error) => {
            let error: &StoreError = &error;
            tracing::warn!(error = %error, "counts of the endpoints not written, kept for later");
            accounting.put_back(sums);
        }
    }
}
