//! The conservation ledger (promise G8): per project and hour of receipt, accepted = stored + filtered + duplicate +
//! expired + dead + in flight. Two witnesses that know nothing of each other are compared: the endpoints count what they
//! answered 200 to, the digest counts what came of it; the queue and the spools say how much is between them. For
//! superusers and the system.
//!
//! The order of the looks makes the comparison sound without stopping anything: first what was accepted and what the spools
//! held after it, then what the queue holds, then what was settled. An event of the first look is in it, in the second or in
//! the third.
//!
//! What waits or runs is one number. A dead letter may stay for days, so each stands under its own project and hour: it
//! explains one event there, and hides no loss of another project or hour.

mod held;
mod hours;
mod letters;
mod write_off;

use crate::{Actor, ApiError, Ops};
use held::Held;
pub(crate) use hours::Kept;
use hours::{ByHour, HourRows};
use std::collections::HashMap;
use std::sync::Arc;
use stdx::{Hour, Timestamp};
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
    /// Dead letters: in flight until they are discarded, or go by age.
    pub letters: i64,
}

impl BalanceRow {
    pub fn settled(&self) -> i64 {
        self.stored + self.filtered + self.duplicate + self.expired + self.dead
    }

    /// Accepted, and not settled yet.
    pub fn in_flight(&self) -> i64 {
        (self.accepted - self.settled()).max(0)
    }

    /// In flight, and no dead letter: it waits or runs, or is lost.
    pub fn under_way(&self) -> i64 {
        (self.in_flight() - self.letters).max(0)
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
    /// Jobs of events that wait or run, and those in spools; `None` while the queue does not answer.
    pub queued: Option<i64>,
    /// Of them, those in spools.
    pub spooled: i64,
    /// Dead letters of which nothing tells the project.
    pub unnamed_letters: i64,
    /// Events that an operator took out of the queue and that nothing tells the project of.
    pub withdrawn: i64,
}

impl Balance {
    fn of(mut hours: ByHour, held: Option<&Held>, spooled: i64) -> Balance {
        for (&(hour, project_id), quantity) in held.iter().flat_map(|held| &held.letters.by_row) {
            let rows = Arc::make_mut(hours.entry(hour).or_default());
            rows.by_project.entry(project_id).or_default().letters += quantity;
        }
        let withdrawn = hours.values().map(|rows| rows.withdrawn).sum();
        let named = |(hour, rows): (Hour, Arc<HourRows>)| {
            let rows = Arc::unwrap_or_clone(rows).by_project.into_iter();
            rows.map(move |(project_id, row)| BalanceRow { hour, project_id, ..row })
        };
        Balance {
            rows: hours.into_iter().rev().flat_map(named).collect(),
            queued: held.map(|held| held.queued.saturating_add(spooled)),
            spooled,
            unnamed_letters: held.map_or(0, |held| held.letters.unnamed),
            withdrawn,
        }
    }

    pub fn in_flight(&self) -> i64 {
        self.rows.iter().map(BalanceRow::in_flight).sum()
    }

