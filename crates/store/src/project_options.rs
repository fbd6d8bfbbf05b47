//! What a project has set, by name; each value is JSON that its reader understands. A missing one means its defaults.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Name of the settings of scrubbing.
pub const SCRUBBING: &str = "scrubbing";
/// Name of the settings of inbound filters.
pub const FILTERS: &str = "filters";
/// Name of the settings of grouping.
pub const GROUPING: &str = "grouping";

/// Returns all that a project has set, by name.
///
/// # Errors
/// If the database fails.
pub fn all(tx: &mut Tx<'_>, project_id: i64) -> Result<Vec<(String, String)>, StoreError> {
    Ok(tx
        .query("SELECT name, value FROM project_option WHERE project_id = $1 ORDER BY name", &[Val::Int(project_id)])?)
}

/// Sets a value, whatever it was.
///
/// # Errors
/// If the database fails or there is no such project.
pub fn set(tx: &mut Tx<'_>, project_id: i64, name: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO project_option (project_id, name, value, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        &[Val::Int(project_id), Val::Text(name), Val::Text(value), Val::from(now)],
    )?;
    Ok(())
}
