//! Hourly counts of what became of items, by project, key, category and reason.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Hour;

/// One count. Ids are 0 where the project or key was not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRow {
    pub project_id: i64,
    pub key_id: i64,
    pub hour: Hour,
    pub category: String,
    pub outcome: String,
    pub reason: String,
    pub quantity: i64,
}

/// Adds counts to what is there.
///
/// # Errors
/// If the database fails; nothing is added then.
pub fn add(tx: &mut Tx<'_>, rows: &[OutcomeRow]) -> Result<(), StoreError> {
    for row in rows {
        tx.execute(
            "INSERT INTO outcome_hour (project_id, key_id, hour, category, outcome, reason, quantity)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (project_id, hour, key_id, category, outcome, reason)
             DO UPDATE SET quantity = outcome_hour.quantity + excluded.quantity",
            &[
                Val::Int(row.project_id),
                Val::Int(row.key_id),
                Val::from(row.hour),
                Val::Text(&row.category),
                Val::Text(&row.outcome),
                Val::Text(&row.reason),
                Val::Int(row.quantity),
            ],
        )?;
    }
    Ok(())
}

/// Returns the sums by category, outcome and reason since `since`, largest first; of one project, or of all.
///
/// # Errors
/// If the database fails.
pub fn sums(
    tx: &mut Tx<'_>,
    project_id: Option<i64>,
    since: Hour,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    Ok(tx.query(
        "SELECT category, outcome, reason, SUM(quantity) AS total FROM outcome_hour
         WHERE hour >= $1 AND ($2 IS NULL OR project_id = $2)
         GROUP BY category, outcome, reason ORDER BY total DESC, category, outcome, reason",
        &[Val::from(since), Val::from(project_id)],
    )?)
}

/// One sum over all projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourSum {
    pub hour: Hour,
    pub category: String,
    pub outcome: String,
    pub reason: String,
    pub quantity: i64,
}

/// Returns the sums over all projects since `since`, by hour.
///
/// # Errors
/// If the database fails.
pub fn by_hour(tx: &mut Tx<'_>, since: Hour) -> Result<Vec<HourSum>, StoreError> {
    let rows: Vec<(i64, String, String, String, i64)> = tx.query(
        "SELECT hour, category, outcome, reason, SUM(quantity) FROM outcome_hour
         WHERE hour >= $1
         GROUP BY hour, category, outcome, reason ORDER BY hour, category, outcome, reason",
        &[Val::from(since)],
    )?;
    let sum =
        |(hour, category, outcome, reason, quantity)| HourSum { hour: Hour(hour), category, outcome, reason, quantity };
    Ok(rows.into_iter().map(sum).collect())
}
