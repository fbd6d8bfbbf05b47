//! Writes a planned batch of one day: rows first, facts second. Nothing here is decided by what this process remembers.

use super::DigestError;
use super::plan::{Plan, Planned, PlannedEvent};
use crate::metrics;
use crate::tasks::discard_blobs;
use std::time::Instant;
use stdx::{Day, Timestamp};
use store::days::{self, OpenDay};
use store::digest::{self, Applied, DigestEvent, DigestLoose, Fate};
use store::events::EventRow;
use store::{StoreError, Stores};

/// Applies the plans of one receipt day.
///
/// # Errors
/// If a store cannot be written. A day that retention ended, before or meanwhile, is not an error: its events expire.
pub fn apply(stores: &Stores, now: Timestamp, day: Day, plans: Vec<Planned>) -> Result<Applied, DigestError> {
    let failed = |source| DigestError::Store { day, source };
    let (mut events, mut loose, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for Planned { plan, body_blob } in plans {
        bodies.extend(body_blob);
        match plan {
            Plan::Event(event) => events.push(*event),
            Plan::Loose(envelope) => loose.push(*envelope),
        }
    }
    let open = stores.db.write_blocking(|tx| days::open_or_create(tx, day, now)).map_err(failed)?;
    let Some(open) = open else {
        return expire(stores, day, &facts_of(events), &bodies, now).map_err(failed);
    };
    let started = Instant::now();
    let written = insert_rows(stores, &open, &events);
    metrics::record_stage("rows", started.elapsed());
    let started = Instant::now();
    let digests = facts_of(events);
    let applied = match written
        .and_then(|()| apply_facts(stores, &open, &Facts { events: &digests, loose: &loose, bodies: &bodies }, now))
    {
        Ok(applied) => applied,
        Err(StoreError::DayEnded) => return expire(stores, day, &digests, &bodies, now).map_err(failed),
        Err(source) => return Err(failed(source)),
    };
    metrics::record_stage("facts", started.elapsed());
    count_fates(&applied);
    Ok(applied)
}

/// The day is gone: what came for it is recorded as expired.
fn expire(
    stores: &Stores,
    day: Day,
    events: &[DigestEvent],
    bodies: &[String],
    now: Timestamp,
) -> Result<Applied, StoreError> {
    stores.db.write_blocking(|tx| {
        digest::apply_expired(tx, day, events)?;
        discard_bodies(tx, bodies, now)
    })?;
    metrics::count_events("expired", events.len());
    Ok(Applied::default())
}

/// An id that was counted on the day before is a duplicate: it gets no row, or lists would show what was never counted.
/// Rows that are there already were written by an earlier run of the same job, which died before the facts.
fn insert_rows(stores: &Stores, day: &OpenDay, events: &[PlannedEvent]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let digests: Vec<&DigestEvent> = events.iter().map(|event| &event.digest).collect();
    let seen = stores.db.read_blocking(|tx| digest::seen_the_day_before(tx, day.day, &digests))?;
    let new = events.iter().zip(seen).filter(|(_, seen)| !seen);
    let rows: Vec<EventRow<'_>> = new.map(|(event, _)| row_of(event)).collect();
    stores.events.insert(day, &rows).map(|_new| ())
}

fn facts_of(events: Vec<PlannedEvent>) -> Vec<DigestEvent> {
    events.into_iter().map(|event| event.digest).collect()
}

fn row_of(event: &PlannedEvent) -> EventRow<'_> {
    EventRow {
        project_id: event.digest.project_id,
        event_id: event.digest.event_id,
        group_key: event.digest.group_key,
        received_at: event.digest.received_at,
        dictionary_id: event.dictionary_id,
        body: &event.body,
    }
}

/// What a batch is in the metadata.
struct Facts<'a> {
    events: &'a [DigestEvent],
    loose: &'a [DigestLoose],
    bodies: &'a [String],
}

/// The one transaction that is the batch's effect.
fn apply_facts(stores: &Stores, day: &OpenDay, facts: &Facts<'_>, now: Timestamp) -> Result<Applied, StoreError> {
    stores.db.write_blocking(|tx| {
        if !days::is_current(tx, day)? {
            return Err(StoreError::DayEnded);
        }
        let applied = digest::apply(tx, day.day, facts.events, now)?;
        digest::apply_loose(tx, day.day, facts.loose)?;
        discard_bodies(tx, facts.bodies, now)?;
        Ok(applied)
    })
}

/// Bodies that came as blobs are of no use once their content is in the stores.
fn discard_bodies(tx: &mut db::Tx<'_>, bodies: &[String], now: Timestamp) -> Result<(), StoreError> {
    if bodies.is_empty() {
        return Ok(());
    }
    store::outbox::add(tx, discard_blobs::NAME, &discard_blobs::payload(bodies), now)
}

fn count_fates(applied: &Applied) {
    for (fate, name) in
        [(Fate::Stored, "stored"), (Fate::AlreadyStored, "already-stored"), (Fate::Duplicate, "duplicate")]
    {
        let count = applied.fates.iter().filter(|found| **found == fate).count();
        if count > 0 {
            metrics::count_events(name, count);
        }
    }
}
