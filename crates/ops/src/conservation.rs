//! The conservation ledger (promise G8): per project and hour of receipt, accepted = stored + filtered + duplicate +
//! expired + dead + in flight. Two witnesses that know nothing of each other are compared: the endpoints count what they
//! answered 200 to, the digest counts what came of it; the queue and the spools say how much is between them. For
//! superusers and the system.
//!
//! The order of the looks makes the comparison sound without stopping anything: first what was accepted and what the spools
//! held after it, then what the queue holds, then what was settled. An event of the first look is in it, in the second or in
//! the third.

mod write_off;

use crate::{Actor, ApiError, Ops};
use std::collections::{BTreeMap, HashMap};
use stdx::Hour;
use store::conservation::{AcceptedRow, SettledRow};
pub use write_off::{WrittenOff, write_off};

/// Hours that are compared. Whatever waits longer is among the queue's oldest jobs, which have an alarm of their own.
pub const HOURS: i64 = 48;

/// What became of the events of one project and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalanceRow {
    pub project_id: i64,
    /// `org/project`; empty for what belongs to no project any more.
    pub project: String,
    pub hour: Hour,
    pub accepted: i64,
    pub stored: i64,
    pub filtered: i64,
    pub duplicate: i64,
    pub expired: i64,
    pub dead: i64,
}

impl BalanceRow {
    pub fn settled(&self) -> i64 {
        self.stored + self.filtered + self.duplicate + self.expired + self.dead
    }

    /// Accepted, and not settled yet.
    pub fn in_flight(&self) -> i64 {
        (self.accepted - self.settled()).max(0)
    }

    /// Settled, although the endpoints' count of it was lost: a web process was killed within a second of it.
    pub fn unwitnessed(&self) -> i64 {
        (self.settled() - self.accepted).max(0)
    }
}

/// The ledger at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// By hour, the latest first, then by project.
    pub rows: Vec<BalanceRow>,
    /// Jobs of events that the queue and the spools hold in whatever state, dead letters too; `None` while the queue does
    /// not answer.
    pub queued: Option<i64>,
    /// Of them, those in spools.
    pub spooled: i64,
    /// Events that an operator took out of the queue and that nothing tells the project of.
    pub withdrawn: i64,
}

impl Balance {
    fn of(accepted: Vec<AcceptedRow>, (queued, spooled): (Option<i64>, i64), settled: Vec<SettledRow>) -> Balance {
        let mut rows: BTreeMap<(i64, i64), BalanceRow> = BTreeMap::new();
        let mut withdrawn = 0;
        for row in accepted {
            rows.entry((-row.hour.0, row.project_id)).or_default().accepted += row.quantity;
        }
        for row in settled {
            if row.project_id == 0 {
                withdrawn += row.quantity;
                continue;
            }
            let balance = rows.entry((-row.hour.0, row.project_id)).or_default();
            match row.outcome.as_str() {
                "stored" => balance.stored += row.quantity,
                "filtered" => balance.filtered += row.quantity,
                "duplicate" => balance.duplicate += row.quantity,
                "expired" => balance.expired += row.quantity,
                _ => balance.dead += row.quantity,
            }
        }
        let named =
            |((hour, project_id), row): ((i64, i64), BalanceRow)| BalanceRow { hour: Hour(-hour), project_id, ..row };
        Balance { rows: rows.into_iter().map(named).collect(), queued, spooled, withdrawn }
    }

    pub fn in_flight(&self) -> i64 {
        self.rows.iter().map(BalanceRow::in_flight).sum()
    }

    /// Events that were accepted and are neither settled nor in the queue. Anything but 0 is a broken promise; it is not
    /// known while the queue does not answer.
    pub fn missing(&self) -> Option<i64> {
        self.queued.map(|queued| (self.in_flight() - self.withdrawn - queued).max(0))
    }
}

