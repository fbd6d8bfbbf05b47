//! The write path of the digest: the one metadata transaction that is an event's effect.
//!
//! `apply` is idempotent: the fence (`digested`) lets each event id through once within its day of receipt and the day
//! before, so a second run of a batch, by the same worker or another, changes nothing. It does not parse, group or read
//! a clock; what it needs is in the plan. It never touches event rows: they were written before (rows first, facts second).

mod aggregate;
mod counters;
mod fence;
mod issues;
mod remarks;
mod tags;
mod users;
mod withdrawal;

pub use aggregate::BatchTotals;
pub use tags::TAG_VALUES_MAX;
pub use withdrawal::{Withdrawal, drop_uncounted, withdraw};

use crate::StoreError;
use crate::issues::deletion;
use db::Tx;
use stdx::{Day, Timestamp};
use withdrawal::Withdrawn;

/// One event as the digest counts it. Plain data, made by the pipeline.
#[derive(Clone, Debug, Default)]
pub struct DigestEvent {
    pub org_id: i64,
    pub project_id: i64,
    pub key_id: i64,
    pub event_id: [u8; 16],
    pub received_at: Timestamp,
    /// The event's own time after normalisation.
    pub timestamp: Timestamp,
    pub group_key: i64,
    /// The whole grouping hash, hexadecimal.
    pub group_hash: String,
    /// The event's other hashes, in the order in which they are asked for an issue; they are kept for events to come.
    pub other_hashes: Vec<GroupHash>,
    /// Keys of the hashes by the configuration the project had before: asked last, and not kept.
    pub former_keys: Vec<i64>,
    pub kind: &'static str,
    pub title: String,
    pub culprit: String,
    /// JSON object with `type`, `value`, `filename`, `function`.
    pub metadata: String,
    pub platform: String,
    pub logger: String,
    pub level: &'static str,
    pub environment: String,
    pub release: Option<String>,
    pub is_unhandled: bool,
    pub user_hash: Option<i64>,
    pub tags: Vec<(String, String)>,
    pub attachments: Vec<DigestAttachment>,
    pub not_kept: Vec<NotKept>,
}

/// A hash that leads to an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHash {
    pub key: i64,
    /// 32 hexadecimal digits.
    pub hash: String,
}

/// An attachment whose bytes are already durable under `blob_key`.
#[derive(Clone, Debug)]
pub struct DigestAttachment {
    pub name: String,
    pub content_type: String,
    pub attachment_type: String,
    pub size_bytes: u64,
    pub blob_key: String,
}

/// Items of an accepted envelope that this release does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKept {
    pub category: &'static str,
    /// The item kind's name, shown in the receipt.
    pub reason: String,
    pub quantity: i64,
}

/// What travels in an envelope without an event: attachments for an event id, and items that are not kept.
#[derive(Clone, Debug)]
pub struct DigestLoose {
    pub project_id: i64,
    pub key_id: i64,
    pub event_id: [u8; 16],
    pub received_at: Timestamp,
    pub attachments: Vec<DigestAttachment>,
    pub not_kept: Vec<NotKept>,
    /// The event item was there but is refused after acceptance, with this reason.
    pub invalid: Option<String>,
}

/// What became of one event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Counted by this transaction.
    Stored,
    /// Counted before by an earlier run of the same job: nothing to do.
    AlreadyStored,
    /// Another event with this id was counted within the window.
    Duplicate,
    /// An operator took its job out of the queue, and it was accounted for then.
    Withdrawn,
}

/// What one `apply` did, for metrics and for the work that follows a stored change.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    pub fates: Vec<Fate>,
    pub issues_created: usize,
    pub issues_regressed: usize,
    /// Events stored by project, for dictionary training.
    pub stored_by_project: Vec<(i64, u64)>,
}

/// Counts the events of one receipt day that are new, and writes what follows from them, all in `tx`.
///
/// The caller has checked, in the same transaction, that `day` is open and of the generation its rows were written to.
///
/// # Errors
/// Any database error; nothing is counted then.
pub fn apply(tx: &mut Tx<'_>, day: Day, events: &[DigestEvent], now: Timestamp) -> Result<Applied, StoreError> {
    let fates = fence::pass(tx, day, events)?;
    let mut totals = BatchTotals::default();
    for (event, fate) in events.iter().zip(&fates) {
        match fate {
            Fate::Stored => totals.add(event),
            Fate::Duplicate => remarks::note_duplicate(tx, day, event, &mut totals)?,
            Fate::AlreadyStored | Fate::Withdrawn => {}
        }
    }
    let resolved = issues::resolve(tx, &totals, now)?;
    let regressed = issues::bump(tx, &totals, &resolved, now)?;
    counters::bump(tx, day, &totals, &resolved)?;
    users::bump(tx, &totals, &resolved)?;
    tags::bump(tx, &totals, &resolved)?;
    for (event, fate) in events.iter().zip(&fates) {
        if *fate == Fate::Stored {
            remarks::note_event(tx, day, event, &mut totals)?;
        }
    }
    let counted = events.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Stored).map(|(event, _)| event);
    deletion::keep(tx, day, counted)?;
    remarks::add_outcomes(tx, &totals)?;
    Ok(Applied {
        issues_created: resolved.created,
        issues_regressed: regressed,
        stored_by_project: totals.stored_by_project(),
        fates,
    })
}

/// Tells which events of a batch were counted under the same id on the day, or on the day before, or were withdrawn: their
/// rows are not written again, also where retention removed them since.
///
/// # Errors
/// Any database error.
pub fn counted_before(tx: &mut Tx<'_>, day: Day, events: &[&DigestEvent]) -> Result<Vec<bool>, StoreError> {
    let withdrawn = Withdrawn::of(tx, day)?;
    let mut seen = fence::seen_on(tx, [day, day.previous()], events)?;
    for (event, seen) in events.iter().zip(&mut seen) {
        *seen = *seen || withdrawn.contains(tx, event.project_id, &event.event_id, event.received_at)?;
    }
    Ok(seen)
}

/// Records events whose day was ended by retention before they were digested: they came too late to be stored.
///
/// # Errors
/// Any database error; nothing is written then.
pub fn apply_expired(tx: &mut Tx<'_>, day: Day, events: &[DigestEvent]) -> Result<(), StoreError> {
    let withdrawn = Withdrawn::of(tx, day)?;
    let mut totals = BatchTotals::default();
    for event in events {
        if withdrawn.contains(tx, event.project_id, &event.event_id, event.received_at)? {
            continue;
        }
        // A second run of a job whose event was counted before its day was ended: nothing to do.
        if !fence::is_counted(tx, day, event)? {
            remarks::note_expired(tx, day, event, &mut totals)?;
        }
    }
    remarks::add_outcomes(tx, &totals)
}

/// Writes what an envelope without an event leaves behind. Running it twice changes nothing more.
///
/// # Errors
/// Any database error; nothing is written then.
pub fn apply_loose(tx: &mut Tx<'_>, day: Day, loose: &[DigestLoose]) -> Result<(), StoreError> {
    let withdrawn = Withdrawn::of(tx, day)?;
    let mut totals = BatchTotals::default();
    for envelope in loose {
        if withdrawn.contains(tx, envelope.project_id, &envelope.event_id, envelope.received_at)? {
            continue;
        }
        remarks::note_loose(tx, day, envelope, &mut totals)?;
    }
    remarks::add_outcomes(tx, &totals)
}
