//! Runtime options: what people set while Vigie runs. Only values stand here; which options there are, what they take and
//! whether a file overrules them is the binary's to know.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

/// An option that is set, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionRow {
    pub name: String,
    pub value: String,
    pub changed_at: Timestamp,
    /// An email, or `system`.
    pub changed_by: String,
    /// `cli`, `api` or `page`.
    pub channel: String,
}

impl FromRow for OptionRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(OptionRow {
            name: row.get(0)?,
            value: row.get(1)?,
            changed_at: row.get(2)?,
            changed_by: row.get(3)?,
            channel: row.get(4)?,
        })
    }
}

/// Returns every option that is set, by name.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<OptionRow>, StoreError> {
    let sql = "SELECT name, value, changed_at, changed_by, channel FROM runtime_option ORDER BY name";
    Ok(tx.query(sql, &[])?)
}

/// Sets an option, whatever it was.
///
/// # Errors
/// If the database fails.
pub fn set(tx: &mut Tx<'_>, row: &OptionRow) -> Result<(), StoreError> {
    let OptionRow { name, value, changed_at, changed_by, channel } = row;
    tx.execute(
        "INSERT INTO runtime_option (name, value, changed_at, changed_by, channel) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at,
             changed_by = excluded.changed_by, channel = excluded.channel",
        &[Val::Text(name), Val::Text(value), Val::from(*changed_at), Val::Text(changed_by), Val::Text(channel)],
    )?;
    Ok(())
}

/// Unsets an option. Returns whether it was set.
///
/// # Errors
/// If the database fails.
pub fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM runtime_option WHERE name = $1", &[Val::Text(name)])? > 0)
}
