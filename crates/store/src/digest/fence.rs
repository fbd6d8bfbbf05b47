//! The fence of exactly-once: which events of a batch have not been counted yet. It writes `digested` and nothing else.

use super::withdrawal::Withdrawn;
use super::{DigestEvent, Fate};
use crate::StoreError;
use db::{Tx, Val};
use stdx::Day;

/// Tells each event's fate and records the new ones.
pub(super) fn pass(tx: &mut Tx<'_>, day: Day, events: &[DigestEvent]) -> Result<Vec<Fate>, StoreError> {
    let withdrawn = Withdrawn::of(tx, day)?;
    let mut fates = Vec::with_capacity(events.len());
    for event in events {
        let is_withdrawn = withdrawn.contains(tx, event.project_id, &event.event_id, event.received_at)?;
        fates.push(if is_withdrawn { Fate::Withdrawn } else { pass_one(tx, day, event)? });
    }
    Ok(fates)
}

/// Tells which events were counted on one of two days.
pub(super) fn seen_on(tx: &mut Tx<'_>, days: [Day; 2], events: &[&DigestEvent]) -> Result<Vec<bool>, StoreError> {
    let [one, other] = days;
    let seen =
        |event: &&DigestEvent| Ok(counted_on(tx, one, event)?.is_some() || counted_on(tx, other, event)?.is_some());
    events.iter().map(seen).collect()
}

/// Tells whether this very job was counted before.
pub(super) fn is_counted(tx: &mut Tx<'_>, day: Day, event: &DigestEvent) -> Result<bool, StoreError> {
    Ok(counted_on(tx, day, event)? == Some(Fate::AlreadyStored))
}

fn pass_one(tx: &mut Tx<'_>, day: Day, event: &DigestEvent) -> Result<Fate, StoreError> {
    if let Some(fate) = counted_on(tx, day.previous(), event)? {
        return Ok(fate);
    }
    if insert(tx, day, event)? {
        return Ok(Fate::Stored);
    }
    Ok(counted_on(tx, day, event)?.unwrap_or(Fate::Duplicate))
}

fn insert(tx: &mut Tx<'_>, day: Day, event: &DigestEvent) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO digested (day, project_id, event_id, received_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[
            Val::Int(day.0),
            Val::Int(event.project_id),
            Val::Blob(&event.event_id),
            Val::Int(event.received_at.micros()),
        ],
    )?;
    Ok(inserted == 1)
}

fn counted_on(tx: &mut Tx<'_>, day: Day, event: &DigestEvent) -> Result<Option<Fate>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT received_at FROM digested WHERE day = $1 AND project_id = $2 AND event_id = $3",
        &[Val::Int(day.0), Val::Int(event.project_id), Val::Blob(&event.event_id)],
    )?;
    Ok(row.map(
        |(received_at,)| {
            if received_at == event.received_at.micros() { Fate::AlreadyStored } else { Fate::Duplicate }
        },
    ))
}
