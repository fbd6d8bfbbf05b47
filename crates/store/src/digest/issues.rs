//! Groups to issues: finds or creates the issue of each group of a batch, adds its counts, and lets a resolved issue
//! regress when a newer event arrives.

use super::aggregate::{BatchTotals, GroupId, GroupTotals};
use crate::StoreError;
use db::{Tx, Val};
use std::collections::HashMap;
use stdx::Timestamp;

/// Where the events of a group are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub issue_id: i64,
    /// Of an issue that others were merged into: the strand that the group is of.
    pub strand_id: Option<i64>,
}

impl Place {
    /// The ids that its counters stand under: a strand's own beside its issue's.
    pub(super) fn counter_ids(self) -> impl Iterator<Item = i64> {
        [Some(self.issue_id), self.strand_id.map(i64::wrapping_neg)].into_iter().flatten()
    }
}

/// The place of each group of a batch.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    places: HashMap<GroupId, Place>,
    pub created: usize,
}

impl Resolved {
    pub(super) fn place_of(&self, group: &GroupId) -> Place {
        *self.places.get(group).expect("every group of the batch was resolved before it is counted")
    }
}

/// Finds the issue of each group, creating those that are new, and leads all hashes of its events there.
pub(super) fn resolve(tx: &mut Tx<'_>, totals: &BatchTotals<'_>, now: Timestamp) -> Result<Resolved, StoreError> {
    let mut resolved = Resolved::default();
    for (group, sums) in &totals.groups {
        let place = match find(tx, *group)? {
            Some(place) => place,
            None => resolve_new(tx, *group, sums, now, &mut resolved.created)?,
        };
        for other in &sums.others {
            lead(tx, (group.0, other.key), &other.hash, place, now)?;
        }
        resolved.places.insert(*group, place);
    }
    Ok(resolved)
}

/// A hash that is new finds its issue by the other hashes of its events, then by those of the configuration that the
/// project had before.
fn resolve_new(
    tx: &mut Tx<'_>,
    group: GroupId,
    sums: &GroupTotals<'_>,
    now: Timestamp,
    created: &mut usize,
) -> Result<Place, StoreError> {
    let mut place = None;
    for key in sums.others.iter().map(|other| other.key).chain(sums.former_keys.iter().copied()) {
        place = find(tx, (group.0, key))?;
        if place.is_some() {
            break;
        }
    }
    let place = match place {
        Some(place) => place,
        None => {
            *created += 1;
            Place { issue_id: create(tx, group.0, sums, now)?, strand_id: None }
        }
    };
    lead(tx, group, &sums.oldest.group_hash, place, now)?;
    Ok(place)
}

fn find(tx: &mut Tx<'_>, (project_id, group_key): GroupId) -> Result<Option<Place>, StoreError> {
    let row: Option<(i64, Option<i64>)> = tx.query_opt(
        "SELECT issue_id, strand_id FROM issue_group WHERE project_id = $1 AND group_key = $2",
        &[Val::Int(project_id), Val::Int(group_key)],
    )?;
    Ok(row.map(|(issue_id, strand_id)| Place { issue_id, strand_id }))
}

/// Leads a hash to an issue, unless it leads to one already.
fn lead(
    tx: &mut Tx<'_>,
    (project_id, group_key): GroupId,
    hash: &str,
    place: Place,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_group (project_id, group_key, hash, issue_id, strand_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &[
            Val::Int(project_id),
            Val::Int(group_key),
            Val::Text(hash),
            Val::Int(place.issue_id),
            Val::from(place.strand_id),
            Val::Int(now.micros()),
        ],
    )?;
    Ok(())
}

