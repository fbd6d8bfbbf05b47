//! Permissions that people hold beyond being superusers, by name. Which names mean anything is not decided here.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Returns the names a person holds, sorted.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, user_id: i64) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx
        .query("SELECT permission FROM user_permission WHERE user_id = $1 ORDER BY permission", &[Val::Int(user_id)])?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Gives a permission. Returns whether the person did not hold it before.
///
/// # Errors
/// If the database fails.
pub fn add(tx: &mut Tx<'_>, user_id: i64, permission: &str, now: Timestamp) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO user_permission (user_id, permission, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[Val::Int(user_id), Val::Text(permission), Val::from(now)],
    )?;
    Ok(added == 1)
}

/// Takes a permission away. Returns whether the person held it.
///
/// # Errors
/// If the database fails.
pub fn remove(tx: &mut Tx<'_>, user_id: i64, permission: &str) -> Result<bool, StoreError> {
    let removed = tx.execute(
        "DELETE FROM user_permission WHERE user_id = $1 AND permission = $2",
        &[Val::Int(user_id), Val::Text(permission)],
    )?;
    Ok(removed == 1)
}

/// Takes everything away that a person holds.
///
/// # Errors
/// If the database fails.
pub fn remove_all(tx: &mut Tx<'_>, user_id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM user_permission WHERE user_id = $1", &[Val::Int(user_id)])?;
    Ok(())
}
