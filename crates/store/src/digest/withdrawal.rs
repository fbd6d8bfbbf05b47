//! Jobs that an operator takes out of the queue before they are digested. Like an event's effect this is one transaction
//! with a fence of its own: doing it twice changes nothing, what was digested is left alone, and what is withdrawn is never
//! digested after.

use super::aggregate::BatchTotals;
use super::remarks::{self, Subject};
use super::{DigestEvent, fence};
use crate::{StoreError, Stores, days, event_lookup, spent_bodies};
use db::{Tx, Val};
use std::collections::BTreeMap;
use stdx::{Day, Timestamp};

/// An accepted job that leaves the queue without being run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    pub project_id: i64,
    pub key_id: i64,
    pub event_id: [u8; 16],
    pub received_at: Timestamp,
    /// Whether the endpoint counted an event for it. One that only brings something for an event is remarked, not counted.
    pub is_event: bool,
    /// The blob that its body came in; it is deleted.
    pub body_blob: Option<String>,
}

/// Accounts for jobs that are about to leave the queue: each event as `dead` with the reason, under its project, key and
/// hour, with a remark for its receipt. Returns for each whether it was not accounted for before.
///
/// # Errors
/// Any database error; nothing is written then.
pub fn withdraw(tx: &mut Tx<'_>, jobs: &[Withdrawal], reason: &str, now: Timestamp) -> Result<Vec<bool>, StoreError> {
    let mut totals = BatchTotals::default();
    let mut are_new = Vec::with_capacity(jobs.len());
    for job in jobs {
        let is_new = !has_ended(tx, job)? && insert(tx, job)?;
        if is_new {
            remarks::note_withdrawn(tx, job.subject(), reason, job.is_event, &mut totals)?;
            spent_bodies::discard(tx, job.day(), job.body_blob.as_slice(), now)?;
        }
        are_new.push(is_new);
    }
    remarks::add_outcomes(tx, &totals)?;
    Ok(are_new)
}

impl Withdrawal {
    pub fn day(&self) -> Day {
        self.received_at.day()
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            day: self.day(),
            project_id: self.project_id,
            key_id: self.key_id,
            event_id: &self.event_id,
            received_at: self.received_at,
        }
    }
}

/// Whether a run of this very job had its effect, and only its end was not heard.
fn has_ended(tx: &mut Tx<'_>, job: &Withdrawal) -> Result<bool, StoreError> {
    let event = DigestEvent {
        project_id: job.project_id,
        event_id: job.event_id,
        received_at: job.received_at,
        ..DigestEvent::default()
    };
    if job.is_event && fence::is_counted(tx, job.day(), &event)? {
        return Ok(true);
    }
    remarks::has_ended(tx, job.subject())
}

fn insert(tx: &mut Tx<'_>, job: &Withdrawal) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO withdrawn (day, project_id, event_id, received_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[Val::from(job.day()), Val::Int(job.project_id), Val::Blob(&job.event_id), Val::Int(job.received_at.micros())],
    )?;
    Ok(inserted == 1)
}

/// Removes rows of events that nobody counted: a run wrote them and found its job withdrawn, or died before it was. An id
/// that was counted for another job keeps its row.
///
/// # Errors
/// If a store cannot be read or written.
pub fn drop_uncounted(stores: &Stores, day: Day, ids: &[(i64, [u8; 16])]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let found = stores.db.read_blocking(|tx| {
        let mut by_project: BTreeMap<i64, Vec<[u8; 16]>> = BTreeMap::new();
        for (project_id, event_id) in ids {
            if event_lookup::day_of_event(tx, &[day, day.previous()], *project_id, event_id)?.is_none() {
                by_project.entry(*project_id).or_default().push(*event_id);
            }
        }
        Ok::<_, StoreError>(days::find_open(tx, day)?.map(|open| (open, by_project)))
    })?;
    let Some((open, by_project)) = found else { return Ok(()) };
    for (project_id, event_ids) in by_project {
        stores.events.remove_events(&open, project_id, &event_ids)?;
    }
    Ok(())
}

/// The withdrawn jobs of a day, as a batch asks for them: most days have none, and then only that is asked.
#[derive(Clone, Copy)]
pub(super) struct Withdrawn {
    day: Day,
    has_any: bool,
}

impl Withdrawn {
    pub fn of(tx: &mut Tx<'_>, day: Day) -> Result<Withdrawn, StoreError> {
        let row: Option<(i64,)> = tx.query_opt("SELECT 1 FROM withdrawn WHERE day = $1 LIMIT 1", &[Val::from(day)])?;
        Ok(Withdrawn { day, has_any: row.is_some() })
    }

    pub fn contains(
        self,
        tx: &mut Tx<'_>,
        project_id: i64,
        event_id: &[u8; 16],
        received_at: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.has_any {
            return Ok(false);
        }
        let row: Option<(i64,)> = tx.query_opt(
            "SELECT 1 FROM withdrawn WHERE day = $1 AND project_id = $2 AND event_id = $3 AND received_at = $4",
            &[Val::from(self.day), Val::Int(project_id), Val::Blob(event_id), Val::Int(received_at.micros())],
        )?;
        Ok(row.is_some())
    }
}