/// Returns the ledger of the last `HOURS`.
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn balance(cx: &Ops, actor: &Actor) -> Result<Balance, ApiError> {
    actor.require_superuser()?;
    let since = Hour(cx.clock.now().hour().0 - HOURS + 1);
    // In one look: a web process says with its counts what its spool held after them.
    let (accepted, spools) = cx
        .read("sum what was accepted", move |tx| {
            Ok((store::conservation::accepted(tx, since)?, store::spools::list(tx)?))
        })
        .await?;
    let spooled = spools.iter().map(|spool| spool.jobs).sum();
    let queued = queued(cx).await.map(|queued| queued.saturating_add(spooled));
    let (settled, names) =
        cx.read("sum what was settled", move |tx| Ok((store::conservation::settled(tx, since)?, names(tx)?))).await?;
    let mut balance = Balance::of(accepted, (queued, spooled), settled);
    for row in &mut balance.rows {
        row.project = names.get(&row.project_id).cloned().unwrap_or_default();
    }
    Ok(balance)
}

/// After the spools: what leaves them meanwhile is in the queue.
async fn queued(cx: &Ops) -> Option<i64> {
    let event_queues = cx.event_queues.clone();
    // That it does not answer is the health's to say.
    let depths = cx.ask("look at the queues", |queue| queue.depths()).await.ok()?;
    let held = depths.iter().filter(|depth| event_queues.contains(&depth.queue));
    let jobs: u64 = held.map(|depth| depth.ready + depth.delayed + depth.leased + depth.dead + depth.parked).sum();
    Some(i64::try_from(jobs).unwrap_or(i64::MAX))
}

/// `org/project` by project id.
fn names(tx: &mut db::Tx<'_>) -> Result<HashMap<i64, String>, store::StoreError> {
    let mut names = HashMap::new();
    for organization in store::organizations::list(tx)? {
        for project in store::projects::list(tx, organization.id)? {
            names.insert(project.id, format!("{}/{}", organization.slug, project.slug));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(project_id: i64, hour: i64, quantity: i64) -> AcceptedRow {
        AcceptedRow { project_id, hour: Hour(hour), quantity }
    }

    fn settled(project_id: i64, hour: i64, outcome: &str, quantity: i64) -> SettledRow {
        SettledRow { project_id, hour: Hour(hour), outcome: outcome.to_owned(), quantity }
    }

    #[test]
    fn what_the_queue_holds_is_not_missing_and_one_event_less_is() {
        let of = |queued| {
            let settled = vec![settled(1, 5, "stored", 80), settled(1, 5, "filtered", 5), settled(2, 5, "dead", 1)];
            Balance::of(vec![accepted(1, 5, 100), accepted(2, 5, 10)], (Some(queued), 0), settled)
        };
        assert_eq!((of(24).in_flight(), of(24).missing()), (24, Some(0)));
        assert_eq!(of(30).missing(), Some(0), "digested and not yet taken from the queue");
        assert_eq!(of(23).missing(), Some(1));
    }

    #[test]
    fn a_count_lost_in_one_hour_hides_no_event_lost_in_another() {
        let settled = vec![settled(1, 4, "stored", 10), settled(1, 5, "stored", 9)];
        let balance = Balance::of(vec![accepted(1, 4, 7), accepted(1, 5, 10)], (Some(0), 0), settled);
        assert_eq!(balance.missing(), Some(1));
        assert_eq!(balance.rows[1].unwitnessed(), 3);
        assert_eq!(balance.rows.iter().map(|row| row.hour.0).collect::<Vec<_>>(), [5, 4], "the latest first");
    }

    #[test]
    fn what_an_operator_withdrawn_is_accounted_for() {
        let balance = Balance::of(vec![accepted(1, 5, 10)], (Some(2), 0), vec![settled(0, 5, "dead", 8)]);
        assert_eq!((balance.withdrawn, balance.missing()), (8, Some(0)));
        let unheard = Balance { queued: None, ..balance };
        assert_eq!(unheard.missing(), None, "nobody says what is in the queue");
    }
}
