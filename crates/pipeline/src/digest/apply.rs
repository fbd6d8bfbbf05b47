//! Writes a planned batch of one day: rows first, facts second. Nothing here is decided by what this process remembers.

use super::batch::{Batch, Body};
use super::{DigestError, grouping};
use crate::metrics;
use std::time::Instant;
use stdx::{Day, Timestamp};
use store::days::{self, OpenDay};
use store::digest::{self, Applied, DigestEvent, Fate};
use store::events::EventRow;
use store::{StoreError, Stores, spent_bodies};

/// A day that is ended and goes on in its next generation under a batch takes one more try each time; it does so once a
/// sweep, and only where somebody asked for today's events to go.
const GENERATIONS_MAX: usize = 3;

/// Applies the plans of one receipt day: all of them or, on an error, none; rows that were written count for nothing
/// then.
///
/// # Errors
/// If a store cannot be written. A day that retention ended, before or meanwhile, is not an error: its events expire.
pub fn apply(stores: &Stores, now: Timestamp, day: Day, batch: &mut Batch) -> Result<Applied, DigestError> {
    apply_batch(stores, now, day, batch).map_err(|source| DigestError::Store { day, source })
}

fn apply_batch(stores: &Stores, now: Timestamp, day: Day, batch: &mut Batch) -> Result<Applied, StoreError> {
    for _ in 0..GENERATIONS_MAX {
        let Some(open) = stores.db.write_blocking(|tx| days::open_or_create(tx, day, now))? else {
            return expire(stores, day, batch, now);
        };
        match write(stores, &open, batch, now) {
            // Its files are gone, or are ones that this batch made again.
            Err(StoreError::DayEnded) => stores.events.drop_day(&open).map(|_freed| ())?,
            done => return done,
        }
    }
    Err(StoreError::DayEnded)
}

/// Rows first, facts second.
fn write(stores: &Stores, day: &OpenDay, batch: &mut Batch, now: Timestamp) -> Result<Applied, StoreError> {
    let started = Instant::now();
    insert_rows(stores, day, batch)?;
    metrics::record_stage("rows", started.elapsed());
    let started = Instant::now();
    let applied = apply_facts(stores, day, batch, now)?;
    metrics::record_stage("facts", started.elapsed());
    drop_withdrawn(stores, day, batch, &applied)?;
    count_fates(&applied);
    Ok(applied)
}

/// The day is gone: what came for it is recorded as expired.
fn expire(stores: &Stores, day: Day, batch: &Batch, now: Timestamp) -> Result<Applied, StoreError> {
    stores.db.write_blocking(|tx| {
        digest::apply_expired(tx, day, &batch.events)?;
        spent_bodies::discard(tx, day, &batch.body_blobs(), now)
    })?;
    metrics::count_events("expired", batch.events.len());
    Ok(Applied::default())
}

/// An id that was counted before is a duplicate, or a job that ran before: it gets no row, or lists would show what was
/// never counted, and what retention removed would come back. Rows that are there already were written by an earlier run
/// of the same job, which died before the facts.
fn insert_rows(stores: &Stores, day: &OpenDay, batch: &mut Batch) -> Result<(), StoreError> {
    if batch.events.is_empty() {
        return Ok(());
    }
    let digests: Vec<&DigestEvent> = batch.events.iter().collect();
    let seen = stores.db.read_blocking(|tx| digest::counted_before(tx, day.day, &digests))?;
    let places: Vec<usize> = (0..seen.len()).filter(|place| !seen[*place]).collect();
    let rows: Vec<EventRow<'_>> = places.iter().map(|at| row_of(&batch.events[*at], &batch.rows[*at])).collect();
    let is_new = stores.events.insert(day, &rows)?;
    for (place, _) in places.into_iter().zip(is_new).filter(|(_, is_new)| !is_new) {
        group_as_stored(stores, day, &mut batch.events[place])?;
    }
    Ok(())
}

/// The row is what pages find an event by: where an earlier run wrote it, and the project's rules were changed since, the
/// event is counted in the group that the row names.
fn group_as_stored(stores: &Stores, day: &OpenDay, event: &mut DigestEvent) -> Result<(), StoreError> {
    let Some(row) = stores.events.get(day, event.project_id, &event.event_id)? else { return Ok(()) };
    if row.group_key == event.group_key {
        return Ok(());
    }
    let recorded = grouping::recorded(&stores.body(&row)?).into_iter();
    let (primary, others): (Vec<_>, Vec<_>) = recorded.partition(|hash| hash.key == row.group_key);
    event.group_key = row.group_key;
    // A row of an earlier release does not say the rest of its hash.
    event.group_hash = primary.into_iter().next().map_or_else(|| format!("{:016x}", row.group_key), |hash| hash.hash);
    event.other_hashes = others;
    event.former_keys.clear();
    Ok(())
}

fn row_of<'a>(event: &DigestEvent, body: &'a Body) -> EventRow<'a> {
    EventRow {
        project_id: event.project_id,
        event_id: event.event_id,
        group_key: event.group_key,
        received_at: event.received_at,
        dictionary_id: body.dictionary_id,
        body: &body.bytes,
    }
}

/// The one transaction that is the batch's effect.
fn apply_facts(stores: &Stores, day: &OpenDay, batch: &Batch, now: Timestamp) -> Result<Applied, StoreError> {
    stores.db.write_blocking(|tx| {
        if !days::is_current(tx, day)? {
            return Err(StoreError::DayEnded);
        }
        for attachment in batch.attachments() {
            stores.blobs.confirm(&attachment.blob_key)?;
        }
        let applied = digest::apply(tx, day.day, &batch.events, now)?;
        digest::apply_loose(tx, day.day, &batch.loose)?;
        // They are of no use once their content is in the stores, and hold what was scrubbed from it.
        spent_bodies::discard(tx, day.day, &batch.body_blobs(), now)?;
        Ok(applied)
    })
}

/// Rows of jobs that an operator took out of the queue while this run wrote them: nothing counts them.
fn drop_withdrawn(stores: &Stores, day: &OpenDay, batch: &Batch, applied: &Applied) -> Result<(), StoreError> {
    let fates = batch.events.iter().zip(&applied.fates);
    let withdrawn = fates.filter(|(_, fate)| **fate == Fate::Withdrawn);
    let ids: Vec<(i64, [u8; 16])> = withdrawn.map(|(event, _)| (event.project_id, event.event_id)).collect();
    digest::drop_uncounted(stores, day.day, &ids)
}

fn count_fates(applied: &Applied) {
    let names = [
        (Fate::Stored, "stored"),
        (Fate::AlreadyStored, "already-stored"),
        (Fate::Duplicate, "duplicate"),
        (Fate::Withdrawn, "withdrawn"),
    ];
    for (fate, name) in names {
        let count = applied.fates.iter().filter(|found| **found == fate).count();
        if count > 0 {
            metrics::count_events(name, count);
        }
    }
}
