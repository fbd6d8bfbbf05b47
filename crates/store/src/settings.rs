//! Settings and facts by name, such as the public address the running web role recorded.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Returns a setting's value.
///
/// # Errors
/// If the database fails.
pub fn get(tx: &mut Tx<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = tx.query_opt("SELECT value FROM setting WHERE key = $1", &[Val::Text(key)])?;
    Ok(row.map(|(value,)| value))
}

/// Returns every setting whose key begins so.
///
/// # Errors
/// If the database fails.
pub fn with_prefix(tx: &mut Tx<'_>, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
    Ok(tx.query(
        "SELECT key, value FROM setting WHERE substr(key, 1, $2) = $1 ORDER BY key",
        &[Val::Text(prefix), Val::Int(prefix.len() as i64)],
    )?)
}

/// Deletes a setting, if its value is still this one.
///
/// # Errors
/// If the database fails.
pub fn delete_if(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM setting WHERE key = $1 AND value = $2", &[Val::Text(key), Val::Text(value)])?;
    Ok(())
}

/// Sets a value, whatever it was.
///
/// # Errors
/// If the database fails.
pub fn set(tx: &mut Tx<'_>, key: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO setting (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        &[Val::Text(key), Val::Text(value), Val::from(now)],
    )?;
    Ok(())
}
