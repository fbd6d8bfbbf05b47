//! What is said about an accepted envelope beyond its event: attachments, items not kept, duplicates, and the outcome
//! counts by project, key and reason.

use super::aggregate::{BatchTotals, OutcomeKey};
use super::{DigestAttachment, DigestEvent, DigestLoose, NotKept};
use crate::StoreError;
use crate::outcomes::{self, OutcomeRow};
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// Whose envelope a remark is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub day: Day,
    pub project_id: i64,
    pub key_id: i64,
    pub event_id: &'a [u8; 16],
    pub received_at: Timestamp,
}

impl<'a> Subject<'a> {
    fn of_event(day: Day, event: &'a DigestEvent) -> Self {
        Subject {
            day,
            project_id: event.project_id,
            key_id: event.key_id,
            event_id: &event.event_id,
            received_at: event.received_at,
        }
    }

    fn outcome(&self, category: &'static str, outcome: &'static str, reason: &str) -> OutcomeKey {
        OutcomeKey {
            project_id: self.project_id,
            key_id: self.key_id,
            hour: self.received_at.hour(),
            category,
            outcome,
            reason: reason.to_owned(),
        }
    }
}

/// Records a stored event's companions and counts it as stored.
pub(super) fn note_event(
    tx: &mut Tx<'_>,
    day: Day,
    event: &DigestEvent,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    let subject = Subject::of_event(day, event);
    totals.add_outcome(subject.outcome("error", "accepted", ""), 1);
    totals.add_outcome(subject.outcome("error", "stored", ""), 1);
    note_companions(tx, subject, &event.attachments, &event.not_kept, totals)
}

/// Records that an id came again.
pub(super) fn note_duplicate(
    tx: &mut Tx<'_>,
    day: Day,
    event: &DigestEvent,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    note_unstored(tx, Subject::of_event(day, event), "duplicate", "event_id seen before", totals)
}

/// Records that an event came after its day had been ended.
pub(super) fn note_expired(
    tx: &mut Tx<'_>,
    day: Day,
    event: &DigestEvent,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    note_unstored(tx, Subject::of_event(day, event), "expired", "its day was ended by retention", totals)
}

/// Records that an operator took a job out of the queue. Told apart by the fence of withdrawals, so it is counted here
/// whatever the receipt says already.
pub(super) fn note_withdrawn(
    tx: &mut Tx<'_>,
    subject: Subject<'_>,
    reason: &str,
    is_event: bool,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    insert_receipt(tx, subject, "dead", reason, 1)?;
    if is_event {
        totals.add_outcome(subject.outcome("error", "accepted", ""), 1);
        totals.add_outcome(subject.outcome("error", "dead", reason), 1);
    }
    Ok(())
}

/// Whether a remark of this very job says that its event came to an end without being stored.
pub(super) fn has_ended(tx: &mut Tx<'_>, subject: Subject<'_>) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT 1 FROM receipt
         WHERE project_id = $1 AND event_id = $2 AND day = $3 AND at = $4
             AND state IN ('filtered', 'duplicate', 'expired')",
        &[
            Val::Int(subject.project_id),
            Val::Blob(subject.event_id),
            Val::from(subject.day),
            Val::Int(subject.received_at.micros()),
        ],
    )?;
    Ok(row.is_some())
}

/// An accepted event that is not stored. A second run of its job is told by its time and not counted twice.
fn note_unstored(
    tx: &mut Tx<'_>,
    subject: Subject<'_>,
    state: &'static str,
    reason: &str,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    if insert_receipt(tx, subject, state, reason, 1)? {
        totals.add_outcome(subject.outcome("error", "accepted", ""), 1);
        totals.add_outcome(subject.outcome("error", state, reason), 1);
    }
    Ok(())
}

/// Records an envelope without a usable event.
pub(super) fn note_loose(
    tx: &mut Tx<'_>,
    day: Day,
    envelope: &DigestLoose,
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    let subject = Subject {
        day,
        project_id: envelope.project_id,
        key_id: envelope.key_id,
        event_id: &envelope.event_id,
        received_at: envelope.received_at,
    };
    if let Some(reason) = &envelope.invalid {
        note_unstored(tx, subject, "filtered", reason, totals)?;
    }
    note_companions(tx, subject, &envelope.attachments, &envelope.not_kept, totals)
}

fn note_companions(
    tx: &mut Tx<'_>,
    subject: Subject<'_>,
    attachments: &[DigestAttachment],
    not_kept: &[NotKept],
    totals: &mut BatchTotals<'_>,
) -> Result<(), StoreError> {
    for attachment in attachments {
        if insert_attachment(tx, subject, attachment)? {
            totals.add_outcome(subject.outcome("attachment_item", "accepted", ""), 1);
            totals.add_outcome(subject.outcome("attachment_item", "stored", ""), 1);
        }
    }
    for item in not_kept {
        if insert_receipt(tx, subject, "not-kept", &item.reason, item.quantity)? {
            totals.add_outcome(subject.outcome(item.category, "accepted", ""), item.quantity);
            totals.add_outcome(subject.outcome(item.category, "not-kept", &item.reason), item.quantity);
        }
    }
    Ok(())
}

/// Adds to the receipt, unless the same job (told by its time) did so before. Returns whether it was added.
fn insert_receipt(
    tx: &mut Tx<'_>,
    subject: Subject<'_>,
    state: &str,
    reason: &str,
    quantity: i64,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "INSERT INTO receipt (day, project_id, event_id, state, reason, quantity, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (project_id, event_id, day, state, reason) DO UPDATE
         SET quantity = receipt.quantity + excluded.quantity, at = excluded.at
         WHERE receipt.at <> excluded.at",
        &[
            Val::Int(subject.day.0),
            Val::Int(subject.project_id),
            Val::Blob(subject.event_id),
            Val::Text(state),
            Val::Text(reason),
            Val::Int(quantity),
            Val::Int(subject.received_at.micros()),
        ],
    )?;
    Ok(changed == 1)
}

fn insert_attachment(tx: &mut Tx<'_>, subject: Subject<'_>, attachment: &DigestAttachment) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO attachment (day, project_id, event_id, name, content_type, attachment_type, size_bytes, blob_key,
                                 created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        &[
            Val::Int(subject.day.0),
            Val::Int(subject.project_id),
            Val::Blob(subject.event_id),
            Val::Text(&attachment.name),
            Val::Text(&attachment.content_type),
            Val::Text(&attachment.attachment_type),
            Val::Int(i64::try_from(attachment.size_bytes).unwrap_or(i64::MAX)),
            Val::Text(&attachment.blob_key),
            Val::Int(subject.received_at.micros()),
        ],
    )?;
    Ok(inserted == 1)
}

/// Adds the batch's outcomes to the hourly counts.
pub(super) fn add_outcomes(tx: &mut Tx<'_>, totals: &BatchTotals<'_>) -> Result<(), StoreError> {
    let row = |(key, quantity): (&OutcomeKey, &i64)| OutcomeRow {
        project_id: key.project_id,
        key_id: key.key_id,
        hour: key.hour,
        category: key.category.to_owned(),
        outcome: key.outcome.to_owned(),
        reason: key.reason.clone(),
        quantity: *quantity,
    };
    let rows: Vec<OutcomeRow> = totals.outcomes.iter().map(row).collect();
    outcomes::add(tx, &rows)
}
