//! Client keys (DSNs) of projects.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: i64,
    pub org_id: i64,
    pub project_id: i64,
    pub public_key: String,
    pub secret_key: String,
    pub label: String,
    pub is_active: bool,
    pub created_at: Timestamp,
}

impl FromRow for KeyRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(KeyRow {
            id: row.get(0)?,
            org_id: row.get(1)?,
            project_id: row.get(2)?,
            public_key: row.get(3)?,
            secret_key: row.get(4)?,
            label: row.get(5)?,
            is_active: row.get::<String>(6)? == "active",
            created_at: row.get(7)?,
        })
    }
}

/// What ingest must know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    pub key_id: i64,
    pub org_id: i64,
    pub project_id: i64,
    pub public_key: String,
    /// The key and its project are active.
    pub is_active: bool,
}

/// Returns a project's keys, oldest first.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, project_id: i64) -> Result<Vec<KeyRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, org_id, project_id, public_key, secret_key, label, status, created_at
         FROM project_key WHERE project_id = $1 ORDER BY id",
        &[Val::Int(project_id)],
    )?)
}

/// Creates a key with fresh random texts.
///
/// # Errors
/// If the database fails.
pub fn create(
    tx: &mut Tx<'_>,
    org_id: i64,
    project_id: i64,
    label: &str,
    now: Timestamp,
) -> Result<KeyRow, StoreError> {
    let (public_key, secret_key) = (stdx::random::hex::<16>(), stdx::random::hex::<16>());
    Ok(tx.query_one(
        "INSERT INTO project_key (org_id, project_id, public_key, secret_key, label, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id, org_id, project_id, public_key, secret_key, label, status, created_at",
        &[
            Val::Int(org_id),
            Val::Int(project_id),
            Val::Text(&public_key),
            Val::Text(&secret_key),
            Val::Text(label),
            Val::from(now),
        ],
    )?)
}

/// Changes a key's label and state. Returns whether there is such a key in the project.
///
/// # Errors
/// If the database fails.
pub fn update(tx: &mut Tx<'_>, project_id: i64, id: i64, label: &str, is_active: bool) -> Result<bool, StoreError> {
    let status = if is_active { "active" } else { "disabled" };
    let changed = tx.execute(
        "UPDATE project_key SET label = $3, status = $4 WHERE id = $1 AND project_id = $2",
        &[Val::Int(id), Val::Int(project_id), Val::Text(label), Val::Text(status)],
    )?;
    Ok(changed == 1)
}

/// Deletes a key. Returns whether there was one.
///
/// # Errors
/// If the database fails.
pub fn delete(tx: &mut Tx<'_>, project_id: i64, id: i64) -> Result<bool, StoreError> {
    let deleted =
        tx.execute("DELETE FROM project_key WHERE id = $1 AND project_id = $2", &[Val::Int(id), Val::Int(project_id)])?;
    Ok(deleted == 1)
}

/// Returns one key with its project's state.
///
/// # Errors
/// If the database fails.
pub fn find(tx: &mut Tx<'_>, public_key: &str) -> Result<Option<SnapshotRow>, StoreError> {
    let row: Option<(i64, i64, i64, bool)> = tx.query_opt(
        "SELECT k.id, k.org_id, k.project_id,
                CASE WHEN k.status = 'active' AND p.status = 'active' THEN 1 ELSE 0 END
         FROM project_key k JOIN project p ON p.id = k.project_id WHERE k.public_key = $1",
        &[Val::Text(public_key)],
    )?;
    Ok(row.map(|(key_id, org_id, project_id, is_active)| SnapshotRow {
        key_id,
        org_id,
        project_id,
        public_key: public_key.to_owned(),
        is_active,
    }))
}

/// Returns every key with its project's state.
///
/// # Errors
/// If the database fails.
pub fn snapshot(tx: &mut Tx<'_>) -> Result<Vec<SnapshotRow>, StoreError> {
    let rows: Vec<(i64, i64, i64, String, bool)> = tx.query(
        "SELECT k.id, k.org_id, k.project_id, k.public_key,
                CASE WHEN k.status = 'active' AND p.status = 'active' THEN 1 ELSE 0 END
         FROM project_key k JOIN project p ON p.id = k.project_id",
        &[],
    )?;
    let row = |(key_id, org_id, project_id, public_key, is_active)| SnapshotRow {
        key_id,
        org_id,
        project_id,
        public_key,
        is_active,
    };
    Ok(rows.into_iter().map(row).collect())
}