/// Inserts an issue with no events yet; `bump` adds them.
fn create(tx: &mut Tx<'_>, project_id: i64, sums: &GroupTotals<'_>, now: Timestamp) -> Result<i64, StoreError> {
    let event = sums.oldest;
    let (short_no,): (i64,) = tx.query_one(
        "UPDATE project SET next_short_no = next_short_no + 1,
                first_event_at = COALESCE(first_event_at, $2)
         WHERE id = $1 RETURNING next_short_no - 1",
        &[Val::Int(project_id), Val::Int(event.received_at.micros())],
    )?;
    let (issue_id,): (i64,) = tx.query_one(
        "INSERT INTO issue (org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level,
                            status_at, first_seen, last_seen, event_count, user_count, first_release, last_release)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14, $14)
         RETURNING id",
        &[
            Val::Int(event.org_id),
            Val::Int(project_id),
            Val::Int(short_no),
            Val::Text(event.kind),
            Val::Text(&event.title),
            Val::Text(&event.culprit),
            Val::Text(&event.metadata),
            Val::Text(&event.platform),
            Val::Text(&event.logger),
            Val::Text(event.level),
            Val::Int(now.micros()),
            Val::Int(sums.seen.first.micros()),
            Val::Int(sums.seen.last.micros()),
            Val::from(event.release.as_deref()),
        ],
    )?;
    record_activity(tx, issue_id, "first_seen", now)?;
    Ok(issue_id)
}

/// Adds each group's events to its issue. Returns how many issues regressed.
pub(super) fn bump(
    tx: &mut Tx<'_>,
    totals: &BatchTotals<'_>,
    resolved: &Resolved,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut regressed = 0;
    for (group, sums) in &totals.groups {
        let Place { issue_id, strand_id } = resolved.place_of(group);
        add_events(tx, ADD_TO_ISSUE, issue_id, sums)?;
        if let Some(strand_id) = strand_id {
            add_events(tx, ADD_TO_STRAND, strand_id, sums)?;
        }
        regressed += usize::from(regress_if_resolved(tx, issue_id, sums, now)?);
    }
    Ok(regressed)
}

/// Title, culprit and level follow the newest event, as Sentry's do.
macro_rules! add_to {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET event_count = event_count + $2,
             title    = CASE WHEN $4 >= last_seen THEN $5 ELSE title END,
             culprit  = CASE WHEN $4 >= last_seen THEN $6 ELSE culprit END,
             metadata = CASE WHEN $4 >= last_seen THEN $7 ELSE metadata END,
             level    = CASE WHEN $4 >= last_seen THEN $8 ELSE level END,
             last_release  = CASE WHEN $4 >= last_seen THEN COALESCE($9, last_release) ELSE last_release END,
             first_release = COALESCE(first_release, $9),
             is_unhandled  = MAX(is_unhandled, $10),
             first_seen = MIN(first_seen, $3),
             last_seen  = MAX(last_seen, $4)
         WHERE id = $1"
        )
    };
}

const ADD_TO_ISSUE: &str = add_to!("issue");
const ADD_TO_STRAND: &str = add_to!("issue_strand");

fn add_events(tx: &mut Tx<'_>, statement: &str, id: i64, sums: &GroupTotals<'_>) -> Result<(), StoreError> {
    let newest = sums.newest;
    tx.execute(
        statement,
        &[
            Val::Int(id),
            Val::Int(sums.seen.count),
            Val::Int(sums.seen.first.micros()),
            Val::Int(sums.seen.last.micros()),
            Val::Text(&newest.title),
            Val::Text(&newest.culprit),
            Val::Text(&newest.metadata),
            Val::Text(newest.level),
            Val::from(newest.release.as_deref()),
            Val::Int(i64::from(sums.is_unhandled)),
        ],
    )?;
    Ok(())
}

/// An event received after the issue was resolved reopens it; one that was already waiting then does not.
fn regress_if_resolved(
    tx: &mut Tx<'_>,
    issue_id: i64,
    sums: &GroupTotals<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let reopened = tx.execute(
        "UPDATE issue SET status = 'unresolved', substatus = 'regressed', status_at = $3
         WHERE id = $1 AND status = 'resolved' AND status_at < $2",
        &[Val::Int(issue_id), Val::Int(sums.last_received.micros()), Val::Int(now.micros())],
    )?;
    if reopened == 0 {
        return Ok(false);
    }
    record_activity(tx, issue_id, "set_regression", now)?;
    Ok(true)
}

fn record_activity(tx: &mut Tx<'_>, issue_id: i64, kind: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_activity (issue_id, kind, at) VALUES ($1, $2, $3)",
        &[Val::Int(issue_id), Val::Text(kind), Val::Int(now.micros())],
    )?;
    Ok(())
}