    /// Events that were accepted and are neither settled nor in the queue. Anything but 0 is a broken promise; it is not
    /// known while the queue does not answer.
    pub fn missing(&self) -> Option<i64> {
        let under_way: i64 = self.rows.iter().map(BalanceRow::under_way).sum();
        self.queued.map(|queued| (under_way - self.withdrawn - self.unnamed_letters - queued).max(0))
    }
}

/// One look at the ledger; its rows have no names.
pub(crate) struct Look {
    pub balance: Balance,
    /// What the queue told of all its queues; `None` while it does not answer.
    pub depths: Option<Vec<queue::QueueDepth>>,
}

/// Returns the ledger of the last `HOURS`.
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn balance(cx: &Ops, actor: &Actor) -> Result<Balance, ApiError> {
    actor.require_superuser()?;
    let mut balance = look(cx).await?.balance;
    name_projects(cx, &mut balance).await?;
    Ok(balance)
}

/// Looks at the ledger. Hours that balance are not read again each time: see `hours`.
pub(crate) async fn look(cx: &Ops) -> Result<Look, ApiError> {
    let now = cx.clock.now();
    let reading = cx.kept_hours.begin(now);
    // In one look: a web process says with its counts what its spool held after them.
    let hours = reading.hours.clone();
    let (accepted, spools) = cx
        .read("sum what was accepted", move |tx| {
            Ok((store::conservation::accepted(tx, &hours)?, store::spools::list(tx)?))
        })
        .await?;
    let spooled = spools.iter().map(|spool| spool.jobs).sum();
    let held = held(cx, now).await;
    let hours = reading.hours.clone();
    let settled = cx.read("sum what was settled", move |tx| Ok(store::conservation::settled(tx, &hours)?)).await?;
    let hours = cx.kept_hours.end(reading, hours::by_hour(accepted, settled));
    let balance = Balance::of(hours, held.as_ref(), spooled);
    Ok(Look { balance, depths: held.map(|held| held.depths) })
}

/// After the spools: what leaves them meanwhile is in the queue.
async fn held(cx: &Ops, now: Timestamp) -> Option<Held> {
    let event_queues = cx.event_queues.clone();
    let since = Timestamp::from_seconds(hours::first_hour(now).0 * 3_600);
    let looked = cx.ask("look at the queues", move |queue| {
        Held::look(&event_queues, |from| queue.dead_names(since, from), || queue.depths())
    });
    // That it does not answer is the health's to say.
    looked.await.ok()
}

/// Says `org/project` in each row whose project is still there.
pub(crate) async fn name_projects(cx: &Ops, balance: &mut Balance) -> Result<(), ApiError> {
    let names = cx.read("read the names of projects", |tx| Ok(names(tx)?)).await?;
    for row in &mut balance.rows {
        row.project = names.get(&row.project_id).cloned().unwrap_or_default();
    }
    Ok(())
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
    use letters::Letters;
    use store::conservation::{AcceptedRow, SettledRow};

    fn balance_of(accepted: Vec<AcceptedRow>, held: Option<Held>, settled: Vec<SettledRow>) -> Balance {
        Balance::of(hours::by_hour(accepted, settled), held.as_ref(), 0)
    }

    fn accepted(project_id: i64, hour: i64, quantity: i64) -> AcceptedRow {
        AcceptedRow { project_id, hour: Hour(hour), quantity }
    }

    fn settled(project_id: i64, hour: i64, outcome: &str, quantity: i64) -> SettledRow {
        SettledRow { project_id, hour: Hour(hour), outcome: outcome.to_owned(), quantity }
    }

    /// So many jobs, and letters by project and hour.
    fn held(queued: i64, letters: &[((i64, i64), i64)]) -> Option<Held> {
        let by_row = letters.iter().map(|((project_id, hour), count)| ((Hour(*hour), *project_id), *count)).collect();
        Some(Held { queued, letters: Letters { by_row, ..Letters::default() }, depths: Vec::new() })
    }

    #[test]
    fn a_letter_hides_no_loss_of_another_project_or_hour() {
        let check = |letters: &[((i64, i64), i64)], missing| {
            let accepted = vec![accepted(1, 4, 3), accepted(1, 5, 4), accepted(2, 5, 5)];
            let settled = vec![settled(1, 4, "stored", 3), settled(1, 5, "stored", 3), settled(2, 5, "stored", 5)];
            assert_eq!(balance_of(accepted, held(0, letters), settled).missing(), Some(missing), "{letters:?}");
        };
        check(&[], 1);
        check(&[((1, 5), 1)], 0);
        check(&[((2, 5), 1)], 1);
        check(&[((1, 4), 1)], 1);
        check(&[((1, 1), 9), ((3, 5), 9)], 1);
    }

    #[test]
    fn what_the_queue_holds_is_not_missing_and_one_event_less_is() {
        let of = |queued| {
            let settled = vec![settled(1, 5, "stored", 80), settled(1, 5, "filtered", 5), settled(2, 5, "dead", 1)];
            balance_of(vec![accepted(1, 5, 100), accepted(2, 5, 10)], held(queued, &[]), settled)
        };
        assert_eq!((of(24).in_flight(), of(24).missing()), (24, Some(0)));
        assert_eq!(of(30).missing(), Some(0), "digested and not yet taken from the queue");
        assert_eq!(of(23).missing(), Some(1));
    }

    #[test]
    fn a_count_lost_in_one_hour_hides_no_event_lost_in_another() {
        let settled = vec![settled(1, 4, "stored", 10), settled(1, 5, "stored", 9)];
        let balance = balance_of(vec![accepted(1, 4, 7), accepted(1, 5, 10)], held(0, &[]), settled);
        assert_eq!(balance.missing(), Some(1));
        assert_eq!(balance.rows[1].unwitnessed(), 3);
        assert_eq!(balance.rows.iter().map(|row| row.hour.0).collect::<Vec<_>>(), [5, 4], "the latest first");
    }

    #[test]
    fn what_an_operator_withdrawn_is_accounted_for() {
        let balance = balance_of(vec![accepted(1, 5, 10)], held(2, &[]), vec![settled(0, 5, "dead", 8)]);
        assert_eq!((balance.withdrawn, balance.missing()), (8, Some(0)));
        let unheard = Balance { queued: None, ..balance };
        assert_eq!(unheard.missing(), None, "nobody says what is in the queue");
    }
}
