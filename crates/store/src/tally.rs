//! What a sweep has removed so far, noted in the transactions in which it goes: exact whoever is killed. A sweep's rows
//! live until they are in its report.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};

/// Where a sum stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub sweep: i64,
    /// A unit of work, by its name.
    pub unit: &'a str,
    pub model: &'a str,
    /// 0 = of no project.
    pub project_id: i64,
}

/// What went of a model and a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub model: String,
    pub project_id: i64,
    pub rows: u64,
    pub bytes: u64,
}

impl FromRow for Sum {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        let (rows, bytes): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(Sum { model: row.get(0)?, project_id: row.get(1)?, rows: rows.unsigned_abs(), bytes: bytes.unsigned_abs() })
    }
}

/// Returns how many rows went in this place.
///
/// # Errors
/// If the database fails; so for all of this file.
pub fn rows_of(tx: &mut Tx<'_>, place: &Place<'_>) -> Result<u64, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT row_count FROM retention_tally
         WHERE sweep_id = $1 AND unit = $2 AND model = $3 AND project_id = $4",
        &[Val::Int(place.sweep), Val::Text(place.unit), Val::Text(place.model), Val::Int(place.project_id)],
    )?;
    Ok(row.map_or(0, |(rows,)| rows.unsigned_abs()))
}

/// Adds to what went in this place.
///
/// # Errors
/// If the database fails.
pub fn add(tx: &mut Tx<'_>, place: &Place<'_>, rows: u64, bytes: u64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO retention_tally (sweep_id, unit, model, project_id, row_count, byte_count)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (sweep_id, unit, model, project_id) DO UPDATE
         SET row_count = retention_tally.row_count + excluded.row_count,
             byte_count = retention_tally.byte_count + excluded.byte_count",
        &[
            Val::Int(place.sweep),
            Val::Text(place.unit),
            Val::Text(place.model),
            Val::Int(place.project_id),
            Val::Int(rows as i64),
            Val::Int(bytes as i64),
        ],
    )?;
    Ok(())
}

/// Returns what a sweep has removed and not reported yet, by model and project.
///
/// # Errors
/// If the database fails.
pub fn of_sweep(tx: &mut Tx<'_>, sweep: i64) -> Result<Vec<Sum>, StoreError> {
    Ok(tx.query(
        "SELECT model, project_id, SUM(row_count), SUM(byte_count) FROM retention_tally
         WHERE sweep_id = $1 GROUP BY model, project_id ORDER BY model, project_id",
        &[Val::Int(sweep)],
    )?)
}

/// Forgets what a sweep has removed: it is in its report.
///
/// # Errors
/// If the database fails.
pub fn forget(tx: &mut Tx<'_>, sweep: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM retention_tally WHERE sweep_id = $1", &[Val::Int(sweep)])?;
    Ok(())
}
