//! The two witnesses of what became of accepted events: the endpoints count what they answered 200 to, the digest counts
//! what came of it, each by project and hour of receipt. Nothing here decides whether they agree.

use crate::StoreError;
use crate::issues::Statement;
use db::{Tx, Val};
use stdx::Hour;

/// Events that the endpoints accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedRow {
    pub project_id: i64,
    /// Of receipt.
    pub hour: Hour,
    pub quantity: i64,
}

/// Events that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRow {
    pub project_id: i64,
    /// Of receipt.
    pub hour: Hour,
    /// stored, filtered, duplicate, expired or dead
    pub outcome: String,
    pub quantity: i64,
}

/// Adds counts to what is there.
///
/// # Errors
/// If the database fails; nothing is added then.
pub fn add_accepted(tx: &mut Tx<'_>, rows: &[AcceptedRow]) -> Result<(), StoreError> {
    for row in rows {
        tx.execute(
            "INSERT INTO accepted_hour (project_id, hour, quantity)
             VALUES ($1, $2, $3)
             ON CONFLICT (hour, project_id) DO UPDATE SET quantity = accepted_hour.quantity + excluded.quantity",
            &[Val::Int(row.project_id), Val::from(row.hour), Val::Int(row.quantity)],
        )?;
    }
    Ok(())
}

/// Returns what was accepted within `hours`, by hour and project.
///
/// # Errors
/// If the database fails.
pub fn accepted(tx: &mut Tx<'_>, hours: &[Hour]) -> Result<Vec<AcceptedRow>, StoreError> {
    let mut statement = Statement::default();
    statement.push("SELECT project_id, hour, quantity FROM accepted_hour WHERE hour IN (");
    statement.bind_list(hours.iter().map(|hour| Val::from(*hour)));
    statement.push(") ORDER BY hour, project_id");
    let rows: Vec<(i64, i64, i64)> = tx.query(&statement.sql, &statement.values)?;
    let row = |(project_id, hour, quantity)| AcceptedRow { project_id, hour: Hour(hour), quantity };
    Ok(rows.into_iter().map(row).collect())
}

/// Returns what came to an end of what was received within `hours`, by hour, project and outcome.
///
/// # Errors
/// If the database fails.
pub fn settled(tx: &mut Tx<'_>, hours: &[Hour]) -> Result<Vec<SettledRow>, StoreError> {
    let mut statement = Statement::default();
    statement.push("SELECT project_id, hour, outcome, SUM(quantity) FROM outcome_hour WHERE hour IN (");
    statement.bind_list(hours.iter().map(|hour| Val::from(*hour)));
    statement.push(
        ") AND category = 'error' AND outcome IN ('stored', 'filtered', 'duplicate', 'expired', 'dead')
         GROUP BY hour, project_id, outcome ORDER BY hour, project_id, outcome",
    );
    let rows: Vec<(i64, i64, String, i64)> = tx.query(&statement.sql, &statement.values)?;
    let row = |(project_id, hour, outcome, quantity)| SettledRow { project_id, hour: Hour(hour), outcome, quantity };
    Ok(rows.into_iter().map(row).collect())
}
