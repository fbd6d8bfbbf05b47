//! The audit log: who changed what. Entries are written in the change's own transaction and never changed.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub at: Timestamp,
    /// An email, or `system:<task>`.
    pub actor: String,
    pub actor_id: Option<i64>,
    /// page, api, cli or task
    pub channel: String,
    pub request_id: String,
    /// `None` = the installation.
    pub org_id: Option<i64>,
    pub action: String,
    pub target: String,
    pub detail: String,
}

impl FromRow for AuditRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(AuditRow {
            id: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            actor_id: row.get(3)?,
            channel: row.get(4)?,
            request_id: row.get(5)?,
            org_id: row.get(6)?,
            action: row.get(7)?,
            target: row.get(8)?,
            detail: row.get(9)?,
        })
    }
}

/// An entry to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    pub actor: &'a str,
    pub actor_id: Option<i64>,
    pub channel: &'a str,
    pub request_id: &'a str,
    pub org_id: Option<i64>,
    pub action: &'a str,
    pub target: &'a str,
    pub detail: &'a str,
}

/// # Errors
/// If the database fails.
pub fn insert(tx: &mut Tx<'_>, new: &NewEntry<'_>, now: Timestamp) -> Result<(), StoreError> {
    let NewEntry { actor, actor_id, channel, request_id, org_id, action, target, detail } = *new;
    tx.execute(
        "INSERT INTO audit_entry (at, actor, actor_id, channel, request_id, org_id, action, target, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            Val::from(now),
            Val::Text(actor),
            Val::from(actor_id),
            Val::Text(channel),
            Val::Text(request_id),
            Val::from(org_id),
            Val::Text(action),
            Val::Text(target),
            Val::Text(detail),
        ],
    )?;
    Ok(())
}

/// Where a page of the log begins and which way it is read.
#[derive(Clone, Copy, Debug)]
pub struct ListQuery {
    /// `None` = all organizations and the installation.
    pub org_id: Option<i64>,
    /// Entries older than this id, or from this id on where `backwards`.
    pub bound: Option<i64>,
    /// Towards newer entries: they come oldest first.
    pub backwards: bool,
    pub limit: usize,
}

/// Returns entries, the newest first unless read backwards.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, query: ListQuery) -> Result<Vec<AuditRow>, StoreError> {
    let ListQuery { org_id, bound, backwards, limit } = query;
    let order = if backwards { "id > $1 ORDER BY id" } else { "id < $1 ORDER BY id DESC" };
    let bound = bound.unwrap_or(if backwards { 0 } else { i64::MAX });
    // Two texts, so that each can follow its index: by number, or by organization and number.
    let of_org = if org_id.is_some() { "org_id = $3 AND " } else { "" };
    let sql = format!(
        "SELECT id, at, actor, actor_id, channel, request_id, org_id, action, target, detail
         FROM audit_entry WHERE {of_org}{order} LIMIT $2"
    );
    let limit = Val::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    match org_id {
        Some(org_id) => Ok(tx.query(&sql, &[Val::Int(bound), limit, Val::Int(org_id)])?),
        None => Ok(tx.query(&sql, &[Val::Int(bound), limit])?),
    }
}
