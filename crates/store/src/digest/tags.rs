//! Tag values with counts, exact up to a bound for each issue and key; later values are summed in one `other` count,
//! so that the sums stay exact.

use super::aggregate::{BatchTotals, GroupTotals, Span};
use super::issues::Resolved;
use crate::StoreError;
use db::{Tx, Val};
use std::collections::BTreeMap;

/// Values kept for an issue and key: enough for every page and filter, small enough that a tag with a new value in each
/// event (request ids, users) cannot fill the disk.
pub const TAG_VALUES_MAX: i64 = 1_000;

pub(super) fn bump(tx: &mut Tx<'_>, totals: &BatchTotals<'_>, resolved: &Resolved) -> Result<(), StoreError> {
    for (group, sums) in &totals.groups {
        for (key, values) in by_key(sums) {
            for id in resolved.place_of(group).counter_ids() {
                bump_key(tx, id, key, &values)?;
            }
        }
    }
    Ok(())
}

fn by_key<'a>(sums: &'a GroupTotals<'_>) -> BTreeMap<&'a str, Vec<(&'a str, &'a Span)>> {
    let mut keys: BTreeMap<&str, Vec<(&str, &Span)>> = BTreeMap::new();
    for ((key, value), span) in &sums.tags {
        keys.entry(key).or_default().push((value, span));
    }
    keys
}

/// Adds the values of one key. A value is updated if it is kept already, inserted while there is room, else summed.
fn bump_key(tx: &mut Tx<'_>, issue_id: i64, key: &str, values: &[(&str, &Span)]) -> Result<(), StoreError> {
    let events: i64 = values.iter().map(|(_, span)| span.count).sum();
    let (mut value_count,): (i64,) = tx.query_one(
        "INSERT INTO issue_tag_key (issue_id, key, event_count, value_count) VALUES ($1, $2, $3, 0)
         ON CONFLICT (issue_id, key) DO UPDATE SET event_count = issue_tag_key.event_count + excluded.event_count
         RETURNING value_count",
        &[Val::Int(issue_id), Val::Text(key), Val::Int(events)],
    )?;
    let (mut added, mut other) = (0, 0);
    for (value, span) in values {
        if update_value(tx, issue_id, key, value, span)? {
            continue;
        }
        if value_count < TAG_VALUES_MAX {
            insert_value(tx, issue_id, key, value, span)?;
            value_count += 1;
            added += 1;
        } else {
            other += span.count;
        }
    }
    if added + other > 0 {
        tx.execute(
            "UPDATE issue_tag_key SET value_count = value_count + $3, other_count = other_count + $4
             WHERE issue_id = $1 AND key = $2",
            &[Val::Int(issue_id), Val::Text(key), Val::Int(added), Val::Int(other)],
        )?;
    }
    Ok(())
}

fn update_value(tx: &mut Tx<'_>, issue_id: i64, key: &str, value: &str, span: &Span) -> Result<bool, StoreError> {
    let updated = tx.execute(
        "UPDATE issue_tag
         SET event_count = event_count + $4, first_seen = MIN(first_seen, $5), last_seen = MAX(last_seen, $6)
         WHERE issue_id = $1 AND key = $2 AND value = $3",
        &[
            Val::Int(issue_id),
            Val::Text(key),
            Val::Text(value),
            Val::Int(span.count),
            Val::Int(span.first.micros()),
            Val::Int(span.last.micros()),
        ],
    )?;
    Ok(updated == 1)
}

fn insert_value(tx: &mut Tx<'_>, issue_id: i64, key: &str, value: &str, span: &Span) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_tag (issue_id, key, value, event_count, first_seen, last_seen)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            Val::Int(issue_id),
            Val::Text(key),
            Val::Text(value),
            Val::Int(span.count),
            Val::Int(span.first.micros()),
            Val::Int(span.last.micros()),
        ],
    )?;
    Ok(())
}
