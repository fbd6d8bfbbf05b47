//! Writing off: an operator says that events are lost, after their broker was emptied or lost its disk. They are counted as
//! dead, so that the ledger balances again and the next loss shows.

use super::{BalanceRow, look};
use crate::audit::{self, Note};
use crate::{ApiError, Caller, Ops, Permission};
use std::time::Duration;
use store::leases;
use store::outcomes::OutcomeRow;

/// As their reason stands among the outcomes.
const REASON: &str = "lost with the broker";
/// A broker that is asked in several steps may miss a job that moves between two of them: the least of so many looks counts.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// One at a time, of all processes: what two count that both looked before either wrote is counted twice, and the surplus
/// hides as many losses of the same rows.
const LEASE_NAME: &str = "conservation.write-off";
/// Longer than the looks last at a broker that answers slowly.
const LEASE: Duration = Duration::from_secs(60);

/// What was written off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenOff {
    pub events: i64,
    /// The broker had said that it was emptied, and does not any more.
    pub was_emptied: bool,
}

impl WrittenOff {
    /// As pages, commands and the audit log say it.
    pub fn said(&self) -> String {
        let emptied = if self.was_emptied { "; the broker's loss is seen" } else { "" };
        format!("{} events are counted as lost{emptied}", self.events)
    }
}

/// Counts as dead what the ledger misses, and takes back the broker's word that it was emptied.
///
/// What waits now was accepted after what is lost, so the oldest hours lose first; between projects of the one hour in
/// which both lie it cannot be told whose events are lost, and the first named lose first.
///
/// # Errors
/// `PermissionMissing` without `queues.admin`, `Conflict` while somebody else writes off, `Queue` while it does not say what
/// it holds.
pub async fn write_off(cx: &Ops, caller: &Caller) -> Result<WrittenOff, ApiError> {
    caller.require_permission(Permission::QueuesAdmin)?;
    let (holder, now) = (stdx::random::uuid(), cx.clock.now());
    let by = holder.clone();
    let take = cx.write("begin to write off", move |tx| Ok(leases::take(tx, LEASE_NAME, &by, now, LEASE)?));
    if !take.await? {
        return Err(conflict("Somebody writes off lost events at this moment. Look at the ledger in a minute."));
    }
    let written = under_lease(cx, caller, holder.clone()).await;
    if written.is_err() {
        // Whoever tries again need not wait for its end; where this fails too, it ends by itself.
        let _ = cx.write("end to write off", move |tx| Ok(leases::give_back(tx, LEASE_NAME, &holder, now)?)).await;
    }
    written
}

async fn under_lease(cx: &Ops, caller: &Caller, holder: String) -> Result<WrittenOff, ApiError> {
    // What was written off elsewhere changed hours that may be kept here.
    cx.kept_hours.forget();
    let mut last = look(cx).await?.balance;
    for _ in 1..LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let next = look(cx).await?.balance;
        if next.missing() <= last.missing() {
            last = next;
        }
    }
    let Some(missing) = last.missing() else {
        // It is asked once more for its reason.
        cx.ask("look at the queues", |queue| queue.depths()).await?;
        return Err(conflict("The queue answers again. Try again."));
    };
    let note = |detail: &str| Note::new("queue.write-off", "the ledger").detail(detail);
    audit::note_alone(cx, caller, note(&format!("begins: {missing} events"))).await?;
    let written = count_as_lost(cx, holder, rows_of(&last.rows, missing), missing).await;
    let told = match &written {
        Ok(written) => written.said(),
        Err(error) => format!("stopped: {}", stdx::causes::on_one_line(error)),
    };
    audit::note_alone(cx, caller, note(&told)).await?;
    written
}

/// The lease ends in the transaction that counts.
async fn count_as_lost(cx: &Ops, holder: String, rows: Vec<OutcomeRow>, events: i64) -> Result<WrittenOff, ApiError> {
    let now = cx.clock.now();
    cx.write("write off lost events", move |tx| {
        if !leases::give_back(tx, LEASE_NAME, &holder, now)? {
            return Err(conflict("Looking took too long; nothing was written off. Try again.").into());
        }
        Ok(store::outcomes::add(tx, &rows)?)
    })
    .await?;
    cx.pulse.forget_balance();
    let was_emptied = cx.ask("write off what the broker lost", |queue| queue.write_off()).await?;
    Ok(WrittenOff { events, was_emptied })
}

fn conflict(detail: &str) -> ApiError {
    ApiError::Conflict { detail: detail.to_owned() }
}

fn rows_of(balance: &[BalanceRow], missing: i64) -> Vec<OutcomeRow> {
    let mut left = missing;
    let mut rows = Vec::new();
    let mut oldest_first: Vec<&BalanceRow> = balance.iter().collect();
    oldest_first.sort_by_key(|row| (row.hour.0, row.project_id));
    for row in oldest_first {
        let quantity = row.under_way().min(left);
        if quantity > 0 {
            left -= quantity;
            // Nobody digested them: that they were accepted is said here, as the digest says it.
            rows.extend([("accepted", ""), ("dead", REASON)].map(|(outcome, reason)| OutcomeRow {
                project_id: row.project_id,
                key_id: 0,
                hour: row.hour,
                category: "error".to_owned(),
                outcome: outcome.to_owned(),
                reason: reason.to_owned(),
                quantity,
            }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Hour;

    #[test]
    fn the_oldest_hours_lose_first_and_no_more_than_they_had_under_way() {
        let row = |project_id, hour, accepted, stored| BalanceRow {
            project_id,
            hour: Hour(hour),
            accepted,
            stored,
            ..BalanceRow::default()
        };
        let rows = rows_of(&[row(1, 9, 5, 0), row(2, 8, 4, 1), row(1, 8, 2, 2), row(1, 7, 6, 9)], 5);
        let lost: Vec<(i64, i64, i64)> = rows.iter().map(|row| (row.hour.0, row.project_id, row.quantity)).collect();
        assert_eq!(lost, [(8, 2, 3), (8, 2, 3), (9, 1, 2), (9, 1, 2)], "accepted, and dead");
    }
}
