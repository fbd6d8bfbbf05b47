//! Issues that were somebody else's: made without events, so that hashes which led to them there lead to them here.

use crate::StoreError;
use crate::issues::strands;
use db::{Tx, Val};
use stdx::Timestamp;

/// A hash with the issue it leads to, as another tracker knew both.
#[derive(Clone, Debug, Default)]
pub struct ImportRow {
    pub group_key: i64,
    /// 32 hexadecimal digits.
    pub hash: String,
    /// The issue's name there; rows of one issue have the same.
    pub source: String,
    pub short_no: Option<i64>,
    pub title: String,
    pub culprit: String,
    pub platform: String,
    pub logger: String,
    pub level: &'static str,
    pub status: &'static str,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// Its events there: told in the history, counted nowhere.
    pub times_seen: i64,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    pub issues_created: usize,
    pub hashes_linked: usize,
    /// Hashes that led to an issue already; they stay.
    pub hashes_known: usize,
}

/// Links hashes to issues, making those that are new. The same rows again change nothing.
///
/// # Errors
/// Any database error; nothing is changed then.
pub fn link(
    tx: &mut Tx<'_>,
    (org_id, project_id): (i64, i64),
    rows: &[ImportRow],
    now: Timestamp,
) -> Result<Imported, StoreError> {
    let mut imported = Imported::default();
    for row in rows {
        if super::id_by_group(tx, project_id, row.group_key)?.is_some() {
            imported.hashes_known += 1;
            continue;
        }
        let issue_id = match imported_before(tx, project_id, &row.source)? {
            Some(issue_id) => issue_id,
            None => {
                imported.issues_created += 1;
                create(tx, (org_id, project_id), row, now)?
            }
        };
        strands::lead(tx, project_id, (row.group_key, &row.hash), issue_id, now)?;
        imported.hashes_linked += 1;
    }
    Ok(imported)
}

/// The issue a former row made, or what it was merged into since.
fn imported_before(tx: &mut Tx<'_>, project_id: i64, source: &str) -> Result<Option<i64>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT issue_id FROM issue_import WHERE project_id = $1 AND source = $2",
        &[Val::Int(project_id), Val::Text(source)],
    )?;
    let Some((issue_id,)) = row else { return Ok(None) };
    match super::row(tx, issue_id)? {
        Some(issue) => Ok(Some(issue.id)),
        None => strands::issue_of(tx, issue_id),
    }
}

fn create(
    tx: &mut Tx<'_>,
    (org_id, project_id): (i64, i64),
    row: &ImportRow,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let short_no = short_no(tx, project_id, row.short_no)?;
    let substatus = match row.status {
        "resolved" => "resolved",
        "ignored" => "archived",
        _ => "ongoing",
    };
    let metadata = format!("{{\"title\":{}}}", json_text(&row.title));
    let last_seen = row.last_seen.or(row.first_seen).unwrap_or(now);
    let first_seen = row.first_seen.unwrap_or(last_seen).min(last_seen);
    let (issue_id,): (i64,) = tx.query_one(
        "INSERT INTO issue (org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level, status,
                            substatus, status_at, first_seen, last_seen, event_count, user_count)
         VALUES ($1, $2, $3, 'default', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0)
         RETURNING id",
        &[
            Val::Int(org_id),
            Val::Int(project_id),
            Val::Int(short_no),
            Val::Text(&row.title),
            Val::Text(&row.culprit),
            Val::Text(&metadata),
            Val::Text(&row.platform),
            Val::Text(&row.logger),
            Val::Text(row.level),
            Val::Text(row.status),
            Val::Text(substatus),
            Val::from(now),
            Val::from(first_seen),
            Val::from(last_seen),
        ],
    )?;
    remember(tx, project_id, row, issue_id, now)?;
    Ok(issue_id)
}

/// The number it had, if it is free; numbers that are given out later begin after it.
fn short_no(tx: &mut Tx<'_>, project_id: i64, wanted: Option<i64>) -> Result<i64, StoreError> {
    if let Some(wanted) = wanted {
        let taken: Option<(i64,)> = tx.query_opt(
            "SELECT 1 FROM issue WHERE project_id = $1 AND short_no = $2
             UNION ALL SELECT 1 FROM issue_strand WHERE project_id = $1 AND short_no = $2 LIMIT 1",
            &[Val::Int(project_id), Val::Int(wanted)],
        )?;
        if taken.is_none() {
            tx.execute(
                "UPDATE project SET next_short_no = MAX(next_short_no, $2 + 1) WHERE id = $1",
                &[Val::Int(project_id), Val::Int(wanted)],
            )?;
            return Ok(wanted);
        }
    }
    let (number,): (i64,) = tx.query_one(
        "UPDATE project SET next_short_no = next_short_no + 1 WHERE id = $1 RETURNING next_short_no - 1",
        &[Val::Int(project_id)],
    )?;
    Ok(number)
}

fn remember(
    tx: &mut Tx<'_>,
    project_id: i64,
    row: &ImportRow,
    issue_id: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_import (project_id, source, issue_id, imported_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, source) DO UPDATE SET issue_id = excluded.issue_id, imported_at = excluded.imported_at",
        &[Val::Int(project_id), Val::Text(&row.source), Val::Int(issue_id), Val::from(now)],
    )?;
    let data = format!("{{\"version\":1,\"source\":{},\"times_seen\":{}}}", json_text(&row.source), row.times_seen);
    tx.execute(
        "INSERT INTO issue_activity (issue_id, kind, data, at) VALUES ($1, 'import', $2, $3)",
        &[Val::Int(issue_id), Val::Text(&data), Val::from(now)],
    )?;
    Ok(())
}

/// A text as JSON. What JSON forbids in one is left out: control characters say nothing in a title.
fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
