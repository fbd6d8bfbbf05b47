//! Vigie's own metrics as time series: what grew in each hour. Every process adds what it recorded itself, so the sums are
//! those of the installation.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Hour;

/// Rows of one answer: what is declared stays below for the month that retention leaves.
const ROWS_MAX: i64 = 100_000;

/// How much one series grew in an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct HourRow {
    pub hour: Hour,
    /// `name{label="value"}`
    pub series: String,
    pub count: i64,
    /// Of a histogram's samples, in its unit; else 0.
    pub sum: f64,
}

/// Adds what grew.
///
/// # Errors
/// If the database fails; nothing is added then.
pub fn add(tx: &mut Tx<'_>, rows: &[HourRow]) -> Result<(), StoreError> {
    for row in rows {
        tx.execute(
            "INSERT INTO internal_hour (hour, series, count, sum)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (hour, series) DO UPDATE
             SET count = internal_hour.count + excluded.count, sum = internal_hour.sum + excluded.sum",
            &[Val::from(row.hour), Val::from(row.series.as_str()), Val::Int(row.count), Val::Real(row.sum)],
        )?;
    }
    Ok(())
}

/// Returns what grew since `since`, by hour and series.
///
/// # Errors
/// If the database fails.
pub fn since(tx: &mut Tx<'_>, since: Hour) -> Result<Vec<HourRow>, StoreError> {
    let rows: Vec<(i64, String, i64, f64)> = tx.query(
        "SELECT hour, series, count, sum FROM internal_hour
         WHERE hour >= $1 ORDER BY hour, series LIMIT $2",
        &[Val::from(since), Val::Int(ROWS_MAX)],
    )?;
    let row = |(hour, series, count, sum)| HourRow { hour: Hour(hour), series, count, sum };
    Ok(rows.into_iter().map(row).collect())
}
